"""Which addresses may be connected to: public ones on the web's ports, and those that an operator allows.

A link or a webhook comes from a user, so it must not become a way into the network that the service runs in
(server-side request forgery). What counts is the address that a socket really connects to: names can change
between a check and the connection, and redirects lead anywhere.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

import msgspec

from chalicelib.errors import BlockedAddress

WEB_PORTS: Final = frozenset({80, 443})

Pair = tuple[str, int]  # (address, port)

# IANA's special-purpose registries (iana-ipv4-special-registry and iana-ipv6-special-registry, 2025) and RFC 5771,
# written out because `ipaddress.is_global` differs between Python's releases (CVE-2024-4032) and lets NAT64,
# 6to4 and multicast pass.
_SPECIAL: Final[tuple[tuple[IPv4Network | IPv6Network, str], ...]] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "an unspecified address"),
        ("10.0.0.0/8", "a private network"),
        ("100.64.0.0/10", "a shared network"),
        ("127.0.0.0/8", "this machine itself"),
        # Microsoft Azure's wire server: public by number, but the machine's own metadata.
        ("168.63.129.16/32", "a metadata service"),
        # With 169.254.169.254, the metadata service of nearly every cloud.
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private network"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a reserved address"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "a private network"),
        ("198.18.0.0/15", "a reserved address"),
        ("198.51.100.0/24", "a reserved address"),
        ("203.0.113.0/24", "a reserved address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("::/128", "an unspecified address"),
        ("::1/128", "this machine itself"),
        ("64:ff9b::/96", "a NAT64 address"),
        ("64:ff9b:1::/48", "a NAT64 address"),
        ("2001::/32", "a Teredo address"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a reserved address"),
        ("2002::/16", "a 6to4 address"),
        ("3fff::/20", "a reserved address"),
        ("fc00::/7", "a private network"),
        ("fe80::/10", "a link-local address"),
        ("ff00::/8", "a multicast address"),
    )
)
# All of IPv6 that is assigned for global unicast (RFC 4291, section 2.4, and IANA's registry).
_GLOBAL_UNICAST: Final = ip_network("2000::/3")


class NetworkPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a process may connect to: public addresses on ports 80 and 443, and the pairs that are allowed."""

    # Exact exceptions, addresses in their canonical form.
    allow: frozenset[Pair] = frozenset()

    @classmethod
    def parse(cls, text: str) -> NetworkPolicy:
        """Read exceptions as settings state them: `10.0.0.7:8080, [fd00::7]:443`. Raise ValueError."""
        entries = (entry.strip() for entry in text.split(","))
        return cls(allow=frozenset(_pair(entry) for entry in entries if entry))

    def refusal(self, address: str, port: int) -> str | None:
        """Return what speaks against connecting to `address`, for people ("a private network"); None: nothing."""
        return refusal(address, port, allow=self.allow)

    def refusal_of_peer(self, peer: Any) -> str | None:
        """Like `refusal`, for what is passed to `socket.connect`: (address, port, …), or anything else."""
        match peer:
            case (str(address), int(port), *_):
                return self.refusal(address, port)
        return "no internet address"


def refusal(address: str, port: int, *, allow: frozenset[Pair] = frozenset()) -> str | None:
    """Return what speaks against connecting to `address` on `port`, for people; None: nothing does.

    `address` is numeric: a name is refused, for nobody could tell where it leads. Pairs in `allow` pass.
    """
    try:
        ip = _unwrapped(ip_address(address))
    except ValueError:
        return "a name that was not resolved"
    if (str(ip), port) in allow:
        return None
    special = next((what for network, what in _SPECIAL if ip in network), None)
    if special:
        return special
    if not ip.is_global or (ip.version == 6 and ip not in _GLOBAL_UNICAST):
        return "a reserved address"
    return None if port in WEB_PORTS else f"port {port}"


def blocked(reason: str) -> BlockedAddress:
    """Return the error for an address that is refused because it is `reason`."""
    return BlockedAddress(
        f"This leads to {reason}. Only public addresses on ports 80 and 443 may be reached.", reason=reason
    )


def _unwrapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address within an IPv4-mapped one (::ffff:0:0/96): the kernel connects to that by IPv4."""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        return ip.ipv4_mapped
    return ip


def _pair(entry: str) -> Pair:
    address, _, port = entry.rpartition(":")
    try:
        return str(_unwrapped(ip_address(address.removeprefix("[").removesuffix("]")))), int(port)
    except ValueError:
        raise ValueError(f"not an address:port pair: {entry!r}") from None
