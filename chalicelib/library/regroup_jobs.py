"""When a library is to be regrouped: when it has doubled since the last time, or has many new topics.

An ingestion sees both in the row of counts, which it reads anyway, and asks for the job `regroup_library`: one for
each owner, doubling and hour, for its id derives from these. Where nothing can do it, nobody asks.
"""

from __future__ import annotations

import zlib
from typing import Final

import msgspec

from chalicelib import capabilities
from chalicelib.aws.expressions import Item
from chalicelib.aws.table import Table
from chalicelib.capabilities import ANALYSIS, TOPICS, CapabilityState
from chalicelib.errors import TransientError
from chalicelib.jobs.job import now_ms
from chalicelib.jobs.states import Stage
from chalicelib.library import background

TASK: Final = "regroup_library"
# Fewer documents have no structure to find.
LEAST: Final = 30
# Topics founded since the last time.
NEW_TOPICS: Final = 64
_HOUR_MS: Final = 3_600_000
# What this process has asked for, so that it does not ask with each document until it is done.
_asked: dict[str, None] = {}
_MAX_ASKED: Final = 1000


class Regrouped(msgspec.Struct, frozen=True, kw_only=True):
    """What the row of counts says of the library and of its last regrouping."""

    documents: int = 0
    # Documents and clusters that there were then; 0: it was never regrouped.
    regrouped: int = 0
    regrouped_clusters: int = 0


def due(counts: Item | None, clusters: int) -> str:
    """Return what makes a regrouping due (equal while nothing doubles); empty: nothing does.

    `clusters` is how many there are, about.
    """
    last = msgspec.convert(counts or {}, Regrouped)
    if last.documents < LEAST:
        return ""
    doublings = (last.documents // max(LEAST // 2, last.regrouped)).bit_length() - 1
    if doublings >= 1:
        return f"{last.regrouped}/{doublings}"
    new = (clusters - last.regrouped_clusters) // NEW_TOPICS
    return f"{last.regrouped}/topics/{new}" if new >= 1 else ""


def request(table: Table, owner: str, reason: str) -> None:
    """Have a library regrouped soon, for what `due` returned. Failing does no harm: a later document asks again."""
    now = now_ms()
    hour = now - now % _HOUR_MS
    job = background.background_job(
        TASK,
        owner,
        hour + zlib.crc32(reason.encode()) % _HOUR_MS,
        queue=ANALYSIS,
        message="Waiting for its time",
    )
    if job.job_id in _asked:
        return
    try:
        capability = capabilities.find(table, TOPICS)
    except TransientError:
        return
    possible = capability is None or capability.state is not CapabilityState.UNAVAILABLE
    job = msgspec.structs.replace(job, stage=Stage.SCHEDULED, check_at=now)
    if possible and not background.request(table, job):
        return
    _asked[job.job_id] = None
    if len(_asked) > _MAX_ASKED:
        del _asked[next(iter(_asked))]
