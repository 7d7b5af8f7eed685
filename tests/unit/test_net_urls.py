"""Links: what is one, and what it is called."""

from __future__ import annotations

import pytest

from chalicelib.errors import BlockedAddress, UnsupportedUrl
from chalicelib.net.addresses import NetworkPolicy
from chalicelib.net.urls import MAX_CHARACTERS, checked, host_of, name_of

NOTHING = NetworkPolicy()


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://example.com", "https://example.com"),
        (" HTTP://EXAMPLE.com:80/a b?q=é#part ", "http://example.com:80/a%20b?q=%C3%A9"),
        ("https://bücher.example/x", "https://xn--bcher-kva.example/x"),
        ("http://8.8.8.8/", "http://8.8.8.8/"),
        ("http://[2606:2800:21f:cb07::1]/x", "http://[2606:2800:21f:cb07::1]/x"),
        ("https://example.com/a%20b%2Fc", "https://example.com/a%20b%2Fc"),
        ("https://example.com/\r\nX: 1", "https://example.com/X:%201"),
    ],
)
def test_a_link_has_one_canonical_form(url: str, canonical: str) -> None:
    assert checked(url, NOTHING) == canonical
    assert checked(canonical, NOTHING) == canonical


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/x",
        "//example.com/x",
        "file:///etc/passwd",
        "ftp://example.com/x",
        "javascript:alert(1)",
        "data:text/plain,x",
        "http://",
        "http:///x",
        "http://:80/x",
        "http://user:secret@example.com/",
        "http://user@example.com/",
        "http://@example.com/",
        "http://example.com\\@evil.example/",
        "http://example.com:99999/",
        "http://example.com:x/",
        "http://exa mple.com/",
        "http://a..b/",
        "http://.../",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://" + "a" * 64 + ".com/",
        "http://example.com/" + "x" * MAX_CHARACTERS,
    ],
)
def test_what_can_t_be_followed_is_refused(url: str) -> None:
    with pytest.raises(UnsupportedUrl) as caught:
        checked(url, NOTHING)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "https://8.8.8.8:8443/",
    ],
)
def test_a_numeric_host_is_judged_at_once(url: str) -> None:
    with pytest.raises(BlockedAddress, match="Only public addresses on ports 80 and 443"):
        checked(url, NOTHING)


def test_a_numeric_host_that_is_allowed_passes() -> None:
    assert checked("http://127.0.0.1:8080/x", NetworkPolicy.parse("127.0.0.1:8080"))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com/", ""),
        ("https://example.com", ""),
        ("https://example.com/a/notes.md?x=/y.pdf", "notes.md"),
        ("https://example.com/a/b/", "b"),
        ("https://example.com/gr%C3%BC%C3%9Fe.txt", "grüße.txt"),
        ("https://example.com/..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("https://example.com/%00%0A", ""),
    ],
)
def test_a_link_ends_in_a_safe_file_name_or_none(url: str, name: str) -> None:
    assert name_of(url) == name


def test_the_host_of_a_link() -> None:
    assert host_of("https://example.com:8443/x") == "example.com"
