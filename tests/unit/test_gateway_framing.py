"""One reading of where a request ends, of whom it is from, and of how long it may take."""

from __future__ import annotations

import io
import socket
from email.message import Message
from http.client import parse_headers

import pytest

from chalicelib.errors import InvalidRequest, NotFound, SyncBoardError, TooLarge
from local import framing, session
from local.connection import Deadline, TimedStream


def head(*lines: str) -> Message:
    return parse_headers(io.BytesIO("".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")))


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (("Content-Length: " + "1" * 5000,), TooLarge),
        (("Content-Length: 5", "Content-Length: 5"), InvalidRequest),
        (("Content-Length: 0", "content-length: 40"), InvalidRequest),
        (("Content-Length: +5",), InvalidRequest),
        (("Content-Length: 5, 5",), InvalidRequest),
        (("Content-Length: \xb2",), InvalidRequest),
        (("Content-Length:",), InvalidRequest),
        (("Transfer-Encoding: Chunked",), InvalidRequest),
        (("transfer-encoding: identity", "Content-Length: 5"), InvalidRequest),
        (("X: y", "Content-Length : 40"), InvalidRequest),
        (("X: y", " folded"), InvalidRequest),
        (("Host: a", "Host: b"), InvalidRequest),
    ],
)
def test_a_length_that_can_be_read_in_two_ways_is_refused(
    lines: tuple[str, ...], error: type[SyncBoardError]
) -> None:
    with pytest.raises(error):
        framing.body_length(head(*lines))


def test_a_plain_length_is_taken_and_a_missing_one_is_none() -> None:
    assert framing.body_length(head("Content-Length: 12")) == 12
    assert framing.body_length(head("Host: a")) == 0
    assert (
        framing.body_length(head("Content-Type: multipart/form-data; boundary=x", "Content-Length: 9")) == 9
    )


@pytest.mark.parametrize(
    "target", ["/a#b", "http://x/a", "*", "/a\x1b[31m", "/a\x00", "/a b", "/\xff", "a", ""]
)
def test_a_target_that_is_no_plain_path_is_refused(target: str) -> None:
    with pytest.raises(InvalidRequest):
        framing.check_target(target)


def test_a_percent_encoded_target_is_taken() -> None:
    framing.check_target("/jobs/%20x/status?limit=1&cursor=a+b~")


@pytest.mark.parametrize(
    ("lines", "own"),
    [
        (("Host: a:1",), True),
        (("Host: a:1", "Origin: http://a:1", "Sec-Fetch-Site: same-origin"), True),
        (("Host: a:1", "Origin: http://a:2"), False),
        (("Host: a:1", "Origin: null"), False),
        (("Origin: null",), False),
        (("Host: a:1", "Sec-Fetch-Site: cross-site"), False),
        (("Host: a:1", "Sec-Fetch-Site: same-site"), False),
    ],
)
def test_another_sites_page_is_told_from_our_own(lines: tuple[str, ...], own: bool) -> None:
    assert framing.is_own_site(head(*lines)) is own


def test_the_session_is_for_a_caller_on_this_machine_by_its_own_name() -> None:
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
        session.check_caller("127.0.0.1", head(f"Host: {host}"))


@pytest.mark.parametrize(
    ("address", "lines"),
    [
        ("10.0.0.5", ("Host: localhost",)),
        ("127.0.0.1", ("Host: evil.example",)),
        ("127.0.0.1", ("Host: evil@localhost",)),
        ("127.0.0.1", ("Host: [",)),
        ("127.0.0.1", ()),
        ("127.0.0.1", ("Host: localhost", "Origin: https://evil.example")),
        ("127.0.0.1", ("Host: localhost", "Sec-Fetch-Site: cross-site")),
        *(
            ("127.0.0.1", ("Host: localhost", f"{name}: 1.2.3.4"))
            for name in ("X-Forwarded-For", "x-forwarded-proto", "Forwarded", "Via", "X-Real-IP")
        ),
    ],
)
def test_nobody_else_gets_the_session(address: str, lines: tuple[str, ...]) -> None:
    with pytest.raises(NotFound):
        session.check_caller(address, head(*lines))


def test_a_drip_of_bytes_does_not_outlive_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("local.connection.time.monotonic", lambda: clock[0])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        deadline = Deadline()
        deadline.allow(30)
        stream = TimedStream(ours, deadline, idle=65)
        for clock[0] in (10.0, 29.0):
            theirs.send(b"x")
            assert stream.read(1) == b"x"
        clock[0] = 31.0
        theirs.send(b"x")
        with pytest.raises(TimeoutError):
            stream.read(1)
        with pytest.raises(TimeoutError):
            stream.write(b"x")


def test_a_silent_connection_ends_before_its_deadline() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        deadline = Deadline()
        deadline.allow(60)
        with pytest.raises(TimeoutError):
            TimedStream(ours, deadline, idle=0.01).read(1)
