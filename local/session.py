"""What only a browser on this very machine may have: a token without typing, and the bundled samples."""

from __future__ import annotations

import re
from email.message import Message
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from chalicelib.api import tokens
from chalicelib.errors import NotFound
from local import framing

_SESSION_SECONDS: Final = 7 * 24 * 3600
_LOCAL_USER: Final = "demo"
# What makes samples, and what describes them.
_NO_SAMPLE: Final = re.compile(r"make.*\.py|README\.md")


def is_sample(path: Path) -> bool:
    """Tell whether a file in the samples folder is one to submit, not one that describes or makes them."""
    return path.is_file() and path.suffix != ".json" and not _NO_SAMPLE.match(path.name)


def check_caller(address: str, headers: Message) -> None:
    """Raise NotFound unless both the caller and the name it called are this machine.

    A rebound host name gets no token, nor does another site's page. A reverse proxy on this machine calls from here
    for somebody elsewhere: what it passes on gets none either.
    """
    host = framing.host_name(headers)
    here = _is_loopback(address) and (host == "localhost" or _is_loopback(host))
    if not here or framing.is_proxied(headers) or not framing.is_own_site(headers):
        raise NotFound("There is no such address.")


def open_session(samples: Path) -> dict[str, Any]:
    """Return a token for the local user and the samples there are."""
    token = tokens.issue(_LOCAL_USER, seconds=_SESSION_SECONDS)
    listed = [{"name": file, "url": f"_local/samples/{file}"} for file in _files(samples)]
    return {"token": token, "user": _LOCAL_USER, "samples": listed}


def read_sample(samples: Path, name: str) -> bytes:
    """Return a sample's bytes; raise NotFound."""
    path = _files(samples).get(unquote(name))
    if path is None:
        raise NotFound("There is no such sample.")
    return path.read_bytes()


def _files(samples: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(samples.glob("*")) if is_sample(path)}


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
