"""Stopping a process between two writes, never within them.

A signal handler asks; the request takes effect at once only where the code says that it may be interrupted
(waiting for work, supervising a run), and elsewhere at the next such place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Stopping(BaseException):
    """This process must end soon. The job in hand is given back, uncounted."""


class _State:
    requested = False
    interruptible = False


def request() -> None:
    """Ask this process to stop. Safe in a signal handler, and more than once."""
    _State.requested = True
    if _State.interruptible:
        _State.interruptible = False
        raise Stopping


def requested() -> bool:
    """Tell whether this process was asked to stop."""
    return _State.requested


@contextmanager
def interruptible() -> Iterator[None]:
    """Within this block a request to stop raises Stopping at once; an earlier one does so on entering."""
    if _State.requested:
        raise Stopping
    _State.interruptible = True
    try:
        yield
    finally:
        _State.interruptible = False


def reset() -> None:
    """Forget a request: for a process that goes on, as a test's does."""
    _State.requested = _State.interruptible = False
