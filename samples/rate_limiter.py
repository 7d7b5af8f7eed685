"""Token bucket: lets bursts through and holds the average rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class TokenBucket:
    """A bucket that holds up to `capacity` tokens and is refilled at `rate` tokens a second.

    Each request takes a token. A full bucket allows a burst; an empty one makes callers wait, so that the long-run
    average never exceeds the rate.
    """

    def __init__(self, rate: float, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        if rate <= 0 or capacity < 1:
            raise ValueError("rate must be positive and capacity at least 1")
        self._rate = rate
        self._capacity = capacity
        self._clock = clock
        self._tokens = float(capacity)
        self._updated = clock()
        self._lock = threading.Lock()

    def try_take(self, tokens: int = 1) -> bool:
        """Take `tokens` if there are enough; say whether it worked."""
        with self._lock:
            self._refill()
            if self._tokens < tokens:
                return False
            self._tokens -= tokens
            return True

    def seconds_until(self, tokens: int = 1) -> float:
        """Return how long a caller has to wait until `tokens` are there."""
        with self._lock:
            self._refill()
            return max(0.0, (tokens - self._tokens) / self._rate)

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
