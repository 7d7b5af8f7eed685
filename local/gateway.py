"""The API on one port: Chalice's local gateway on a threaded server, and two things that only a laptop needs.

Uploads are passed on to the emulator's bucket, so that one open port is enough. `/_local/…` signs the page in
without typing, for a browser on this very machine only.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
from http.server import HTTPServer
from ipaddress import ip_address
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, BinaryIO, Final, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import ChaliceRequestHandler, create_local_server

from chalicelib import settings
from chalicelib.api import tokens
from chalicelib.errors import NotFound, SyncBoardError, TooLarge, Unavailable
from chalicelib.settings import MB

# API Gateway's own limit of a request.
MAX_BODY_BYTES: Final = 10 * MB
# A form's fields beside the file.
_FORM_OVERHEAD_BYTES: Final = 64 * 1024
_CHUNK: Final = 256 * 1024
_SESSION_SECONDS: Final = 7 * 24 * 3600
_LOCAL_USER: Final = "demo"


class Gateway(ThreadingMixIn, HTTPServer):
    """A server that takes many connections at once and stops without waiting for idle ones."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    # Folder of the bundled samples.
    samples: Path
    # On Linux a port in TIME_WAIT may be taken again, one in use may not.
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours; anything else is shown."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class GatewayHandler(ChaliceRequestHandler):  # type: ignore[misc]
    """One connection."""

    # Headers and body leave in one packet, at once.
    wbufsize = -1
    disable_nagle_algorithm = True
    # A client that says nothing for so long is gone.
    timeout = 65
    server_version = "SyncBoard"
    sys_version = ""

    def _generic_handle(self) -> None:
        path = urlsplit(self.path).path
        try:
            if path.startswith("/_local/"):
                self._local(path.removeprefix("/_local/"))
            elif (prefix := settings.get().upload_path) and path.startswith(prefix + "/"):
                self._forward(path.removeprefix(prefix + "/"))
            else:
                self._api(path)
        except SyncBoardError as error:
            # The body may not have been read: the connection can't be used again.
            self.close_connection = True
            self._json(error.status, {"error": error.as_dict()})

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = _generic_handle

    def do_HEAD(self) -> None:
        """Answer without a body: no route takes HEAD."""
        self.send_response(405)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """The API logs its requests itself."""

    def _api(self, path: str) -> None:
        if "chunked" in self.headers.get("transfer-encoding", ""):
            raise TooLarge("Send the body with a Content-Length.", limit_bytes=MAX_BODY_BYTES)
        if self._content_length() > MAX_BODY_BYTES:
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

    def _content_length(self) -> int:
        text = self.headers.get("content-length", "0")
        return int(text) if text.isascii() and text.isdigit() else MAX_BODY_BYTES + 1

    def _json(self, status: int, body: Any) -> None:
        self._raw(status, json.dumps(body).encode(), "application/json")

    def _raw(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    # --- Only on one machine -------------------------------------------------------------------------------

    def _local(self, name: str) -> None:
        if self.command != "GET" or not self._from_this_machine():
            raise NotFound("There is no such address.")
        server = cast(Gateway, self.server)
        files = {path.name: path for path in sorted(server.samples.glob("*")) if is_sample(path)}
        if name == "session":
            token = tokens.issue(_LOCAL_USER, seconds=_SESSION_SECONDS)
            listed = [{"name": file, "url": f"_local/samples/{file}"} for file in files]
            self._json(200, {"token": token, "user": _LOCAL_USER, "samples": listed})
            return
        path = files.get(unquote(name.removeprefix("samples/")))
        if path is None:
            raise NotFound("There is no such sample.")
        self._raw(200, path.read_bytes(), "application/octet-stream")

    def _from_this_machine(self) -> bool:
        """Both the caller and the name it called are this machine: a rebound host name gets no token."""
        host = urlsplit(f"//{self.headers.get('host', '')}").hostname or ""
        if self.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        return _is_loopback(self.client_address[0]) and (host == "localhost" or _is_loopback(host))

    # --- The bucket, through this port -----------------------------------------------------------------------

    def _forward(self, target: str) -> None:
        """Pass a presigned request on to the emulator: a form to the bucket, or a signed link to one object."""
        bucket, _, key = target.partition("/")
        query = parse_qsl(urlsplit(self.path).query, keep_blank_values=True)
        signed_link = bool(key) and any(name == "X-Amz-Signature" for name, _ in query)
        harmless = all(name.startswith("X-Amz-") for name, _ in query)
        form = self.command == "POST" and not key and not query
        if bucket != settings.get().bucket or not (
            form or (self.command == "GET" and signed_link and harmless)
        ):
            raise NotFound("There is no such address.")
        length = self._content_length_of_form() if form else 0
        endpoint = urlsplit(settings.get().endpoint_url or "")
        connection = http.client.HTTPConnection(endpoint.hostname or "", endpoint.port or 80, timeout=120)
        try:
            path = self.path.removeprefix(settings.get().upload_path or "")
            connection.putrequest(self.command, path, skip_accept_encoding=True)
            for name in ("Content-Type", "Content-Length"):
                if name in self.headers:
                    connection.putheader(name, self.headers[name])
            connection.endheaders()
            _copy(self.rfile, connection, length)
            answer = connection.getresponse()
            self._pass_back(answer)
        except (http.client.HTTPException, OSError) as error:
            raise Unavailable("The storage does not answer.") from error
        finally:
            connection.close()

    def _content_length_of_form(self) -> int:
        text = self.headers.get("content-length", "")
        if not (text.isascii() and text.isdigit()):
            raise TooLarge("Send the form with a Content-Length.")
        limit = settings.get().max_upload_bytes
        if int(text) > limit + _FORM_OVERHEAD_BYTES:
            raise TooLarge(f"A file may have at most {limit // MB} MB here.", limit_bytes=limit)
        return int(text)

    def _pass_back(self, answer: http.client.HTTPResponse) -> None:
        body = answer.read()
        self.send_response(answer.status)
        for name in ("Content-Type", "ETag", "Location"):
            if value := answer.headers.get(name):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


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
    gateway = Gateway((host, port), handle)
    gateway.samples = samples
    return gateway


def is_sample(path: Path) -> bool:
    """Tell whether a file in the samples folder is one to submit, not one that describes or makes them."""
    return path.is_file() and path.suffix != ".json" and path.name not in ("make.py", "README.md")


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _copy(source: BinaryIO, connection: http.client.HTTPConnection, length: int) -> None:
    while length > 0:
        chunk = source.read(min(_CHUNK, length))
        if not chunk:
            raise ConnectionError("the client stopped sending")
        connection.send(chunk)
        length -= len(chunk)
