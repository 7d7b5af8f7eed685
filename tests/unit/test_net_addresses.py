"""Which addresses may be reached."""

from __future__ import annotations

import pytest

from chalicelib.net.addresses import NetworkPolicy, refusal


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07::1", "::ffff:8.8.8.8"])
@pytest.mark.parametrize("port", [80, 443])
def test_public_addresses_are_reached_on_the_web_s_ports(address: str, port: int) -> None:
    assert refusal(address, port) is None


@pytest.mark.parametrize("port", [0, 22, 25, 6379, 8080, 65535])
def test_public_addresses_are_not_reached_on_other_ports(port: int) -> None:
    assert refusal("8.8.8.8", port) == f"port {port}"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("0.0.0.0", "an unspecified address"),
        ("0.1.2.3", "an unspecified address"),
        ("10.0.0.1", "a private network"),
        ("100.64.0.1", "a shared network"),
        ("100.100.100.200", "a shared network"),
        ("127.0.0.1", "this machine itself"),
        ("127.255.255.254", "this machine itself"),
        ("168.63.129.16", "a metadata service"),
        ("169.254.169.254", "a link-local address"),
        ("169.254.170.2", "a link-local address"),
        ("172.16.0.1", "a private network"),
        ("172.31.255.255", "a private network"),
        ("192.0.0.192", "a reserved address"),
        ("192.0.2.1", "a reserved address"),
        ("192.88.99.1", "a 6to4 relay"),
        ("192.168.1.1", "a private network"),
        ("198.19.255.255", "a reserved address"),
        ("198.51.100.1", "a reserved address"),
        ("203.0.113.1", "a reserved address"),
        ("224.0.0.251", "a multicast address"),
        ("239.255.255.250", "a multicast address"),
        ("240.0.0.1", "a reserved address"),
        ("255.255.255.255", "a reserved address"),
        ("::", "an unspecified address"),
        ("::1", "this machine itself"),
        ("::8.8.8.8", "a reserved address"),
        ("::127.0.0.1", "a reserved address"),
        ("::ffff:127.0.0.1", "this machine itself"),
        ("::ffff:a9fe:a9fe", "a link-local address"),
        ("::ffff:0:127.0.0.1", "a reserved address"),
        ("64:ff9b::a9fe:a9fe", "a NAT64 address"),
        ("64:ff9b::8.8.8.8", "a NAT64 address"),
        ("64:ff9b:1::1", "a NAT64 address"),
        ("100::1", "a reserved address"),
        ("2001::1", "a Teredo address"),
        ("2001:10::1", "a reserved address"),
        ("2001:db8::1", "a reserved address"),
        ("2002:7f00:1::", "a 6to4 address"),
        ("3fff::1", "a reserved address"),
        ("4000::1", "a reserved address"),
        ("5f00::1", "a reserved address"),
        ("fd00:ec2::254", "a private network"),
        ("fe80::1", "a link-local address"),
        ("fe80::1%eth0", "a link-local address"),
        ("fec0::1", "a reserved address"),
        ("ff02::1", "a multicast address"),
    ],
)
def test_every_other_kind_of_address_is_refused_by_its_name(address: str, reason: str) -> None:
    assert refusal(address, 443) == reason


@pytest.mark.parametrize(
    "address", ["localhost", "example.com", "2130706433", "0x7f.1", "127.1", "010.0.0.1", ""]
)
def test_what_is_no_canonical_address_is_refused(address: str) -> None:
    assert refusal(address, 80) == "a name that was not resolved"


def test_an_allowed_pair_passes_in_any_spelling_and_nothing_beside_it() -> None:
    policy = NetworkPolicy.parse(" 127.0.0.1:8080, [FD00:0::7]:9000 ,[::ffff:10.0.0.7]:81,")
    assert policy.refusal("127.0.0.1", 8080) is None
    assert policy.refusal("::ffff:127.0.0.1", 8080) is None
    assert policy.refusal("fd00::7", 9000) is None
    assert policy.refusal("10.0.0.7", 81) is None
    assert policy.refusal("127.0.0.1", 8081) == "this machine itself"
    assert policy.refusal("127.0.0.2", 8080) == "this machine itself"
    assert policy.refusal("fd00::7", 9001) == "a private network"
    assert policy.refusal("8.8.8.8", 443) is None


def test_no_exceptions_are_the_default() -> None:
    assert NetworkPolicy.parse("") == NetworkPolicy()


@pytest.mark.parametrize("text", ["localhost:80", "127.0.0.1", "127.0.0.1:http", ":80", "10.0.0.0/8:80"])
def test_an_exception_that_is_no_pair_is_an_error_that_shows_it(text: str) -> None:
    with pytest.raises(ValueError, match="not an address:port pair"):
        NetworkPolicy.parse(text)


@pytest.mark.parametrize("peer", ["/var/run/docker.sock", b"\0abstract", ("8.8.8.8",), (b"8.8.8.8", 80), 7])
def test_a_peer_that_is_no_internet_address_is_refused(peer: object) -> None:
    assert NetworkPolicy().refusal_of_peer(peer) == "no internet address"


def test_a_peer_of_ipv6_is_judged_by_its_address() -> None:
    assert NetworkPolicy().refusal_of_peer(("::1", 80, 0, 0)) == "this machine itself"
    assert NetworkPolicy().refusal_of_peer(("2606:2800:21f:cb07::1", 443, 0, 0)) is None
