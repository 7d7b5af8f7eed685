"""How many processes: more while messages wait for room, fewer while some have nothing to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

# Every process busy, and messages waiting, for this long: one more. Some idle for this long: one less. Seconds.
GROW_SECONDS: Final = 1.0
SHRINK_SECONDS: Final = 30.0


class Scaler:
    """Decides between `least` and `most` processes. Times in seconds of any one clock."""

    def __init__(self, *, least: int, most: int) -> None:
        self.least = least
        self.most = most
        self._full_since: float | None = None
        self._idle_since: float | None = None

    def decide(self, now: float, *, processes: int, busy: int, waiting: Callable[[], bool]) -> int:
        """Return +1 to grow, -1 to shrink, 0 to stay. `waiting` is asked only where it matters."""
        if busy < processes:
            self._full_since = None
            return self._when_idle(now, processes)
        self._idle_since = None
        return self._when_full(now, processes, waiting)

    def _when_full(self, now: float, processes: int, waiting: Callable[[], bool]) -> int:
        if self._full_since is None:
            self._full_since = now
        if processes >= self.most or now - self._full_since < GROW_SECONDS or not waiting():
            return 0
        self._full_since = now  # the next one after another while
        return 1

    def _when_idle(self, now: float, processes: int) -> int:
        if self._idle_since is None:
            self._idle_since = now
        if processes <= self.least or now - self._idle_since < SHRINK_SECONDS:
            return 0
        self._idle_since = now
        return -1
