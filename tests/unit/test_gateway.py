"""The gateway over a socket: what it answers to what no well-behaved client sends, and that it stays in step."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chalice.app import Chalice

from chalicelib import settings
from local import gateway as gateway_module
from local.gateway import Gateway, make_gateway
from tests.stack import eventually

HOST = "Host: 127.0.0.1\r\n"
NEXT = f"GET /next-request HTTP/1.1\r\n{HOST}\r\n"


def an_api() -> Chalice:
    """An API of one route. Chalice turns the app that it serves into a local one for good: not the real one here."""
    api = Chalice("api")

    @api.route("/upload_file", methods=["POST"])
    def upload_file() -> dict[str, int]:
        return {"bytes": len(api.current_request.raw_body)}

    return api


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jwt_secret: None) -> Iterator[Gateway]:
    monkeypatch.setenv("SYNCBOARD_UPLOAD_PATH", "/_s3")
    # Nobody listens there: what gets so far answers 503.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    settings.get.cache_clear()
    monkeypatch.setattr(gateway_module, "_LINGER_SECONDS", 0.2)
    made = make_gateway(an_api(), host="127.0.0.1", port=0, samples=tmp_path)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def connect(gateway: Gateway) -> socket.socket:
    return socket.create_connection(gateway.server_address[:2], timeout=10)  # type: ignore[arg-type]


def exchange(gateway: Gateway, data: str) -> list[tuple[int, Any]]:
    """Send bytes, then nothing more; return the status and JSON body of every answer."""
    with connect(gateway) as client:
        client.sendall(data.encode("latin-1"))
        client.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := client.recv(65536):
            received += chunk
    answers = re.split(rb"(?=HTTP/1\.1 \d{3} )", received)[1:]
    return [
        (int(answer[9:12]), json.loads(answer.partition(b"\r\n\r\n")[2] or b"null")) for answer in answers
    ]


def status(gateway: Gateway, data: str) -> int:
    ((code, body),) = exchange(gateway, data)
    assert body["error"]["message"]
    return code


@pytest.mark.parametrize("path", ["/upload_file", "/_s3/unit-bucket"])
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Content-Length: " + "1" * 5000, 413),
        ("Content-Length: 0\r\nContent-Length: 40", 400),
        ("Content-Length: -1", 400),
        ("Transfer-Encoding: Chunked", 400),
        ("Transfer-Encoding: identity\r\nContent-Length: 0", 400),
        ("X : y\r\nContent-Length: 40", 400),
    ],
)
def test_a_body_of_doubtful_length_is_refused_and_hides_no_second_request(
    gateway: Gateway, path: str, header: str, expected: int
) -> None:
    assert status(gateway, f"POST {path} HTTP/1.1\r\n{HOST}{header}\r\n\r\n{NEXT}") == expected


@pytest.mark.parametrize("path", ["/_local/session", "/_s3/unit-bucket/texts/a/b"])
def test_a_body_where_none_belongs_hides_no_second_request(gateway: Gateway, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\n{HOST}Content-Length: {len(NEXT)}\r\n\r\n{NEXT}"
    assert status(gateway, request) == 404


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "HEAD", "BREW"])
def test_a_method_that_no_address_takes_is_told_which_ones_this_one_takes(
    gateway: Gateway, method: str
) -> None:
    with connect(gateway) as client:
        client.sendall(f"{method} /upload_file HTTP/1.1\r\n{HOST}\r\n".encode())
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nAllow: POST\r\n" in answer


def test_good_requests_on_one_connection_have_one_answer_each(gateway: Gateway) -> None:
    posts = "".join(
        f"POST /upload_file HTTP/1.1\r\n{HOST}Content-Length: {size}\r\n\r\n{'x' * size}"
        for size in (3, 0, 40_000)
    )
    assert exchange(gateway, posts) == [(200, {"bytes": size}) for size in (3, 0, 40_000)]


def test_a_client_that_waits_for_the_word_gets_it(gateway: Gateway) -> None:
    with connect(gateway) as client:
        head = f"POST /upload_file HTTP/1.1\r\n{HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        client.sendall(head.encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        client.sendall(b"abc")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "PROPFIND", "FOO"])
@pytest.mark.parametrize("path", ["/jobs", "/_s3/unit-bucket", "/_local/session"])
def test_unknown_methods_answer_405_in_the_one_shape(gateway: Gateway, method: str, path: str) -> None:
    assert status(gateway, f"{method} {path} HTTP/1.1\r\n{HOST}\r\n") == 405


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("GET /_s3/unit-bucket/x?X-Amz-Signature=1#&list-type=2 HTTP/1.1", 400),
        ("GET http://x/_s3/unit-bucket/x?X-Amz-Signature=1 HTTP/1.1", 400),
        ("GET /jobs/\x1b[31m/status HTTP/1.1", 400),
        ("GET /jobs/\xff HTTP/1.1", 400),
        ("GET /_s3/unit-bucket//?X-Amz-Signature=1 HTTP/1.1", 404),
        ("GET /_s3/unit-bucket/../_ministack/health?X-Amz-Signature=1 HTTP/1.1", 404),
        ("GET /jobs HTTP/9.9", 505),
        ("NONSENSE", 400),
        ("GET /jobs", 400),
        ("GET /" + "a" * 70_000 + " HTTP/1.1", 414),
    ],
)
def test_a_malformed_target_is_refused_in_the_one_shape(gateway: Gateway, line: str, expected: int) -> None:
    assert status(gateway, f"{line}\r\n{HOST}\r\n") == expected


def test_a_call_of_another_service_does_not_pass(gateway: Gateway) -> None:
    body = "Action=CreateStack&Version=2010-05-15&StackName=x"
    kind = "Content-Type: application/x-www-form-urlencoded\r\n"
    request = f"POST /_s3/unit-bucket HTTP/1.1\r\n{HOST}{kind}Content-Length: {len(body)}\r\n\r\n{body}"
    assert status(gateway, request) == 400


@pytest.mark.parametrize(
    "header", ["Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Origin: null"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_sites_page_is_kept_from_the_bucket(gateway: Gateway, header: str, method: str) -> None:
    assert status(gateway, f"{method} /_s3/unit-bucket HTTP/1.1\r\n{HOST}{header}\r\n\r\n") == 403


def test_the_session_is_not_given_through_a_proxy(gateway: Gateway) -> None:
    assert exchange(gateway, f"GET /_local/session HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n")[0][1][
        "token"
    ]
    for header in ("X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4", "Via: 1.1 proxy"):
        assert status(gateway, f"GET /_local/session HTTP/1.1\r\n{HOST}{header}\r\n\r\n") == 404


def test_a_client_that_waits_for_the_word_is_told_of_a_refusal_at_once(gateway: Gateway) -> None:
    head = f"POST /_s3/unit-bucket HTTP/1.1\r\n{HOST}Expect: 100-continue\r\n"
    kind = "Content-Type: multipart/form-data; boundary=x\r\n"
    assert status(gateway, f"{head}{kind}Transfer-Encoding: chunked\r\n\r\n") == 400


def test_a_refused_body_is_read_on_so_that_the_client_sees_the_answer(gateway: Gateway) -> None:
    body = "x" * 5_000_000
    kind = "Content-Type: application/xml\r\n"
    request = f"POST /_s3/unit-bucket HTTP/1.1\r\n{HOST}{kind}Content-Length: {len(body)}\r\n\r\n{body}"
    assert status(gateway, request) == 400


def test_a_body_that_drips_in_ends_with_its_time(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_module, "BODY_SECONDS", 0.1)
    with connect(gateway) as client:
        client.sendall(f"POST /upload_file HTTP/1.1\r\n{HOST}Content-Length: 40\r\n\r\nx".encode())
        assert client.recv(1000) == b""


def test_a_head_that_drips_in_ends_with_its_time(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_module, "IDLE_SECONDS", 0.1)
    with connect(gateway) as client:
        client.sendall(b"POST /upload_file HTTP/1.1\r\nX: ")
        assert client.recv(1000) == b""


def test_one_connection_too_many_is_turned_away_until_another_ends(tmp_path: Path) -> None:
    made = make_gateway(an_api(), host="127.0.0.1", port=0, samples=tmp_path)
    made._slots = threading.BoundedSemaphore(2)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with connect(made) as first, connect(made) as second:
            assert served(first)
            assert served(second)
            with connect(made) as third:
                assert third.recv(1000).startswith(b"HTTP/1.1 503")
            assert served(first)
        eventually(lambda: answers(made), bool, seconds=10)
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


def served(client: socket.socket) -> bool:
    client.sendall(f"POST /upload_file HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n".encode())
    return client.recv(1000).startswith(b"HTTP/1.1 200")


def answers(gateway: Gateway) -> bool:
    """A slot is free as soon as the server has seen a client leave."""
    try:
        with connect(gateway) as client:
            return served(client)
    except ConnectionError:
        return False
