"""What is said where a stack can't start: what is wrong, and what would do."""

from __future__ import annotations

import errno
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit


def is_address(text: str) -> bool:
    """Tell whether `text` is an address of an HTTP server."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


def address_in(note: Path) -> str:
    """Return where the stack that wrote `note` says it is, or nothing."""
    try:
        written = json.loads(note.read_text(encoding="utf-8"))
        return f" ({written['url']}, process {written['pid']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def why_not_bound(host: str, port: int, error: Exception) -> str:
    """Return what to say when a server could not be bound: which of host and port is wrong, and what would do."""
    no_such_host = isinstance(error, socket.gaierror | UnicodeError)
    if no_such_host or (isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL):
        reason = error.strerror if isinstance(error, OSError) else "no host name"
        return (
            f"Host {host} can't be used ({reason}): it is no address of this machine. "
            "Use 127.0.0.1, or 0.0.0.0 for the whole network: make run HOST=0.0.0.0."
        )
    return f"Port {port} of {host} can't be had ({error}). Choose another: make run PORT=8001."
