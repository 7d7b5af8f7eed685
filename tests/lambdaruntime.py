"""Lambda on one machine: its Runtime API, and the environments that AWS's own runtime client runs in.

The Runtime API is the documented one (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html): the client
asks for the next invocation, and posts the response or the error. One invocation at a time per environment; one that
does not end in time is killed with its environment, and the next call gets a new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self

import msgspec

_PREFIX: Final = "/2018-06-01/runtime/"
_ARN: Final = "arn:aws:lambda:us-east-1:000000000000:function:{}"
# How long the client may take to start, with the imports of the handler: Lambda gives ten seconds, on more processor.
_INIT_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.05


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the function."""

    request_id: str
    event: bytes
    # Milliseconds since the epoch at which it is killed.
    deadline_ms: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended: one of these is set, or `timed_out`."""

    # What the handler returned.
    result: Any = None
    # What the client posted: errorType, errorMessage, stackTrace …
    error: dict[str, Any] | None = None
    timed_out: bool = False
    # Of the environment, which ended without an answer.
    exit_code: int | None = None


class _Quiet(ThreadingHTTPServer):
    """A server that says nothing of clients that were killed."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


class RuntimeApi:
    """The server that a runtime client talks to. A context manager."""

    def __init__(self) -> None:
        self._next: queue.Queue[Invocation] = queue.Queue()
        # Request id (None: of the start) and what was posted under it.
        self.answers: queue.Queue[tuple[str | None, Outcome]] = queue.Queue()
        # Set while a client waits for a call: the handler is imported.
        self.waiting = threading.Event()
        self._server = _Quiet(("127.0.0.1", 0), self._handler())

    @property
    def address(self) -> str:
        """What AWS_LAMBDA_RUNTIME_API names."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="runtime-api", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, invocation: Invocation) -> None:
        """Have a call answered by the client that asks next."""
        self._next.put(invocation)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                assert self.path == f"{_PREFIX}invocation/next", self.path
                api.waiting.set()
                call = api._next.get()
                api.waiting.clear()
                self.send_response(HTTPStatus.OK)
                self.send_header("Lambda-Runtime-Aws-Request-Id", call.request_id)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(call.deadline_ms))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", _ARN.format("tested"))
                self.send_header("Lambda-Runtime-Trace-Id", f"Root=1-{uuid.uuid4().hex}")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(call.event)))
                self.end_headers()
                self.wfile.write(call.event)

            def do_POST(self) -> None:
                said = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = self.path.removeprefix(_PREFIX).split("/")
                api.answers.put(_outcome(parts, said))
                self.send_response(HTTPStatus.ACCEPTED)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _outcome(parts: Sequence[str], said: bytes) -> tuple[str | None, Outcome]:
    match list(parts):
        case ["init", "error"]:
            return None, Outcome(error=json.loads(said))
        case ["invocation", request_id, "response"]:
            return request_id, Outcome(result=json.loads(said))
        case ["invocation", request_id, "error"]:
            return request_id, Outcome(error=json.loads(said))
    raise AssertionError(f"no such route: {parts}")


class Environment:
    """An execution environment: a process that runs the runtime client, and a way to kill all of it."""

    def __init__(self, command: Sequence[str], *, kill: Sequence[str] = (), **options: Any) -> None:
        # Another command to run first, where killing the process is not enough.
        self._kill = kill
        self._process = subprocess.Popen(
            [*command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        """Of the client, or of the engine's command."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it lives."""
        return self._process.poll()

    def kill(self) -> None:
        """End it with all that it started."""
        if self._kill:
            subprocess.run([*self._kill], check=False, capture_output=True)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout:
            for line in self._process.stdout:
                self.lines.append(line.rstrip())


class Function:
    """A function of one environment at a time. A context manager. `start` gets the Runtime API's address."""

    def __init__(self, start: Callable[[str], Environment]) -> None:
        self._start = start
        # Each environment has a Runtime API of its own: a dead client's open request must not take a call.
        self._warm: tuple[RuntimeApi, Environment] | None = None
        # All that it printed, in all environments.
        self.logs: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def environment(self) -> Environment:
        """The one that waits or works."""
        assert self._warm is not None
        return self._warm[1]

    def call(self, event: Mapping[str, Any], *, seconds: float = 60.0) -> Outcome:
        """Invoke the function with an event; kill it when the time is over."""
        if failed := self.start():
            return failed
        assert self._warm is not None
        api, environment = self._warm
        call = Invocation(
            request_id=str(uuid.uuid4()),
            event=json.dumps(event).encode(),
            deadline_ms=round((time.time() + seconds) * 1000),
        )
        api.put(call)
        outcome = _answer(api, environment, call.request_id, seconds) or Outcome(timed_out=True)
        if outcome.timed_out or outcome.exit_code is not None:
            self.end()
        return outcome

    def start(self) -> Outcome | None:
        """Have an environment that waits for a call; return how it failed to start."""
        if self._warm is not None and self._warm[1].exit_code is None:
            return None
        self.end()
        api = RuntimeApi()
        api.__enter__()
        environment = self._start(api.address)
        environment.lines = self.logs
        self._warm = (api, environment)
        deadline = time.monotonic() + _INIT_SECONDS
        while not api.waiting.wait(_LOOK_SECONDS):
            if environment.exit_code is not None:
                failed = _answer(api, environment, None, _LOOK_SECONDS)
                self.end()
                return failed or Outcome(exit_code=environment.exit_code)
            assert time.monotonic() < deadline, "\n".join(["the client did not start:", *self.logs[-20:]])
        return None

    def end(self) -> None:
        """Kill the environment."""
        if self._warm is not None:
            api, environment = self._warm
            environment.kill()
            api.__exit__()
            self._warm = None


def _answer(
    api: RuntimeApi, environment: Environment, request_id: str | None, seconds: float
) -> Outcome | None:
    """Return what is posted under an id, or that the environment ended; None when neither comes in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            answered, outcome = api.answers.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            if environment.exit_code is not None:
                return Outcome(exit_code=environment.exit_code) if request_id else None
            continue
        if answered in (request_id, None):
            return outcome
    return None


def function_environment(note: Mapping[str, str], api: str, memory_mb: int = 2048) -> dict[str, str]:
    """Return the variables of a function: what the template sets, and what Lambda itself does."""
    own = ("SYNCBOARD_JWT_SECRET", "SYNCBOARD_MODEL_FOLDER", "SYNCBOARD_PLACE", "SYNCBOARD_UPLOAD_PATH")
    return {
        **{name: value for name, value in note.items() if name not in own},
        "AWS_LAMBDA_RUNTIME_API": api,
        "AWS_LAMBDA_FUNCTION_NAME": "tested",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/tested",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_REGION": note.get("AWS_DEFAULT_REGION", "us-east-1"),
        "LAMBDA_TASK_ROOT": "/var/task",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
    }


def in_process(
    python: Path, libraries: Path, task_root: Path, handler: str
) -> Callable[[Mapping[str, str]], Environment]:
    """Return what starts an environment in a Python, with the client's libraries beside those that it has."""

    def start(variables: Mapping[str, str]) -> Environment:
        return Environment(
            [str(python), "-m", "awslambdaric", handler],
            cwd=task_root,
            env={**variables, "LAMBDA_TASK_ROOT": str(task_root), "PYTHONPATH": str(libraries)},
        )

    return start
