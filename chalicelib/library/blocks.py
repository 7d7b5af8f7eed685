"""Blocks of the search index's files that this process has read lately. A file never changes, so neither do they."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Final

# A process keeps so many bytes of them.
MAX_BYTES: Final = 32 * 1024 * 1024

# A file's key, an offset and a length.
Span = tuple[str, int, int]


class Blocks:
    """A cache that drops what was not wanted for longest. Its methods may be called by several threads."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._held: OrderedDict[Span, bytes] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def get(self, span: Span, read: Callable[[], bytes]) -> bytes:
        """Return a block, by `read` where it is not at hand."""
        with self._lock:
            if (held := self._held.get(span)) is not None:
                self._held.move_to_end(span)
                return held
        block = read()
        with self._lock:
            if span not in self._held:
                self._held[span] = block
                self._size += len(block)
            while self._size > self.max_bytes:
                _, dropped = self._held.popitem(last=False)
                self._size -= len(dropped)
        return block

    def forget(self, key: str) -> None:
        """Drop all blocks of a file."""
        with self._lock:
            for span in [span for span in self._held if span[0] == key]:
                self._size -= len(self._held.pop(span))
