"""What a request must look like before anything looks into it: one reading of its target, length and headers.

Two readers that disagree about where a request ends make request smuggling possible (RFC 9112, 6.3 and 11.2), so
whatever can be read in two ways is refused.
"""

from __future__ import annotations

import re
from email.errors import FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect
from email.message import Message
from typing import Final
from urllib.parse import urlsplit

from chalicelib.errors import InvalidRequest, PermanentError, TooLarge

# Visible ASCII without a fragment: everything else must be percent-encoded (RFC 3986).
_TARGET: Final = re.compile(r"/[!\"$-~]*")
_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_ONCE: Final = ("host", "content-length", "content-type", "authorization")
# 10^15 bytes are more than any limit here.
_LENGTH_DIGITS: Final = 15
_TORN: Final = (MissingHeaderBodySeparatorDefect, FirstHeaderLineIsContinuationDefect)
# Set by proxies: then the caller's address is the proxy's.
_PROXY_HEADERS: Final = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip", "cf-connecting-ip"})


class Forbidden(PermanentError):
    """The request is not signed by this service, or comes from another site."""

    type = "forbidden"
    status = 403


def check_target(target: str) -> None:
    """Raise InvalidRequest for a target that is not a plain path with a query."""
    if not _TARGET.fullmatch(target):
        raise InvalidRequest("The address is malformed: a path, percent-encoded, without a fragment.")


def body_length(headers: Message) -> int:
    """Return the length of the body in bytes. Raise InvalidRequest or TooLarge for what is not one plain number."""
    # The parser takes the first line that is no header for the end of them. Other defects are of mail only.
    torn = any(isinstance(defect, _TORN) for defect in headers.defects)
    if torn or any("\n" in str(value) for value in headers.values()):
        raise InvalidRequest("The headers are malformed.")
    for name in _ONCE:
        if len(headers.get_all(name, [])) > 1:
            raise InvalidRequest(f"The header {name} comes more than once.")
    if "transfer-encoding" in headers:
        raise InvalidRequest("Send the body with a Content-Length, not with a Transfer-Encoding.")
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise InvalidRequest("Content-Length is not a number.")
    if len(text) > _LENGTH_DIGITS:
        raise TooLarge("No body is this long.")
    return int(text)


def host_name(headers: Message) -> str:
    """Return the name or address in `Host`, or "" if there is none that is well-formed."""
    match = _HOST.fullmatch(headers.get("host", ""))
    return match["name"].strip("[]").lower() if match else ""


def is_own_site(headers: Message) -> bool:
    """Tell whether a request comes from this origin's own page, or from no page at all."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""


def is_proxied(headers: Message) -> bool:
    """Tell whether a proxy says that it passed the request on."""
    names = {name.lower() for name in headers}
    return bool(names & _PROXY_HEADERS) or any(name.startswith("x-forwarded-") for name in names)
