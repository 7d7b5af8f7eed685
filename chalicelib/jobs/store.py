"""The rows of jobs: every read, and every transition done as one write. `transitions` says what each demands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chalicelib.aws.expressions import Absent, Equals, OneOf, Put, Update
from chalicelib.aws.table import ConditionFailed, Table, TransactionFailed
from chalicelib.errors import NotFound
from chalicelib.jobs import counters
from chalicelib.jobs.job import Job, check_shard, from_item, is_id, job_key, to_item
from chalicelib.jobs.states import TERMINAL, Stage, State
from chalicelib.jobs.transitions import (
    UNCHECKED,
    Lease,
    RunToken,
    must_follow,
    reviving,
    standing,
    start_fields,
    taking,
    taking_again,
    transact_patiently,
    transition,
    turning,
)


class Refused(Exception):
    """The database refused a transition. `job` is the row as it is (None: there is none)."""

    def __init__(self, job: Job | None) -> None:
        super().__init__(f"refused: {job.state if job else 'no such job'}")
        self.job = job


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

    def find_many(self, job_ids: Sequence[str], *, consistent: bool = False) -> dict[str, Job]:
        """Return those of many jobs that there are, by id; unless `consistent`, one made just now may be missing."""
        rows = self.table.get_many([job_key(job_id) for job_id in job_ids], consistent=consistent)
        jobs = map(from_item, rows.values())
        return {job.job_id: job for job in jobs}

    def require(self, job_id: str, owner: str) -> Job:
        """Return a job of this owner; unknown and foreign ids both raise NotFound."""
        job = self.find(job_id) if is_id(job_id) else None
        if job is None or job.owner != owner:
            raise NotFound("There is no such job.", job_id=job_id)
        return job

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
        """Start the next attempt of a waiting job whose current message is the lease's; go on with one put off."""
        try:
            return self.apply(taking(job_id, lease, start_fields(lease), Absent("deferred")))
        except Refused as refusal:
            if refusal.job is None or not refusal.job.deferred:
                raise
        return self.apply(taking_again(job_id, lease))

    def resume(self, job: Job, lease: Lease) -> Job:
        """Go on with a job that an earlier run handed over: same attempt."""
        return self.apply(
            transition(
                job.job_id,
                State.PROCESSING,
                sources={State.PROCESSING},
                when=(Equals("dispatch", lease.dispatch), Equals("run", "")),
                fields={**lease.fields(), "stage": Stage.STARTING, "message": "Starting"},
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
        due_at: int = 0,
        spent: bool = True,
        percent: int | None = None,
    ) -> Job:
        """Let go of a job: another attempt, started by message `dispatch`.

        Not `spent`: this one is not counted. With an `error` or `percent` as well it was put off: the next run goes
        on where this one was (`percent`: how far).
        """
        deferred = not spent and (error is not None or percent is not None)
        return self.apply(
            transition(
                token.job_id,
                State.RETRY,
                sources={State.PROCESSING},
                when=token.conditions(),
                fields={
                    "run": "",
                    "worker": "",
                    "lease_until": 0,
                    "due_at": due_at,
                    "dispatch": dispatch,
                    "stage": stage,
                    "message": message,
                    "check_at": check_at,
                    "check_shard": check_shard(token.job_id),
                    **({"error": error} if error else {}),
                    **({"percent": percent} if percent is not None else {}),
                    **({"deferred": True} if deferred else {}),
                },
                add={} if spent else {"attempt": -1},
                # Deferrals may be many: they don't lengthen the timeline.
                note=message if spent else None,
                attempt=token.attempt,
            )
        )

    def hand_over(self, token: RunToken, *, dispatch: int, queue: str, message: str, check_at: int) -> Job:
        """Pass a running job on to another queue within the same attempt; there it waits for a run."""
        return self.apply(
            transition(
                token.job_id,
                State.PROCESSING,
                sources={State.PROCESSING},
                when=token.conditions(),
                fields={
                    "run": "",
                    "worker": "",
                    "lease_until": 0,
                    "dispatch": dispatch,
                    "queue": queue,
                    "stage": Stage.QUEUED,
                    "message": message,
                    "check_at": check_at,
                },
                add={"hops": 1},
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
            watched=must_follow(job),
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
            watched=must_follow(job),
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
        return self.apply(reviving(job, fields, by=by))

    def turn(self, job: Job) -> Job:
        """It is a waiting job's turn: into its queue. Works once."""
        return self.apply(turning(job))

    def unwatch(self, job: Job) -> None:
        """Nothing must follow any more for an ended job."""
        self.table.write(
            Update(key=job.key, remove=UNCHECKED, when=(OneOf("state", tuple(sorted(TERMINAL))),))
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
