"""Faults inside the processes of a stack: below boto3, in the clock, in the temporary folder.

`install` runs in every process of the stack (`injected/sitecustomize.py`). Which faults are on is read from a small
file that the runner rewrites between storms. The product knows nothing of all this.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import botocore
import msgspec
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from botocore.session import Session

# File with the faults that are on, and seconds by which this process's clock is wrong.
CONTROL_VARIABLE: Final = "CHAOS_CONTROL"
SHIFT_VARIABLE: Final = "CHAOS_CLOCK_SHIFT"

# A text with this mark kills the process that works on it; what follows says which one, and when.
POISON: Final = "poisonpill"
# Name of a poison: (operation before which it strikes, whether the supervising parent dies instead).
POISONS: Final[dict[str, tuple[str, bool]]] = {
    "childearly": ("PutObject", False),
    "childlate": ("TransactWriteItems", False),
    "parentearly": ("PutObject", True),
}


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong, as shares (0 to 1) of the occasions."""

    seed: int = 0
    # Requests that are answered with a throttling error or a 500 without being done.
    refused: float = 0.0
    # Requests that are done, and their answer lost.
    unanswered: float = 0.0
    # Calls of which every try is refused, so that the SDK's own retries don't help.
    outage: float = 0.0
    # Requests of a working process before or after which it kills itself.
    deadly: float = 0.0
    # Temporary folders and files that can't be made, in processes that work on jobs.
    disk_full: float = 0.0
    # Seconds that a working process waits before it stores a text: longer runs are hit more often.
    slow: float = 0.0


def install() -> None:
    """Arm this process, if a runner asks for it."""
    if shift := float(os.environ.get(SHIFT_VARIABLE, "0")):
        _shift_clock(shift)
    if CONTROL_VARIABLE in os.environ:
        botocore.register_initializer(_arm)
        _limit_disk()


def write_control(path: Path, faults: Faults) -> None:
    """Switch faults on or off in all processes: they look before every request."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(msgspec.json.encode(faults))
    temporary.replace(path)


def current() -> Faults:
    """Return the faults that are on."""
    path = os.environ[CONTROL_VARIABLE]
    return _read(path, os.stat(path).st_mtime_ns)  # noqa: PTH116 (before every request: cheap)


@lru_cache(maxsize=1)
def _read(path: str, _changed: int) -> Faults:
    return msgspec.json.decode(Path(path).read_bytes(), type=Faults)


@lru_cache(maxsize=1)
def _random(seed: int, pid: int) -> random.Random:
    """Return this process's dice: a forked child throws its own."""
    return random.Random(f"{seed}/{pid}")


def _dice(faults: Faults) -> random.Random:
    return _random(faults.seed, os.getpid())


def _process() -> str:
    """Return the process's name: "environment" supervises, "work" works, "MainProcess" is API or worker."""
    return multiprocessing.current_process().name


# --- The clock -----------------------------------------------------------------------------------------------


def _shift_clock(seconds: float) -> None:
    true_time, true_time_ns = time.time, time.time_ns
    time.time = lambda: true_time() + seconds
    time.time_ns = lambda: true_time_ns() + round(seconds * 1e9)


# --- The disk ------------------------------------------------------------------------------------------------


def _limit_disk() -> None:
    """Let a working process's temporary folders, and files in them, meet a full disk."""
    make_folder, open_path = tempfile.mkdtemp, Path.open

    def mkdtemp(*arguments: Any, **options: Any) -> Any:
        _use_disk(tempfile.gettempdir())
        return make_folder(*arguments, **options)

    def open_(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if "w" in mode and tempfile.gettempdir() in str(path):
            _use_disk(str(path))
        return open_path(path, mode, *arguments, **options)

    tempfile.mkdtemp = mkdtemp
    Path.open = open_  # type: ignore[method-assign,assignment]


def _use_disk(path: str) -> None:
    if _process() != "work":
        return
    faults = current()
    if _dice(faults).random() < faults.disk_full:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


# --- Requests ------------------------------------------------------------------------------------------------


def _arm(session: Session) -> None:
    # Its stubs know no handlers that answer.
    session.register("before-send", _before_send)  # type: ignore[arg-type]


def _before_send(request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse | None:
    """Do to one request what the dice say; None: botocore sends it as ever."""
    _before, service, operation = event_name.split(".")
    address = str(request.url)
    faults = current()
    dice = _dice(faults)
    if _process() == "work":
        _strike(request, operation)
        if _stores(request, operation):
            time.sleep(faults.slow)
    if _process() != "MainProcess" and dice.random() < faults.deadly:
        if dice.random() < 0.5:
            URLLib3Session().send(request)
        os.kill(os.getpid(), signal.SIGKILL)
    if _refuse(request, faults, dice):
        return _refusal(service, address, dice)
    if dice.random() < faults.unanswered:
        URLLib3Session().send(request)
        raise ConnectionClosedError(endpoint_url=address)
    return None


def _refuse(request: AWSPreparedRequest, faults: Faults, dice: random.Random) -> bool:
    # All tries of one call carry one id: an outage is decided by it, so it lasts for all of them.
    call = str(request.headers.get("amz-sdk-invocation-id", ""))
    out = random.Random(f"{faults.seed}/{call}").random() < faults.outage
    return out or dice.random() < faults.refused


def _strike(request: AWSPreparedRequest, operation: str) -> None:
    """Die of a poisoned text, wherever it shows up."""
    for name in _poisons(request.body):
        when, parent = POISONS[name]
        if operation == when:
            os.kill(os.getppid() if parent else os.getpid(), signal.SIGKILL)
            time.sleep(60)  # with its parent dead, this process dies too


def _stores(request: AWSPreparedRequest, operation: str) -> bool:
    """Tell whether a text is being stored: in the bucket, or as a row."""
    return operation == "PutObject" or (operation == "PutItem" and b'"BYTES#' in _bytes(request.body))


def _bytes(body: Any) -> bytes:
    if hasattr(body, "getvalue"):
        body = body.getvalue()
    return (
        body.encode()
        if isinstance(body, str)
        else bytes(body)
        if isinstance(body, bytes | bytearray)
        else b""
    )


def _poisons(body: Any) -> Iterator[str]:
    text = _bytes(body)
    for name in POISONS:
        if f"{POISON}{name}".encode() in text:
            yield name


# One throttling error and one internal error of each service, in its own protocol.
_REFUSALS: Final[dict[str, tuple[tuple[int, str], tuple[int, str]]]] = {
    "dynamodb": ((400, "ProvisionedThroughputExceededException"), (500, "InternalServerError")),
    "sqs": ((400, "RequestThrottled"), (500, "InternalError")),
    "s3": ((503, "SlowDown"), (500, "InternalError")),
}


class _Body:
    """A response's stream, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._content


def _refusal(service: str, url: str, dice: random.Random) -> AWSResponse:
    status, code = dice.choice(_REFUSALS.get(service, _REFUSALS["sqs"]))
    if service == "s3":
        content = f"<Error><Code>{code}</Code><Message>chaos</Message></Error>".encode()
    else:
        content = msgspec.json.encode({"__type": f"com.amazonaws#{code}", "message": "chaos"})
    headers = HTTPHeaders.from_pairs([("content-length", str(len(content))), ("x-amzn-requestid", "chaos")])
    return AWSResponse(url, status, headers, _Body(content))
