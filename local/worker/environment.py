"""An execution environment: one process that runs handlers, one call at a time, as Lambda's would."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

import msgspec

from chalicelib.aws import clients
from chalicelib.jobs import stopping
from chalicelib.jobs.stopping import Stopping
from chalicelib.logs import logger
from chalicelib.processes import die_with
from local.worker import code
from local.worker.context import LambdaContext

# How often an environment looks whether its worker still lives.
_LOOK_SECONDS = 1.0


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One invocation."""

    # Name of the function, as in app.py.
    function: str
    event: dict[str, Any]
    # What the function's time limit is.
    seconds: float


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an invocation: the handler's result, or what it raised."""

    result: Any = None
    error: str | None = None


def serve(pipe: Connection, functions: Sequence[str]) -> None:
    """Say that it is ready to run `functions`, then run calls until the pipe closes. The process's target."""
    # The parent is the fork server; that this may be gone already is no matter: the closed pipe ends it, too.
    die_with(os.getppid())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _on_stop)
    try:
        _warm_up(functions)
        pipe.send_bytes(msgspec.msgpack.encode(Answer()))
        while True:
            with stopping.interruptible():
                raw = pipe.recv_bytes()
            with _lifeline(pipe):
                answer = invoke(msgspec.msgpack.decode(raw, type=Call))
            pipe.send_bytes(msgspec.msgpack.encode(answer))
    except (EOFError, OSError, Stopping):
        # The warm child would wait for this process, and Python would wait for the child at its end.
        for child in multiprocessing.active_children():
            child.kill()


def _warm_up(functions: Sequence[str]) -> None:
    """Have everything that the first job needs: the code, and clients, which take 50 ms each to make."""
    for function in functions:
        code.handler(function)
    for make in (clients.dynamodb, clients.sqs, clients.s3):
        make()


@contextmanager
def _lifeline(pipe: Connection) -> Iterator[None]:
    """Stop the work when the worker dies: during a call it sends nothing, so its pipe is readable only at its end.

    A timer looks, not a thread: this process forks.
    """

    def look(_signal: int, _frame: FrameType | None) -> None:
        if pipe.poll():
            signal.setitimer(signal.ITIMER_REAL, 0)
            stopping.request()

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, _LOOK_SECONDS, _LOOK_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def invoke(call: Call) -> Answer:
    """Run one handler in this process."""
    handler = code.handler(call.function)
    context = LambdaContext(call.function, seconds=call.seconds)
    try:
        return Answer(result=handler(call.event, context))
    except Exception as error:
        logger.exception("handler failed", extra={"function": call.function})
        return Answer(error=f"{type(error).__name__}: {error}")


def _on_stop(_signal: int, _frame: FrameType | None) -> None:
    """The worker is stopping and will not wait longer: give the job back."""
    stopping.request()
