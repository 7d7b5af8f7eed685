"""What is done to a library in the background, soon and once: the job `tidy_library`.

It is asked for by whoever leaves something to do, and is at most one an owner and minute: its id derives from the
minute in which it is asked for. It starts at the end of the next one, so that it comes after what was asked for in
advance: a deletion asks first, for it may be cut short. It is not among the owner's own jobs:
nobody asked for it there.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from ulid import ULID

from chalicelib.aws.table import Table
from chalicelib.errors import TransientError
from chalicelib.jobs.job import Job, now_ms, waiting_job
from chalicelib.jobs.states import Stage
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.logs import logger

TASK: Final = "tidy_library"
QUEUE: Final = "low_priority"
_MINUTE_MS: Final = 60_000
# Before the owner: no token's subject may have this character.
_HIDDEN: Final = "~"


def request(table: Table, owner: str) -> None:
    """Have an owner's library tidied in one to three minutes. Failing does no harm: the next request does it."""
    try:
        JobStore(table).create(tidying_job(owner, now_ms()))
    except Refused:
        return  # asked for already
    except TransientError as error:
        logger.warning("library not to be tidied yet", extra={"owner": owner, "cause": error.message})


def tidying_job(owner: str, now: int) -> Job:
    """Return the job that tidies after the minute that follows `now` (ms). The sweeper sends its message then."""
    due = (now // _MINUTE_MS + 2) * _MINUTE_MS
    chance = hashlib.sha256(f"{TASK}/{owner}".encode()).digest()[:10]
    job_id = str(ULID(due.to_bytes(6, "big") + chance)).lower()
    job = waiting_job(
        job_id,
        owner=_HIDDEN + owner,
        task=TASK,
        queue=QUEUE,
        params={"owner": owner},
        message="Waiting for its time",
        dispatch=1,
    )
    return msgspec.structs.replace(job, stage=Stage.SCHEDULED, check_at=due)
