"""How long a job lets other servers put it off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from chalicelib.errors import RetryAfter, Unreachable
from chalicelib.jobs.job import Job, now_ms

# A deferral spends no attempt, so a server that always says "later" would keep a job for ever.
MAX_HOURS: Final = 6


@contextmanager
def bounded_deferrals(job: Job) -> Iterator[None]:
    """Let RetryAfter pass while `job` is younger than six hours; then raise Unreachable, which spends attempts."""
    try:
        yield
    except RetryAfter as later:
        if now_ms() - job.created_at < MAX_HOURS * 3_600_000:
            raise
        raise Unreachable(
            f"The server has been asking for patience for more than {MAX_HOURS} hours."
        ) from later
