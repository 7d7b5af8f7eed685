"""When to start again what ended: at once, and after pauses that double while it keeps ending."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
# What was well for this long is forgiven: its next end counts as the first.
WELL_SECONDS: Final = 60.0


class Restarts:
    """The restarts of one thing. `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries = 0
        self._due = float("-inf")
        self._well_since: float | None = None

    def well(self) -> None:
        """Note that it is well now. To be called as long as it is."""
        now = self._clock()
        if self._well_since is None:
            self._well_since = now
        if now - self._well_since >= WELL_SECONDS:
            self._tries = 0

    def due(self) -> bool:
        """Tell whether to try now."""
        self._well_since = None
        return self._clock() >= self._due

    def tried(self) -> None:
        """Note that a try ended now, however it ended."""
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self._tries, 16))
        self._tries += 1
        self._due = self._clock() + pause
