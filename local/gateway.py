"""The API on one port: Chalice's local gateway on a threaded server, and two things that only a laptop needs.

Uploads are passed on to the emulator's bucket (`local.forwarding`), so that one open port is enough. `/_local/…`
signs the page in without typing (`local.session`), for a browser on this very machine only.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import ChaliceRequestHandler, create_local_server

from chalicelib import settings
from chalicelib.api.headers import SECURITY_HEADERS
from chalicelib.errors import (
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    SyncBoardError,
    TooLarge,
)
from chalicelib.settings import MB
from local import forwarding, framing, session
from local.connection import Deadline, TimedStream
from local.server import Gateway, connection_limit
from local.session import is_sample

__all__ = ["Gateway", "GatewayHandler", "is_sample", "make_gateway"]

# API Gateway's own limit of a request.
MAX_BODY_BYTES: Final = 10 * MB
# A connection that is silent for so long is gone; a request's head takes no longer, either.
IDLE_SECONDS: Final = 65.0
# How long a body may take: the API's, or a form's up to its file, before it is known whose it is.
BODY_SECONDS: Final = 30.0
# A signed form's file: so long, and longer for a big one by this least rate.
FILE_SECONDS: Final = 300.0
FILE_BYTES_PER_SECOND: Final = 256 * 1024
# How long an answer may take to be read.
ANSWER_SECONDS: Final = 300.0
# What is still read of a refused body, so that the client gets to see the answer.
_LINGER_SECONDS: Final = 2.0
_LINGER_BYTES: Final = 16 * MB
_CHUNK: Final = 256 * 1024


class GatewayHandler(ChaliceRequestHandler):  # type: ignore[misc]
    """One connection."""

    disable_nagle_algorithm = True
    server_version = "SyncBoard"
    sys_version = ""

    def setup(self) -> None:
        """Make the streams: headers and body leave in one packet, and nothing outlives its deadline."""
        super().setup()
        self.deadline = Deadline()
        self._length = 0
        self._expects_continue = False
        stream = TimedStream(self.connection, self.deadline, idle=IDLE_SECONDS)
        self.rfile = io.BufferedReader(stream)
        self.wfile = io.BufferedWriter(TimedStream(self.connection, self.deadline, idle=IDLE_SECONDS))

    # --- One request -----------------------------------------------------------------------------------------

    def handle_one_request(self) -> None:
        """Read a request's head, within its time, and serve it."""
        self.deadline.allow(IDLE_SECONDS)
        self._expects_continue = False
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Parse the head; HTTP/0.9 has none and is not spoken."""
        parsed = bool(super().parse_request())
        if parsed and self.request_version == "HTTP/0.9":
            self.send_error(HTTPStatus.BAD_REQUEST)
            return False
        return parsed

    def handle_expect_100(self) -> bool:
        """Wait with `100 Continue` until the body is wanted."""
        self._expects_continue = True
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the server's base class refuses, in the one shape."""
        self.close_connection = True
        # A request line that was not understood counts as HTTP/0.9, whose answers have no head.
        self.request_version = self.protocol_version
        unknown_method = code == HTTPStatus.NOT_IMPLEMENTED
        text = message or HTTPStatus(code).phrase
        if unknown_method:
            self._not_allowed()
        else:
            self._json(code, {"error": InvalidRequest(text).as_dict()})

    def _not_allowed(self) -> None:
        error = MethodNotAllowed("This address does not take that method.")
        self._json(error.status, {"error": error.as_dict()}, allow=self._allowed())

    def _allowed(self) -> str:
        """Return which methods the address takes (RFC 9110: a 405 says so)."""
        converter = self.local_gateway.event_converter
        try:
            route = converter._route_matcher.match_route(urlsplit(self.path).path).route
        except ValueError:
            return "GET, POST, PUT, DELETE"
        return ", ".join(self.local_gateway._app_object.routes[route])

    def _generic_handle(self) -> None:
        self.deadline.allow(BODY_SECONDS)
        try:
            framing.check_target(self.path)
            self._length = framing.body_length(self.headers)
            self._route(urlsplit(self.path).path)
        except SyncBoardError as error:
            # The body may not have been read: the connection can't be used again.
            self.close_connection = True
            self.deadline.allow(ANSWER_SECONDS)
            self._json(error.status, {"error": error.as_dict()})
            self._linger()

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _generic_handle

    def do_OPTIONS(self) -> None:
        """Answer 405: the page needs no CORS, and nobody else gets any."""
        self.send_error(HTTPStatus.NOT_IMPLEMENTED)

    def do_HEAD(self) -> None:
        """Answer without a body: no route takes HEAD."""
        self.close_connection = True
        self.send_response(HTTPStatus.METHOD_NOT_ALLOWED)
        self.send_header("Content-Length", "0")
        self.send_header("Allow", self._allowed())
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """The API logs its requests itself."""

    def _route(self, path: str) -> None:
        prefix = settings.get().upload_path
        if path.startswith("/_local/"):
            self._local(path.removeprefix("/_local/"))
        elif prefix and path.startswith(f"{prefix}/"):
            self._bucket(self.path.removeprefix(f"{prefix}/"))
        else:
            self._api(path)

    # --- The API ---------------------------------------------------------------------------------------------

    def _api(self, path: str) -> None:
        if self._length > MAX_BODY_BYTES:
            raise TooLarge(
                f"A request carries at most {MAX_BODY_BYTES // MB} MB. "
                "Larger files: POST /uploads answers a form to upload to.",
                limit_bytes=MAX_BODY_BYTES,
                use="POST /uploads",
            )
        try:
            self.local_gateway.event_converter._route_matcher.match_route(path)
        except ValueError:
            raise NotFound("There is no such address.", path=path[:200]) from None
        super()._generic_handle()

    def _parse_payload(self) -> tuple[dict[str, str], bytes | None]:
        """Read the body for Chalice; from then on the time is the answer's."""
        self._continue()
        body = self.rfile.read(self._length) if self._length else None
        if body is not None and len(body) < self._length:
            raise ConnectionError("the client stopped sending")
        self.deadline.allow(ANSWER_SECONDS)
        return dict(self.headers), body

    # --- What only this port has -----------------------------------------------------------------------------

    def _local(self, name: str) -> None:
        if self.command != "GET" or self._length:
            raise NotFound("There is no such address.")
        session.check_caller(self.client_address[0], self.headers)
        samples = cast(Gateway, self.server).samples
        if name == "session":
            self._json(HTTPStatus.OK, session.open_session(samples))
        else:
            body = session.read_sample(samples, name.removeprefix("samples/"))
            self._raw(HTTPStatus.OK, body, "application/octet-stream")

    def _bucket(self, target: str) -> None:
        if not framing.is_own_site(self.headers):
            raise framing.Forbidden("Another site's page may not use this address.")
        if self.command == "GET" and not self._length:
            with forwarding.get_object(target) as answer:
                self._pass_back(answer)
        elif self.command == "POST":
            self._continue()
            kind = self.headers.get("content-type", "")
            with forwarding.post_form(target, kind, self._length, self.rfile, self._allow_file) as answer:
                self._pass_back(answer)
        else:
            raise NotFound("There is no such address.")

    def _allow_file(self) -> None:
        self.deadline.allow(FILE_SECONDS + self._length / FILE_BYTES_PER_SECOND)

    def _pass_back(self, answer: http.client.HTTPResponse) -> None:
        length = int(answer.headers.get("Content-Length") or 0)
        self.deadline.allow(ANSWER_SECONDS + length / FILE_BYTES_PER_SECOND)
        body = None if length else answer.read()
        self.send_response(answer.status)
        for name in ("Content-Type", "ETag"):
            if value := answer.headers.get(name):
                self.send_header(name, value)
        self.send_header("Content-Length", str(length if body is None else len(body)))
        # Somebody's text is no page of this origin.
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "sandbox; default-src 'none'")
        self.end_headers()
        if body is not None:
            self.wfile.write(body)
        while body is None and (chunk := answer.read(_CHUNK)):
            self.wfile.write(chunk)

    # --- Answers ---------------------------------------------------------------------------------------------

    def _continue(self) -> None:
        if self._expects_continue:
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
            self.wfile.flush()

    def _json(self, status: int, body: Any, *, allow: str = "") -> None:
        self._raw(status, json.dumps(body).encode(), "application/json", allow=allow)

    def _raw(self, status: int, body: bytes, content_type: str, *, allow: str = "") -> None:
        self.send_response(status)
        if allow:
            self.send_header("Allow", allow)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        for name, value in SECURITY_HEADERS.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _linger(self) -> None:
        """Read on for a moment: closing with unread bytes would reset the connection under the answer."""
        self.wfile.flush()
        self.deadline.allow(_LINGER_SECONDS)
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            left = _LINGER_BYTES
            while left > 0 and (chunk := self.rfile.read1(_CHUNK)):
                left -= len(chunk)


def make_gateway(app: Chalice, *, host: str, port: int, samples: Path) -> Gateway:
    """Bind a gateway for `app`; serve it with `serve_forever`. Raise OSError where the port can't be had."""
    # Chalice's own factory makes the app's current request thread-local; its server is replaced by ours.
    local = create_local_server(app, Config.create(lambda_timeout=30), "127.0.0.1", 0)
    local.server.server_close()
    config = Config.create(lambda_timeout=30)

    def handle(*arguments: Any) -> GatewayHandler:
        return GatewayHandler(*arguments, app_object=app, config=config)

    if ":" in host:
        Gateway.address_family = socket.AF_INET6
    gateway = Gateway((host, port), handle, max_connections=connection_limit())
    gateway.samples = samples
    return gateway
