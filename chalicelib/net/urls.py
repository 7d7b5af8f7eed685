"""Links: which ones can be followed at all, and their one canonical form."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from chalicelib.errors import UnsupportedUrl
from chalicelib.ingest.filename import UNNAMED, safe_filename
from chalicelib.net.addresses import NetworkPolicy, blocked

MAX_CHARACTERS: Final = 2048

_PORTS: Final = {"http": 80, "https": 443}


def checked(url: str, policy: NetworkPolicy) -> str:
    """Return `url` in canonical form: ASCII, lower-case scheme and host, no fragment.

    Raise UnsupportedUrl, or BlockedAddress where its host is a numeric address that `policy` refuses. A host by
    name is judged when it is connected to, and only then.
    """
    if len(url) > MAX_CHARACTERS:
        raise UnsupportedUrl(f"The link is longer than {MAX_CHARACTERS:,} characters.", limit=MAX_CHARACTERS)
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise UnsupportedUrl(f"This is no link: {error}.") from None
    if parts.scheme not in _PORTS:
        raise UnsupportedUrl("Only links that start with http:// or https:// can be followed.")
    if "@" in parts.netloc:
        raise UnsupportedUrl("A link must not carry a user name or password.")
    if not host or "%" in host:
        raise UnsupportedUrl("The link names no host.")
    _judge_literal(host, port or _PORTS[parts.scheme], policy)
    netloc = _ascii(host) + (f":{port}" if port else "")
    return _canonical(urlunsplit((parts.scheme, netloc, parts.path, parts.query, "")))


def _judge_literal(host: str, port: int, policy: NetworkPolicy) -> None:
    try:
        ip_address(host)
    except ValueError:
        return  # a name
    if reason := policy.refusal(host, port):
        raise blocked(reason)


def _ascii(host: str) -> str:
    """Return a host as it stands in a link: names of other scripts in Punycode, IPv6 in brackets.

    By Python's own codec (IDNA 2003): urllib3 would need a further library for this.
    """
    if ":" in host:
        return f"[{host}]"
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        raise UnsupportedUrl("The link's host is not a valid name.") from None


def _canonical(url: str) -> str:
    try:
        return parse_url(url).url
    except LocationParseError:
        raise UnsupportedUrl("The link's host is not a valid name.") from None


def name_of(url: str) -> str:
    """Return the file name that a link ends in, safe to show; empty where it has none (`https://example.com/`)."""
    name = safe_filename(unquote(urlsplit(url).path).rstrip("/"))
    return "" if name == UNNAMED else name


def host_of(url: str) -> str:
    """Return the host that a link names."""
    return urlsplit(url).hostname or ""
