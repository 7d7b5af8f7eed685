"""Sound, cut into windows at quiet places, while it streams by.

A recogniser's memory grows with what it is given at once (6.4 GB for 2 h), so a recording is heard in windows. A
cut through a word would garble it on both sides: it is made where the sound is quietest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

# What Whisper hears: samples per second, one channel.
SAMPLE_RATE: Final = 16_000
# Longest window, in seconds. 600 s peak at 239 MB beside the model (design notes, measured).
WINDOW_SECONDS: Final = 600
# The cut lies in the last part of the window, in seconds: everybody pauses for breath within half a minute.
_SEARCH_SECONDS: Final = 30
# Length of the quiet stretch that is looked for, in samples (200 ms), and the step of the search (10 ms).
_QUIET_SAMPLES: Final = SAMPLE_RATE // 5
_STEP_SAMPLES: Final = SAMPLE_RATE // 100

Samples = NDArray[np.int16]


class Cutter:
    """Collects samples and gives them out as windows of at most `seconds`."""

    def __init__(self, seconds: int = WINDOW_SECONDS) -> None:
        self._buffer: Samples = np.empty(seconds * SAMPLE_RATE, dtype=np.int16)
        self._filled = 0

    def add(self, samples: Samples) -> Iterator[Samples]:
        """Take in `samples` (one-dimensional); yield each window that they complete. It is the caller's to keep."""
        while len(samples):
            room = len(self._buffer) - self._filled
            taken, samples = samples[:room], samples[room:]
            self._buffer[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            if self._filled == len(self._buffer):
                yield self._cut()

    def rest(self) -> Samples:
        """Return what is left at the end: at most one window, perhaps nothing."""
        rest = self._buffer[: self._filled].copy()
        self._filled = 0
        return rest

    def _cut(self) -> Samples:
        place = quiet_place(self._buffer)
        window = self._buffer[:place].copy()
        self._filled = len(self._buffer) - place
        self._buffer[: self._filled] = self._buffer[place:].copy()
        return window


def quiet_place(samples: Samples) -> int:
    """Return the index in the middle of the quietest 200 ms of the last 30 s; of equals, the last.

    Where there are fewer samples than that, the second half is looked through. Energy is the sum of squares, by
    prefix sums: one pass.
    """
    first = max(len(samples) - _SEARCH_SECONDS * SAMPLE_RATE, len(samples) // 2)
    tail = samples[first:].astype(np.int64)
    if len(tail) <= _QUIET_SAMPLES:
        return len(samples)
    sums = np.concatenate(([0], np.cumsum(tail * tail)))
    energies = (sums[_QUIET_SAMPLES:] - sums[:-_QUIET_SAMPLES])[::_STEP_SAMPLES]
    quietest = np.flatnonzero(energies == energies.min())[-1]
    return first + int(quietest) * _STEP_SAMPLES + _QUIET_SAMPLES // 2
