"""Ctrl-C and SIGTERM, as a running stack takes them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.stack import Stack


@contextlib.contextmanager
def stop_on_signals(stack: Stack) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM stop the stack cleanly; a second one ends its children and this process at once."""

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stack.stopping:
            stack.kill()
            # Not by the signal's default action: the first process of a container has none.
            os._exit(128 + number)
        stack.stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
