"""The threaded server behind the gateway: a thread for each connection, and a bound on how many there are."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import sys
import threading
from http.server import HTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, Final

from chalicelib.errors import Unavailable

# Connections at a time, each of which has a thread. A browser opens six.
MAX_CONNECTIONS: Final = 512


def connection_limit() -> int:
    """Return how many connections to serve at a time.

    A form has two, in and out: both must fit into the open files that the system allows.
    """
    most_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most_files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(8, min(MAX_CONNECTIONS, most_files // 2))


class Gateway(ThreadingMixIn, HTTPServer):
    """A server that takes many connections at once and stops without waiting for idle ones."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    # Folder of the bundled samples.
    samples: Path
    # On Linux a port in TIME_WAIT may be taken again, one in use may not.
    allow_reuse_address = True

    def __init__(self, *arguments: Any, max_connections: int = MAX_CONNECTIONS) -> None:
        self._slots = threading.BoundedSemaphore(max_connections)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own; with too many of them answer 503 and close it."""
        if not self._slots.acquire(blocking=False):
            self._turn_away(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:
            # No thread could be started: the machine is full.
            self._slots.release()
            self._turn_away(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def _turn_away(self, request: socket.socket) -> None:
        body = json.dumps({"error": Unavailable("There are too many connections.").as_dict()})
        head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
        with contextlib.suppress(OSError):
            request.setblocking(False)
            request.send(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours; anything else is shown."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)
