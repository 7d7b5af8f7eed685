"""The rows of jobs: every read, and every transition as one conditional write.

A transition names the states it may start from (`states.SOURCES`) and, where a run makes it, the attempt and
the run that must still hold the job. What does not fit is refused by the database: `Refused`.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from chalicelib import settings
from chalicelib.aws.expressions import Absent, Condition, Equals, Item, OneOf, Put, Update, Write
from chalicelib.aws.table import ConditionFailed, Table, TransactionFailed
from chalicelib.errors import NotFound, RetryAfter
from chalicelib.jobs import counters
from chalicelib.jobs.job import (
    CHECK_AFTER_MS,
    Job,
    check_shard,
    from_item,
    is_id,
    job_key,
    now_ms,
    pack,
    to_item,
)
from chalicelib.jobs.states import SOURCES, TERMINAL, Stage, State

# An ended job with a webhook is looked at after this, in case its run died before it sent it.
_WATCH_MS = 30_000
_TRANSACT_TRIES = 12
# How long a run is put off, uncounted, that found its owner's library too busy.
_BUSY_SECONDS = 5.0
_UNCHECKED = ("check_at", "check_shard")


def standing(owner: str, what: str) -> str:
    """Return the partition of the index `by_standing`: an owner's jobs that wait for their turn or ended badly."""
    return f"{owner}#{what}"


class Refused(Exception):
    """The database refused a transition. `job` is the row as it is (None: there is none)."""

    def __init__(self, job: Job | None) -> None:
        super().__init__(f"refused: {job.state if job else 'no such job'}")
        self.job = job


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


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list of jobs, newest first."""

    jobs: list[Job]
    # Id of the last job when more follow.
    last: str | None


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
            remove += _UNCHECKED
    return Update(
        key=job_key(job_id),
        set=pack(values),
        add=add or {},
        append={"timeline": [[to, now, attempt, note]]} if note is not None else {},
        remove=remove,
        when=(OneOf("state", tuple(sorted(legal))), *when),
    )


def transact_patiently(table: Table, build: Callable[[], Sequence[Write]]) -> None:
    """Do a transaction whose first write is a job's; build it anew while only its other writes are refused.

    Raise TransactionFailed where the job's own write is refused, Unavailable after too many tries.
    """
    for attempt in range(_TRANSACT_TRIES):
        try:
            return table.transact(build())
        except TransactionFailed as error:
            if 0 in error.failed:
                raise
        time.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 6)))  # noqa: S311 (spreads load, guards nothing)
    raise RetryAfter("The library is busy; trying again in a moment.", _BUSY_SECONDS)


class JobStore:
    """Jobs in a table."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def create(self, job: Job) -> None:
        """Write a new row; raise Refused if the id is taken."""
        try:
            self.table.write(Put(item=to_item(job), new=True))
        except ConditionFailed as error:
            raise Refused(from_item(error.item) if error.item else None) from None

    def find(self, job_id: str) -> Job | None:
        """Return a job, or None."""
        item = self.table.get(job_key(job_id))
        return from_item(item) if item else None

    def require(self, job_id: str, owner: str) -> Job:
        """Return a job of this owner; unknown and foreign ids both raise NotFound."""
        job = self.find(job_id) if is_id(job_id) else None
        if job is None or job.owner != owner:
            raise NotFound("There is no such job.", job_id=job_id)
        return job

    def page(self, owner: str, *, limit: int, after: str | None = None) -> JobPage:
        """Return an owner's jobs, newest first, after the job `after`."""
        start: Item | None = None
        if after:
            pk, sk = job_key(after)
            start = {"owner": owner, "job_id": after, "pk": pk, "sk": sk}
        page = self.table.query(("owner", owner), index="by_owner", limit=limit, forward=False, start=start)
        ids = [item["job_id"] for item in page.items]
        rows = self.table.get_many([job_key(job_id) for job_id in ids])
        found = [rows[job_key(job_id)] for job_id in ids if job_key(job_id) in rows]
        return JobPage(
            jobs=[from_item(row) for row in found], last=ids[-1] if page.next_key and ids else None
        )

    def due(self, shard: str, now: int, *, limit: int) -> list[str]:
        """Return ids of jobs in a sweeper's partition whose `check_at` has come, longest due first."""
        page = self.table.query(
            ("check_shard", shard), index="by_check", sort=("check_at", "<=", now), limit=limit
        )
        return [item["pk"].removeprefix("JOB#") for item in page.items]

    def apply(self, update: Update) -> Job:
        """Do one transition; return the row as it is now. Raise Refused."""
        try:
            return from_item(self.table.write(update))
        except ConditionFailed as error:
            if error.item and error.item.get("mark") == update.set.get("mark", ""):
                return from_item(error.item)
            raise Refused(from_item(error.item) if error.item else None) from None

    def end(self, job: Job, update: Update, state: State) -> Job:
        """Do a final transition and count it, together; return the row as it is now. Raise Refused."""
        try:
            transact_patiently(self.table, lambda: [update, counters.ended(job, state)])
        except TransactionFailed:
            row = self.find(job.job_id)
            if row is None or row.mark != update.set["mark"]:
                raise Refused(row) from None
            return row
        row = self.find(job.job_id)
        if row is None:
            raise Refused(None)
        return row

    # --- Transitions, in the order of a job's life ---------------------------------------------------------

    def arrive(self, job: Job, *, fields: dict[str, Any], check_at: int) -> Job:
        """An awaited upload came: the job waits where `fields` say from now on. Works once."""
        return self.apply(
            transition(
                job.job_id,
                State.PENDING,
                sources={State.PENDING},
                when=(Equals("stage", Stage.AWAITING_UPLOAD),),
                fields={"check_at": check_at, **fields},
                note="upload arrived",
            )
        )

    def take(self, job_id: str, lease: Lease) -> Job:
        """Start the next attempt of a waiting job whose current message is the lease's."""
        now = now_ms()
        return self.apply(
            transition(
                job_id,
                State.PROCESSING,
                sources={State.PENDING, State.RETRY},
                when=(Equals("dispatch", lease.dispatch),),
                fields={
                    **lease.fields(),
                    "stage": Stage.STARTING,
                    "message": "Starting",
                    "percent": 0,
                    "started_at": now,
                },
                add={"attempt": 1},
                note=lease.worker,
            )
        )

    def resume(self, job: Job, lease: Lease) -> Job:
        """Go on with a job that an earlier run handed over: same attempt."""
        return self.apply(
            transition(
                job.job_id,
                State.PROCESSING,
                sources={State.PROCESSING},
                when=(Equals("dispatch", lease.dispatch), Equals("run", "")),
                fields=lease.fields(),
                note=lease.worker,
                attempt=job.attempt,
            )
        )

    def renew(self, token: RunToken, *, lease_until: int, progress: dict[str, Any]) -> Job:
        """Prolong a run's lease and write its progress (stage, message, percent; may be empty)."""
        return self.apply(
            transition(
                token.job_id,
                State.PROCESSING,
                sources={State.PROCESSING},
                when=token.conditions(),
                fields={"lease_until": lease_until, **progress},
            )
        )

    def retry(
        self,
        token: RunToken,
        *,
        dispatch: int,
        check_at: int,
        stage: Stage,
        message: str,
        error: dict[str, Any] | None,
        spent: bool = True,
    ) -> Job:
        """Let go of a job: another attempt, started by message `dispatch`. Not `spent`: this one is not counted."""
        return self.apply(
            transition(
                token.job_id,
                State.RETRY,
                sources={State.PROCESSING},
                when=token.conditions(),
                fields={
                    "run": "",
                    "lease_until": 0,
                    "dispatch": dispatch,
                    "stage": stage,
                    "message": message,
                    "check_at": check_at,
                    "check_shard": check_shard(token.job_id),
                    **({"error": error} if error else {}),
                },
                add={} if spent else {"attempt": -1},
                # Deferrals may be many: they don't lengthen the timeline.
                note=message if spent else None,
                attempt=token.attempt,
            )
        )

    def hand_over(self, token: RunToken, *, dispatch: int, queue: str, message: str, check_at: int) -> Job:
        """Pass a running job on to another queue within the same attempt."""
        return self.apply(
            transition(
                token.job_id,
                State.PROCESSING,
                sources={State.PROCESSING},
                when=token.conditions(),
                fields={
                    "run": "",
                    "lease_until": 0,
                    "dispatch": dispatch,
                    "queue": queue,
                    "message": message,
                    "check_at": check_at,
                },
                note=message,
                attempt=token.attempt,
            )
        )

    def fail(self, job: Job, error: dict[str, Any], *, token: RunToken | None = None) -> Job:
        """End a job in FAILURE: by the run that holds it, or, without one, as it stands in `job`."""
        when = token.conditions() if token else (Equals("dispatch", job.dispatch), Equals("run", job.run))
        update = transition(
            job.job_id,
            State.FAILURE,
            sources={State.PROCESSING} if token else {job.state},
            when=when,
            fields={
                "error": error,
                "message": error["message"],
                "standing": standing(job.owner, State.FAILURE),
            },
            note=error["type"],
            attempt=job.attempt,
            watched=bool(job.webhook),
        )
        return self.end(job, update, State.FAILURE)

    def revoke(self, job: Job, *, token: RunToken | None = None) -> Job:
        """End a job in REVOKED: by the run that holds it, or while it waits."""
        update = transition(
            job.job_id,
            State.REVOKED,
            sources={State.PROCESSING} if token else {State.PENDING, State.RETRY},
            when=token.conditions() if token else (Equals("dispatch", job.dispatch),),
            fields={"message": "Cancelled", "standing": standing(job.owner, State.REVOKED)},
            note="cancelled",
            attempt=job.attempt,
            watched=bool(job.webhook),
        )
        return self.end(job, update, State.REVOKED)

    def request_cancel(self, job: Job) -> Job:
        """Ask the run that holds a job to stop; from now on it can publish nothing."""
        return self.apply(
            transition(
                job.job_id,
                State.PROCESSING,
                sources={State.PROCESSING},
                when=(Equals("attempt", job.attempt),),
                fields={"cancel": True, "message": "Cancelling"},
            )
        )

    def revive(self, job: Job, *, fields: dict[str, Any], by: str) -> Job:
        """Let a failed job start over, attempts counted anew: the one way out of FAILURE."""
        return self.apply(
            transition(
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
                    *(() if "standing" in fields else ("standing",)),
                ),
                note=f"retried by {by}",
            )
        )

    def turn(self, job: Job) -> Job:
        """It is a waiting job's turn: into its queue. Works once."""
        return self.apply(
            transition(
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
        )

    def unwatch(self, job: Job) -> None:
        """Nothing must follow any more for an ended job."""
        self.table.write(
            Update(key=job.key, remove=_UNCHECKED, when=(OneOf("state", tuple(sorted(TERMINAL))),))
        )

    def redispatch(self, job: Job, *, check_at: int) -> Job:
        """Give a waiting job a new message number: whatever message it had is void from now on."""
        return self.apply(
            transition(
                job.job_id,
                job.state,
                sources={job.state},
                when=(Equals("dispatch", job.dispatch), Equals("run", job.run)),
                fields={"dispatch": job.dispatch + 1, "stage": Stage.QUEUED, "check_at": check_at},
            )
        )

    def look_again(self, job: Job, *, check_at: int, stage: Stage | None = None) -> Job:
        """Tell the sweeper when to look next, if the job still stands as in `job`."""
        # No transition: `updated_at` stays, for it tells how long the job has been waiting.
        return self.apply(
            Update(
                key=job.key,
                set={"check_at": check_at, **({"stage": stage} if stage else {})},
                when=(Equals("state", job.state), Equals("dispatch", job.dispatch), Equals("run", job.run)),
            )
        )


def success(
    job: Job, *, result: dict[str, Any], warnings: list[str], cost: dict[str, Any] | None = None
) -> Update:
    """Build the write that ends a running job in SUCCESS; it goes into the transaction that publishes its effects.

    Refused once a cancel was asked for: what the owner was told stands.
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
        watched=bool(job.webhook),
    )
