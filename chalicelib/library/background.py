"""Jobs that the service asks for itself, for an owner: not among the owner's own, and one for each moment."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec
from ulid import ULID

from chalicelib.aws.table import Table
from chalicelib.errors import TransientError
from chalicelib.jobs.job import Job, waiting_job
from chalicelib.jobs.states import Stage
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.logs import logger

QUEUE: Final = "low_priority"
# Before the owner: no token's subject may have this character.
_HIDDEN: Final = "~"


def background_job(task: str, owner: str, moment: int, *, queue: str = QUEUE, **fields: Any) -> Job:
    """Return the one job of a task, an owner and a moment (ms): its id derives from these. It can start at once."""
    chance = hashlib.sha256(f"{task}/{owner}".encode()).digest()[:10]
    job_id = str(ULID(moment.to_bytes(6, "big") + chance)).lower()
    return waiting_job(job_id, owner=_HIDDEN + owner, task=task, queue=queue, dispatch=1, **fields)


def later(task: str, owner: str, due: int) -> Job:
    """Return the same, to start at `due` (ms): the sweeper sends its message then."""
    job = background_job(task, owner, due, message="Waiting for its time")
    return msgspec.structs.replace(job, stage=Stage.SCHEDULED, check_at=due)


def request(table: Table, job: Job) -> bool:
    """Have a job done at its time. Asked for already is as good; False, and no harm done, where the database is away.

    Then the next request does it.
    """
    try:
        JobStore(table).create(job)
    except Refused:
        return True
    except TransientError as error:
        extra = {"task": job.task, "owner": owner_of(job), "cause": error.message}
        logger.warning("background job not asked for", extra=extra)
        return False
    return True


def owner_of(job: Job) -> str:
    """Return for whom such a job works. It is never a parameter: those may be anybody's."""
    return job.owner.removeprefix(_HIDDEN)
