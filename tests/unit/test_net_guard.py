"""Fetching and posting against servers that lie, stall and point elsewhere."""

from __future__ import annotations

import datetime
import gzip
import ipaddress
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from email.utils import format_datetime
from pathlib import Path

import pytest
import pytest_socket
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from urllib3.util import Timeout

from chalicelib.errors import (
    BlockedAddress,
    InsecureConnection,
    ParserCrashed,
    RetryAfter,
    SourceNotFound,
    SourceRefused,
    SyncBoardError,
    TooLarge,
    Unreachable,
    UnsupportedUrl,
)
from chalicelib.ingest.confinement import MB, Limits
from chalicelib.ingest.document import ProgressCallback
from chalicelib.ingest.sandbox import run_sandboxed
from chalicelib.net import client
from chalicelib.net.addresses import NetworkPolicy
from chalicelib.net.guard import Fetched, fetch, network_policy, post
from tests.webserver import Handler, Web, allowing, dripping, endless, redirect, reply, serving, silent

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="patches reach a forked child only")


@pytest.fixture
def web() -> Iterator[Web]:
    """A server that links may reach."""
    with serving() as server, allowing(f"127.0.0.1:{server.port}"):
        yield server


@pytest.fixture
def inner() -> Iterator[Web]:
    """A server of the own network, that nothing may reach."""
    with serving() as server:
        server.answers["/"] = reply(body=b"secret")
        yield server
        assert server.asked == []


@pytest.fixture
def get(tmp_path: Path) -> Callable[..., Fetched]:
    """Fetch a link into `tmp_path / "got"`."""

    def get(url: str, *, max_bytes: int = MB, seconds: float = 20, **options: object) -> Fetched:
        return fetch(url, tmp_path / "got", max_bytes=max_bytes, seconds=seconds, **options)  # type: ignore[arg-type]

    return get


Get = Callable[..., Fetched]


# --- What goes well -----------------------------------------------------------------------------------------


def test_a_link_s_bytes_come_into_the_file(web: Web, get: Get, tmp_path: Path) -> None:
    web.answers["/notes.md"] = reply(body=b"# Notes\n" * 1000, kind="Text/Markdown; charset=utf-8")
    seen: list[tuple[int, int, str]] = []
    got = get(web.url("/notes.md"), on_progress=lambda *report: seen.append(report))
    assert (tmp_path / "got").read_bytes() == b"# Notes\n" * 1000
    assert got == Fetched(final_url=web.url("/notes.md"), status=200, content_type="text/markdown", size=8000)
    assert seen[-1][:2] == (8000, 8000)


def test_a_compressed_answer_is_unpacked(web: Web, get: Get, tmp_path: Path) -> None:
    web.answers["/"] = reply(body=gzip.compress(b"words " * 500), Content_Encoding="gzip")
    assert get(web.url()).size == 3000
    assert (tmp_path / "got").read_bytes() == b"words " * 500


def test_redirects_are_followed_and_the_last_address_is_told(web: Web, get: Get, tmp_path: Path) -> None:
    web.answers |= {
        "/a": redirect("/b", 301),
        "/b": redirect("c?x=1#part", 307),
        "/c?x=1": reply(body=b"here"),
    }
    assert get(web.url("/a")).final_url == web.url("/c?x=1")
    assert (tmp_path / "got").read_bytes() == b"here"


def test_no_credentials_of_this_process_are_sent(web: Web, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", "/nonexistent")
    web.answers["/"] = reply(body=b"x")
    get(web.url())
    assert set(web.asked[0].headers) == {"Host", "User-Agent", "Accept", "Accept-Encoding"}


def test_proxies_of_the_environment_are_not_used(
    web: Web, inner: Web, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, inner.url())
    web.answers["/"] = reply(body=b"direct")
    assert get(web.url()).size == 6


# --- Where it must not lead ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_the_metadata_service_is_blocked(web: Web, get: Get, status: int) -> None:
    web.answers["/"] = redirect("http://169.254.169.254/latest/meta-data/", status)
    with pytest.raises(BlockedAddress, match="link-local"):
        get(web.url())


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"],
)
def test_a_redirect_to_another_port_is_blocked_however_the_host_is_written(
    web: Web, inner: Web, get: Get, host: str
) -> None:
    web.answers["/"] = redirect(f"http://{host}:{inner.port}/")
    with pytest.raises(BlockedAddress):
        get(web.url())


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://example.com/", "http://user:pw@example.com/"]
)
def test_a_redirect_to_what_is_no_link_is_refused(web: Web, get: Get, target: str) -> None:
    web.answers["/"] = redirect(target)
    with pytest.raises(UnsupportedUrl):
        get(web.url())


def test_redirects_without_end_are_given_up(web: Web, get: Get) -> None:
    web.answers["/"] = redirect("/")
    with pytest.raises(SourceRefused, match="more than 5 times"):
        get(web.url())
    assert len(web.asked) == 6


def test_without_exceptions_this_machine_can_t_be_reached(inner: Web, get: Get) -> None:
    assert network_policy() == NetworkPolicy()
    with pytest.raises(BlockedAddress, match="this machine itself"):
        get(inner.url())


@linux_only
def test_a_name_that_resolves_to_an_inner_address_is_blocked_at_the_connection(
    web: Web, inner: Web, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rebinding: the name led to a public address when somebody checked it, and leads inside now.
    answers = iter(["93.184.215.14", "127.0.0.1"])

    def rebinding(*_args: object, **_options: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), inner.port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert socket.getaddrinfo("rebind.example", 80)[0][4][0] == "93.184.215.14"
    with pytest.raises(BlockedAddress, match="this machine itself"):
        get("http://rebind.example/")


# --- The audit hook by itself -------------------------------------------------------------------------------


def connect(family: int, peer: object, *, on_progress: ProgressCallback) -> str:
    with socket.socket(family, socket.SOCK_STREAM) as opened:
        opened.settimeout(2)
        opened.connect(peer)  # type: ignore[arg-type]
    return "connected"


def connect_ex(family: int, peer: object, *, on_progress: ProgressCallback) -> int:
    with socket.socket(family, socket.SOCK_STREAM) as opened:
        return opened.connect_ex(peer)  # type: ignore[arg-type]


def networked(function: Callable[..., object], *args: object, allow: str = "") -> object:
    return run_sandboxed(
        function,
        *args,
        result_type=object,
        limits=Limits(memory_bytes=64 * MB, seconds=20),
        network=NetworkPolicy.parse(allow),
    )


@pytest.mark.parametrize("call", [connect, connect_ex])
@pytest.mark.parametrize(
    ("family", "peer"),
    [
        (socket.AF_INET, ("169.254.169.254", 80)),
        (socket.AF_INET, ("10.0.0.1", 443)),
        (socket.AF_INET, ("8.8.8.8", 53)),
        (socket.AF_INET, ("localhost", 80)),
        (socket.AF_INET6, ("::1", 80)),
        (socket.AF_INET6, ("::ffff:127.0.0.1", 80, 0, 0)),
        (socket.AF_INET6, ("64:ff9b::7f00:1", 80, 0, 0)),
    ],
)
def test_each_connection_s_real_address_is_judged(
    call: Callable[..., object], family: int, peer: tuple[object, ...]
) -> None:
    pytest_socket._remove_restrictions()  # the guard alone must stop it
    with pytest.raises(BlockedAddress):
        networked(call, int(family), peer)


def test_an_allowed_pair_is_connected_to(web: Web) -> None:
    pair = ("127.0.0.1", web.port)
    assert networked(connect, int(socket.AF_INET), pair, allow=f"127.0.0.1:{web.port}") == "connected"


def send_datagram(*, on_progress: ProgressCallback) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def local_socket(*, on_progress: ProgressCallback) -> None:
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)


def raw_socket(*, on_progress: ProgressCallback) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW)


def listen(*, on_progress: ProgressCallback) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_STREAM).bind(("127.0.0.1", 0))


def fast_open(*, on_progress: ProgressCallback) -> None:
    # TCP Fast Open connects by sending.
    socket.socket(socket.AF_INET, socket.SOCK_STREAM).sendto(b"x", 0x20000000, ("127.0.0.1", 80))


def start_program(*, on_progress: ProgressCallback) -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def shell(*, on_progress: ProgressCallback) -> None:
    os.system("true")


@pytest.mark.parametrize(
    "function", [send_datagram, local_socket, raw_socket, listen, fast_open, start_program, shell]
)
def test_every_other_use_of_the_network_and_programs_are_refused(function: Callable[..., object]) -> None:
    with pytest.raises(ParserCrashed, match="PermissionError: a parser may not use"):
        networked(function)


# --- Caps ---------------------------------------------------------------------------------------------------


def test_a_body_without_end_is_cut_off(web: Web, get: Get, tmp_path: Path) -> None:
    web.answers["/"] = endless
    with pytest.raises(TooLarge, match="larger than 1 MB") as caught:
        get(web.url())
    assert caught.value.details == {"limit_bytes": MB}
    assert (tmp_path / "got").stat().st_size <= MB


def test_a_body_that_says_it_is_too_large_is_not_read(web: Web, get: Get, tmp_path: Path) -> None:
    web.answers["/"] = reply(body=b"x", Content_Length=str(MB + 1))
    with pytest.raises(TooLarge):
        get(web.url())
    assert not (tmp_path / "got").exists()


def test_a_compressed_bomb_is_counted_unpacked(web: Web, get: Get) -> None:
    web.answers["/"] = reply(body=gzip.compress(bytes(50 * MB)), Content_Encoding="gzip")
    with pytest.raises(TooLarge):
        get(web.url())


def test_a_body_of_exactly_the_limit_is_taken(web: Web, get: Get) -> None:
    web.answers["/"] = reply(body=bytes(MB))
    assert get(web.url()).size == MB


@pytest.mark.parametrize("answer", [dripping, silent])
def test_a_server_that_stalls_is_left_at_the_time_limit(
    web: Web, get: Get, answer: Callable[..., None]
) -> None:
    web.answers["/"] = answer
    started = time.monotonic()
    with pytest.raises(Unreachable, match=r"did not finish within 0\.5 seconds"):
        get(web.url(), seconds=0.5)
    assert time.monotonic() - started < 5


def test_a_body_that_breaks_off_can_be_tried_again(web: Web, get: Get) -> None:
    web.answers["/"] = reply(body=b"half", Content_Length="8")
    with pytest.raises(Unreachable, match="broke off"):
        get(web.url())


def test_what_looks_like_a_compressed_body_and_is_none_can_be_tried_again(web: Web, get: Get) -> None:
    web.answers["/"] = reply(body=b"plain", Content_Encoding="gzip")
    with pytest.raises(Unreachable, match="can't be decoded"):
        get(web.url())


# --- What servers answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (304, SourceRefused),
        (400, SourceRefused),
        (401, SourceRefused),
        (403, SourceRefused),
        (404, SourceNotFound),
        (408, Unreachable),
        (410, SourceNotFound),
        (429, Unreachable),
        (451, SourceRefused),
        (500, Unreachable),
        (502, Unreachable),
        (503, Unreachable),
    ],
)
def test_a_status_says_whether_a_retry_can_help(
    web: Web, get: Get, status: int, error: type[SyncBoardError]
) -> None:
    web.answers["/"] = reply(status)
    with pytest.raises(error, match=str(status)) as caught:
        get(web.url())
    assert type(caught.value) is error
    assert caught.value.details["status"] == status


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("header", "seconds"), [("120", 120), ("1", 30), ("999999", 3600)])
def test_a_server_that_asks_for_patience_gets_it_within_bounds(
    web: Web, get: Get, status: int, header: str, seconds: float
) -> None:
    web.answers["/"] = reply(status, Retry_After=header)
    with pytest.raises(RetryAfter) as caught:
        get(web.url())
    assert caught.value.seconds == seconds


def test_patience_may_be_asked_for_by_date(web: Web, get: Get) -> None:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=600)
    web.answers["/"] = reply(503, Retry_After=format_datetime(moment, usegmt=True))
    with pytest.raises(RetryAfter) as caught:
        get(web.url())
    assert 570 <= caught.value.seconds <= 600


@pytest.mark.parametrize("header", ["soon", ""])
def test_a_retry_header_that_says_nothing_is_passed_over(web: Web, get: Get, header: str) -> None:
    web.answers["/"] = reply(503, Retry_After=header)
    with pytest.raises(Unreachable):
        get(web.url())


def test_a_closed_port_can_be_tried_again(get: Get) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        pair = f"127.0.0.1:{bound.getsockname()[1]}"
        with allowing(pair), pytest.raises(Unreachable, match="no connection can be made"):
            get(f"http://{pair}/")


@linux_only
def test_a_name_that_does_not_resolve_can_be_tried_again(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unreachable, match="its name can't be resolved"):
        get("http://nowhere.example/")


def test_nonsense_instead_of_http_can_be_tried_again(web: Web, get: Get) -> None:
    def greet(handler: Handler) -> None:
        handler.wfile.write(b"220 smtp ready\r\n")

    web.answers["/"] = greet
    with pytest.raises(Unreachable):
        get(web.url())


# --- TLS ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A certificate for 127.0.0.1 that nobody signed but itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return str(path)


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: str, get: Get) -> None:
    with serving(certificate) as web, allowing(f"127.0.0.1:{web.port}"):
        with pytest.raises(InsecureConnection, match="certificate is not valid"):
            get(web.url())
        assert web.asked == []


def test_a_certificate_of_an_authority_that_the_system_trusts_is_taken(
    certificate: str, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    with serving(certificate) as web, allowing(f"127.0.0.1:{web.port}"):
        web.answers["/"] = reply(body=b"safe")
        assert get(web.url()).size == 4


def test_a_server_without_tls_can_be_tried_again(web: Web, get: Get) -> None:
    with pytest.raises(Unreachable, match="no secure connection"):
        get(web.url().replace("http:", "https:"))


# --- Posting ------------------------------------------------------------------------------------------------


def test_a_post_carries_body_and_headers_and_brings_the_answer(web: Web) -> None:
    web.answers["/hook"] = reply(202, b"thanks" * 1000)
    answer = post(
        web.url("/hook"), b'{"a": 1}', {"X-Mark": "7", "Content-Type": "application/json"}, seconds=20
    )
    assert (answer.status, answer.retry_after) == (202, None)
    assert answer.body[:600] == b"thanks" * 100
    assert len(answer.body) <= 1024
    (asked,) = web.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/hook", b'{"a": 1}')
    assert asked.headers["X-Mark"] == "7"


@pytest.mark.parametrize("status", [301, 307, 308, 404, 410, 500])
def test_a_post_s_answer_is_given_back_whatever_it_is_and_redirects_are_not_followed(
    web: Web, inner: Web, status: int
) -> None:
    web.answers["/"] = reply(status, Location=inner.url(), Retry_After="60")
    answer = post(web.url(), b"{}", {}, seconds=20)
    assert (answer.status, answer.retry_after) == (status, 60)
    assert len(web.asked) == 1


def test_a_post_to_an_inner_address_is_blocked(inner: Web) -> None:
    with pytest.raises(BlockedAddress):
        post(inner.url(), b"{}", {}, seconds=20)


def test_a_post_that_is_not_answered_in_time_can_be_tried_again(web: Web) -> None:
    web.answers["/"] = silent
    with pytest.raises(Unreachable, match=r"within 0\.5 seconds"):
        post(web.url(), b"{}", {}, seconds=0.5)


@linux_only
def test_a_receiver_that_accepts_and_then_stalls_has_accepted(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    def accept_and_stall(handler: Handler) -> None:
        reply(200, Content_Length="10")(handler)
        web.closing.wait()

    web.answers["/"] = accept_and_stall
    monkeypatch.setattr(client, "_POST_TIMEOUT", Timeout(connect=5, read=0.2))
    assert post(web.url(), b"{}", {}, seconds=20).status == 200
