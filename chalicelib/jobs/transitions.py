"""The moves between states as writes: what each demands of the row, and what it leaves there.

A transition names the states it may start from (`states.SOURCES`) and, where a run makes it, the attempt and
the run that must still hold the job. What does not fit is refused by the database.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from chalicelib import settings
from chalicelib.aws.expressions import Absent, Act, Condition, Equals, OneOf, Present, Update
from chalicelib.aws.table import Table, TransactionFailed
from chalicelib.errors import RetryAfter
from chalicelib.jobs.job import CHECK_AFTER_MS, RETRIED, Job, check_shard, job_key, now_ms, pack
from chalicelib.jobs.states import SOURCES, TERMINAL, Stage, State

# An ended job that must be followed up is looked at after this, in case its run died before it could.
_WATCH_MS = 30_000
_TRANSACT_TRIES = 12
# How long a run is put off, uncounted, that found its owner's library too busy.
_BUSY_SECONDS = 5.0
# What keeps a row in the sweeper's index.
UNCHECKED = ("check_at", "check_shard")


def standing(owner: str, what: str) -> str:
    """Return the partition of the index `by_standing`: an owner's jobs that wait for their turn or ended badly."""
    return f"{owner}#{what}"


class RunToken(msgspec.Struct, frozen=True, kw_only=True):
    """What a run shows to prove that it still holds its job."""

    job_id: str
    attempt: int
    run: str

    @classmethod
    def of(cls, job: Job) -> RunToken:
        """Return the token of the run that holds `job`."""
        return cls(job_id=job.job_id, attempt=job.attempt, run=job.run)

    def conditions(self) -> tuple[Condition, ...]:
        """Return what must hold for this run to write."""
        return (Equals("attempt", self.attempt), Equals("run", self.run))


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What a run asks for when it takes a job."""

    # Number of the message that it follows.
    dispatch: int
    # Id of the new run, where it is, and until when it holds the job without renewing (ms since the epoch).
    run: str
    worker: str
    until: int

    def fields(self) -> dict[str, Any]:
        """Return what the row then says."""
        return {"run": self.run, "worker": self.worker, "lease_until": self.until}


def transition(
    job_id: str,
    to: State,
    *,
    sources: Collection[State] = (),
    when: tuple[Condition, ...] = (),
    fields: dict[str, Any] | None = None,
    add: dict[str, int | float] | None = None,
    remove: tuple[str, ...] = (),
    note: str | None = None,
    attempt: int = 0,
    watched: bool = False,
) -> Update:
    """Build the write that moves a job to `to`.

    `sources` narrows the legal states to start from. A `note` adds a line to the timeline. Reaching a final
    state takes the row out of the sweeper's index, unless it is to be `watched` for what must still follow.
    """
    legal = SOURCES[to] & frozenset(sources) if sources else SOURCES[to]
    if not legal:
        raise ValueError(f"no legal way from {sorted(sources)} to {to}")
    now = now_ms()
    # The mark tells a refused retry of this very write from somebody else's: botocore sends again what got no answer.
    values: dict[str, Any] = {"state": to, "updated_at": now, "mark": secrets.token_hex(4), **(fields or {})}
    if to in TERMINAL:
        values |= {"finished_at": now, "expires_at": now // 1000 + settings.get().job_ttl_seconds}
        if to is not State.FAILURE:
            remove += ("password",)  # a failed job may be retried and needs it
        if watched:
            values["check_at"] = now + _WATCH_MS
        else:
            remove += UNCHECKED
    return Update(
        key=job_key(job_id),
        set=pack(values),
        add=add or {},
        append={"timeline": [[to, now, attempt, note]]} if note is not None else {},
        remove=remove,
        when=(OneOf("state", tuple(sorted(legal))), *when),
    )


def transact_patiently(table: Table, build: Callable[[], Sequence[Act]]) -> None:
    """Do a transaction whose first write is a job's; build it anew while only its other writes are refused.

    Raise TransactionFailed where the job's own write is refused, RetryAfter after too many tries.
    """
    for attempt in range(_TRANSACT_TRIES):
        try:
            return table.transact(build())
        except TransactionFailed as error:
            if 0 in error.failed:
                raise
        time.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 6)))  # noqa: S311 (spreads load, guards nothing)
    raise RetryAfter("The library is busy; trying again in a moment.", _BUSY_SECONDS)


def start_fields(lease: Lease) -> dict[str, Any]:
    """Return what the row of a job says whose next attempt starts now, under `lease`."""
    return {
        **lease.fields(),
        "stage": Stage.STARTING,
        "message": "Starting",
        "percent": 0,
        "hops": 0,
        "started_at": now_ms(),
    }


def taking(job_id: str, lease: Lease, fields: dict[str, Any], *also: Condition) -> Update:
    """Build the write that starts the next attempt of a job waiting for the lease's message; `also` must hold."""
    return transition(
        job_id,
        State.PROCESSING,
        sources={State.PENDING, State.RETRY},
        when=(Equals("dispatch", lease.dispatch), *also),
        fields=fields,
        add={"attempt": 1},
        remove=("deferred", "resumed_at"),
        note=lease.worker,
    )


def taking_again(job_id: str, lease: Lease) -> Update:
    """Build the write that goes on with a job that was put off, on the lease's message.

    What the job says of itself stays, and its timeline gets no line: a job that waits may be looked at for hours.
    """
    return transition(
        job_id,
        State.PROCESSING,
        sources={State.RETRY},
        when=(Equals("dispatch", lease.dispatch), Present("deferred")),
        fields={**lease.fields(), "stage": Stage.STARTING, "resumed_at": now_ms()},
        add={"attempt": 1},
        remove=("deferred",),
    )


def turning(job: Job) -> Update:
    """Build the write that lets a job that waits for its turn into its queue."""
    return transition(
        job.job_id,
        State.PENDING,
        sources={State.PENDING},
        when=(Equals("stage", Stage.WAITING_TURN), Equals("dispatch", job.dispatch)),
        fields={
            "stage": Stage.QUEUED,
            "message": "Waiting for a worker",
            "dispatch": job.dispatch + 1,
            "check_at": now_ms() + CHECK_AFTER_MS,
        },
        remove=("standing",),
    )


def reviving(job: Job, fields: dict[str, Any], *, by: str) -> Update:
    """Build the write that lets a failed job start over, with `fields` saying where it waits."""
    return transition(
        job.job_id,
        State.PENDING,
        sources={State.FAILURE},
        when=(Equals("dispatch", job.dispatch),),
        fields={
            "attempt": 0,
            "percent": 0,
            "run": "",
            "lease_until": 0,
            "message": "Waiting for a worker",
            "check_shard": check_shard(job.job_id),
            **fields,
        },
        remove=(
            "finished_at",
            "expires_at",
            "error",
            "cancel",
            "deferred",
            "started_at",
            "resumed_at",
            *(() if "standing" in fields else ("standing",)),
        ),
        note=f"{RETRIED}{by}",
    )


def must_follow(job: Job) -> bool:
    """Tell whether the end of `job` by an error or a cancel has to be followed up: a webhook, pieces of a run."""
    return bool(job.webhook or job.may_have_run)


def success(
    job: Job,
    *,
    result: dict[str, Any],
    warnings: list[str],
    cost: dict[str, Any] | None = None,
    leftovers: bool = False,
) -> Update:
    """Build the write that ends a running job in SUCCESS; it goes into the transaction that publishes its effects.

    `leftovers`: this run knows of pieces to remove; those of earlier runs are always looked for. Refused once a
    cancel was asked for: what the owner was told stands.
    """
    return transition(
        job.job_id,
        State.SUCCESS,
        when=(Equals("attempt", job.attempt), Equals("run", job.run), Absent("cancel")),
        fields={
            "result": result,
            "cost": cost,
            "warnings": warnings,
            "percent": 100,
            "stage": Stage.DONE,
            "message": "Done",
        },
        note="published",
        attempt=job.attempt,
        # Whatever ran before had another message; what was given back or retried by hand counts its attempts anew.
        watched=bool(job.webhook or job.attempt > 1 or job.dispatch > 1 or leftovers),
    )
