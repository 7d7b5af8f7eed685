"""What interference shares with the thread that hands in files."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

from tests.chaos.load import Handed


class Handle:
    """What a storm's interference shares with the thread that hands in files."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.handed: list[Handed] = []
        # Ids of documents that were deleted or merged into others.
        self.deleted: set[str] = set()

    def pauses(self, dice: random.Random, least: float, most: float) -> Iterator[None]:
        """Yield after each random pause until told to stop."""
        while not self.stopping.wait(dice.uniform(least, most)):
            yield
