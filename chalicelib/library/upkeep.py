"""What is done to a library in the background, soon and once: the job `tidy_library`.

It is asked for by whoever leaves something to do, and is at most one an owner and minute: its id derives from the
minute in which it is asked for. It starts at the end of the next one, so that it comes after what was asked for in
advance: a deletion asks first, for it may be cut short. It is not among the owner's own jobs:
nobody asked for it there.
"""

from __future__ import annotations

from typing import Final

from chalicelib.aws.table import Table
from chalicelib.jobs.job import Job, now_ms
from chalicelib.library import background

TASK: Final = "tidy_library"
_MINUTE_MS: Final = 60_000


def request(table: Table, owner: str) -> None:
    """Have an owner's library tidied in one to three minutes. Failing does no harm: the next request does it."""
    background.request(table, tidying_job(owner, now_ms()))


def tidying_job(owner: str, now: int) -> Job:
    """Return the job that tidies after the minute that follows `now` (ms)."""
    return background.later(TASK, owner, (now // _MINUTE_MS + 2) * _MINUTE_MS)
