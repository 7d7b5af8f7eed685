"""A connection's byte stream with a deadline: however slowly the other side sends or reads, it ends."""

from __future__ import annotations

import io
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class Deadline:
    """When a connection's present phase must be over; shared by both directions."""

    def __init__(self) -> None:
        self._ends = float("inf")

    def allow(self, seconds: float) -> None:
        """Let the next phase take `seconds` from now."""
        self._ends = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left; raise TimeoutError when there are none."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the connection's time is over")
        return left


class TimedStream(io.RawIOBase):
    """A socket as a raw stream; no read or write outlives the deadline or waits longer than `idle` seconds."""

    def __init__(self, connection: socket.socket, deadline: Deadline, *, idle: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._idle = idle

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read what is there, at least one byte; 0 at the end. Raise TimeoutError, ConnectionError."""
        self._connection.settimeout(min(self._idle, self._deadline.left()))
        return self._connection.recv_into(buffer)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some bytes; return how many. Raise TimeoutError, ConnectionError."""
        self._connection.settimeout(min(self._idle, self._deadline.left()))
        return self._connection.send(data)
