"""What a child process gives up before it parses foreign bytes.

This runs in the child only. It bounds the damage of a parser that crashes, hangs, eats memory or is talked
into opening connections by the file. It is no wall against native code that an attacker controls: such code
could undo the audit hook and read what this user may read. On AWS the function's own role and micro virtual
machine are that wall.
"""

from __future__ import annotations

import contextlib
import faulthandler
import math
import os
import resource
import signal
import socket
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from chalicelib.net.addresses import NetworkPolicy, blocked
from chalicelib.processes import die_with

MB: Final = 1024 * 1024

_IS_LINUX: Final = sys.platform == "linux"

# The environment that a parser keeps: no credentials, no settings of ours.
_KEPT_VARIABLES: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
# https://docs.python.org/3/library/audit_events.html: everything that reaches the network or starts a
# program.
_REFUSED_PREFIXES: Final = (
    "socket.",
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one child may use."""

    # Address space beyond what the child starts with, in bytes; what is free on the heap that a fork inherits comes
    # on top. Linux only: macOS does not enforce it.
    memory_bytes: int = 1024 * MB
    # Wall time, and CPU time of all its threads, in seconds.
    seconds: float = 120.0
    # Largest single file that it may write, in bytes.
    file_bytes: int = 512 * MB
    # Largest result, encoded as JSON, in bytes.
    result_bytes: int = 256 * MB


def confine(
    folder: Path,
    limits: Limits,
    variables: Mapping[str, str],
    parent: int,
    network: NetworkPolicy | None = None,
) -> None:
    """Confine this process to `folder` and `limits`; `parent` is the process that it must not outlive.

    With `network` it may look up names and open TCP connections to the addresses that the policy lets pass;
    without, there is no network.
    """
    die_with(parent)
    _reset_signals()
    _mute()
    _detach_sockets()
    _scrub_environment(folder, variables)
    os.chdir(folder)
    _limit_resources(limits)
    # What a library warns about is no verdict on a file, even where the parent makes warnings errors.
    warnings.simplefilter("ignore")
    sys.addaudithook(_guard(network))


def _reset_signals() -> None:
    """Drop the handlers that a fork inherits: they belong to the parent's work."""
    signal.set_wakeup_fd(-1)
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGALRM,
        signal.SIGUSR1,
        signal.SIGUSR2,
    ):
        signal.signal(number, signal.SIG_DFL)
    faulthandler.disable()


def _mute() -> None:
    """Send output to nowhere: a hostile file must not write the service's log."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    # The parent may have replaced these by objects that write elsewhere.
    sys.stdout = sys.stderr = os.fdopen(nowhere, "w", encoding="utf-8")


def _detach_sockets() -> None:
    """Point every inherited socket to nowhere.

    Not closed: their Python objects live on, and would later close a number that is somebody else's by then.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for entry in Path("/dev/fd").iterdir():
        # The listing holds its own descriptor, which is gone by now.
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(entry.name)).st_mode):
                os.dup2(nowhere, int(entry.name))
    os.close(nowhere)


def _scrub_environment(folder: Path, variables: Mapping[str, str]) -> None:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    os.environ.clear()
    os.environ.update({**kept, "HOME": str(folder), "TMPDIR": str(folder), **variables})
    tempfile.tempdir = None  # It remembers the parent's.


def _limit_resources(limits: Limits) -> None:
    if _IS_LINUX:
        _lower(resource.RLIMIT_AS, _mapped_bytes() + limits.memory_bytes)
    _lower(resource.RLIMIT_CPU, math.ceil(limits.seconds))
    _lower(resource.RLIMIT_FSIZE, limits.file_bytes)
    _lower(resource.RLIMIT_CORE, 0)


def _mapped_bytes() -> int:
    """Return the address space that this process maps already (a fork inherits its parent's)."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    return pages * resource.getpagesize()


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (bound, bound))


def _guard(network: NetworkPolicy | None) -> Callable[[str, tuple[Any, ...]], None]:
    """Return the audit hook that refuses programs, and the network but for what `network` lets pass."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_REFUSED_PREFIXES) and not (network and _passes(network, event, arguments)):
            raise PermissionError(f"a parser may not use {event}")

    return refuse


def _passes(network: NetworkPolicy, event: str, arguments: tuple[Any, ...]) -> bool:
    """Tell whether a networked child may do this; raise BlockedAddress for a connection that it may not make.

    The event carries the address that the kernel is about to be given, so neither a redirect nor a name that
    resolves differently the second time gets round it. It is no OSError: a client must not try the next address.
    """
    if event == "socket.connect":
        if reason := network.refusal_of_peer(arguments[1]):
            raise blocked(reason)
        return True
    if event == "socket.__new__":
        _, family, kind, _ = arguments
        return family in (socket.AF_INET, socket.AF_INET6) and kind == socket.SOCK_STREAM
    return event == "socket.getaddrinfo"
