"""A web server on this machine that answers as a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from chalicelib import settings

Answer = Callable[["Handler"], None]


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Web(ThreadingHTTPServer):
    """Answers by path; anything else is 404."""

    daemon_threads = True

    def __init__(self, certificate: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        # Set when the test is over: ends answers that never end.
        self.closing = threading.Event()
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"

    @property
    def port(self) -> int:
        return self.server_address[1]

    def url(self, path: str = "/") -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Web
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        self.server.asked.append(Asked(self.command, self.path, dict(self.headers), body))
        self.server.answers.get(self.path, reply(404))(self)
        self.close_connection = True

    do_POST = do_GET

    def log_message(self, *_args: object) -> None:
        pass


def reply(status: int = 200, body: bytes = b"", kind: str = "text/plain", **headers: str) -> Answer:
    """Answer with a whole body; `Retry_After="5"` becomes a header."""

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **given}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def redirect(location: str, status: int = 302) -> Answer:
    return reply(status, Location=location)


def endless(handler: Handler) -> None:
    """Send bytes until the client hangs up."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.closing.is_set():
        handler.wfile.write(bytes(65536))


def dripping(handler: Handler) -> None:
    """Send a byte now and then, each well within any time limit for one read."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.closing.wait(0.02):
        handler.wfile.write(b"x")


def silent(handler: Handler) -> None:
    """Never answer."""
    handler.server.closing.wait()


def in_turn(*answers: Answer) -> Answer:
    """Give one answer after the other; the last one for ever."""
    left = list(answers)

    def answer(handler: Handler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


@contextmanager
def serving(certificate: str | None = None) -> Iterator[Web]:
    """Run a server for the time of the block."""
    web = Web(certificate)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        web.closing.set()
        web.shutdown()
        thread.join()
        web.server_close()


@contextmanager
def allowing(*pairs: str) -> Iterator[None]:
    """Let links and webhooks reach these `address:port` pairs for the time of the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNCBOARD_NETWORK_ALLOW", ",".join(pairs))
        settings.get.cache_clear()
        yield
    settings.get.cache_clear()
