"""The child process that does the work, kept warm between jobs.

It speaks over one pipe (no shared memory: Lambda has none): assignments come in, progress and one outcome per
assignment go out. Its parent may interrupt it with a signal or kill it; it writes nothing of the job's row but
the publication itself, and that holds only while its run holds the job.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

import msgspec

from chalicelib import folders, settings
from chalicelib.aws.objects import Objects
from chalicelib.aws.table import DynamoTable
from chalicelib.errors import Cancelled, RetryAfter, SoftTimeLimit, SyncBoardError
from chalicelib.jobs.cost import METER
from chalicelib.jobs.job import Job
from chalicelib.jobs.run import Progress, Run
from chalicelib.logs import logger
from chalicelib.processes import die_with

SOFT_LIMIT_SIGNAL = signal.SIGUSR1
CANCEL_SIGNAL = signal.SIGUSR2


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent wants done."""

    job: Job
    # Until the soft limit.
    seconds: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True, tag="outcome"):
    """How a run ended. No error: it published."""

    # As SyncBoardError.as_dict(), with `retry_after` for a deferral.
    error: dict[str, Any] | None = None


class Note(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """A progress report on its way to the parent."""

    progress: Progress


def serve(pipe: Connection) -> None:
    """Work on assignments until the pipe closes. The target of the child process."""
    parent = parent_process()
    if parent is not None and parent.pid is not None:
        die_with(parent.pid)
    # Ctrl-C reaches the whole foreground group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(SOFT_LIMIT_SIGNAL, _on_soft_limit)
    signal.signal(CANCEL_SIGNAL, _on_cancel)
    logger.remove_keys(
        ["job_id", "task", "attempt"]
    )  # the parent's, of the job at which this process was forked
    if left := folders.sweep():
        logger.info("folders of killed runs removed", extra={"folders": left})
    while True:
        try:
            assignment = msgspec.msgpack.decode(pipe.recv_bytes(), type=Assignment)
        except (EOFError, OSError):
            return
        pipe.send_bytes(msgspec.msgpack.encode(_work(assignment, pipe)))


def _work(assignment: Assignment, pipe: Connection) -> Outcome:
    config = settings.get()
    METER.start()
    try:
        with folders.private_folder(folders.RUN_FOLDER) as folder:
            run = Run(
                assignment.job,
                table=DynamoTable(config.table),
                objects=Objects(config.bucket, config.table),
                folder=folder,
                report=lambda progress: pipe.send_bytes(msgspec.msgpack.encode(Note(progress=progress))),
                seconds=assignment.seconds,
            )
            return outcome_of(run)
    except OSError:
        # The folder can't be made or removed: the disk is full or broken, and the job is not to blame.
        logger.exception("no folder to work in", extra={"job_id": assignment.job.job_id})
        return Outcome(error=_UNEXPECTED)


def outcome_of(run: Run) -> Outcome:
    """Run the task; turn what it raises into what the parent is told."""
    from chalicelib.tasks.registry import (
        TASKS,  # late: tasks import libraries, and only this process needs them
    )

    try:
        with _interruptible():
            TASKS[run.job.task].load()(run)
    except SyncBoardError as error:
        return failure_of(run, error)
    except Exception:
        run.discard()
        keys = {"job_id": run.job.job_id, "task": run.job.task, "attempt": run.job.attempt}
        logger.exception("task failed unexpectedly", extra=keys)
        return Outcome(error=_UNEXPECTED)
    return Outcome()


def failure_of(run: Run, error: SyncBoardError) -> Outcome:
    """End a run that raised one of our errors: nothing of it stays, and the parent is told what it was."""
    run.discard()
    deferral = {"retry_after": error.seconds} if isinstance(error, RetryAfter) else {}
    return Outcome(error={**error.as_dict(), **deferral})


# A bug or an unforeseen condition: another attempt may still go well, and the log has the trace.
_UNEXPECTED = {
    "type": "internal_error",
    "message": "Something unexpected went wrong while working on this job.",
    "retryable": True,
}


class _Interruption:
    """Whether the task is at work, and what came before it was."""

    possible = False
    early: SyncBoardError | None = None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Within this block an interruption is raised at once; one that came earlier, on entering.

    Behind it there is nothing left to interrupt: what was published stands, and the folder is removed in peace.
    """
    _Interruption.possible = True
    try:
        early, _Interruption.early = _Interruption.early, None
        if early:
            raise early
        yield
    finally:
        _Interruption.possible = False


def _interrupt(error: SyncBoardError) -> None:
    if _Interruption.possible:
        raise error
    # The parent ends a process that it has interrupted: no later job sees this.
    _Interruption.early = error


def _on_soft_limit(_signal: int, _frame: FrameType | None) -> None:
    _interrupt(SoftTimeLimit("The work took longer than its time limit."))


def _on_cancel(_signal: int, _frame: FrameType | None) -> None:
    _interrupt(Cancelled("The job was cancelled."))
