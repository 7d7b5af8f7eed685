"""A job as it stands in its row."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
from ulid import ULID

from chalicelib.aws.expressions import Item, Key
from chalicelib.jobs.states import Stage, State

# Rows due for a look by the sweeper are spread over this many partitions of the index.
CHECK_SHARDS = 4
# How long after its message a waiting job is looked at by the sweeper, in ms.
CHECK_AFTER_MS = 60_000
# What the timeline's line of a retry by hand begins with.
RETRIED = "retried by "

_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One job. Times are milliseconds since the epoch; absent numbers are 0, absent texts empty."""

    # Sortable id (ULID): newer jobs sort after older ones.
    job_id: str
    # Whose it is: the token's subject.
    owner: str
    # Name in the task registry.
    task: str
    # Queue that its messages go to.
    queue: str
    state: State
    # What it does or waits for, in words and in percent of this attempt.
    stage: str
    message: str = ""
    percent: int = 0
    # Runs counted so far, and those allowed.
    attempt: int = 0
    # How often it was handed over to another run within an attempt.
    hops: int = 0
    # Number of the only message that may start it.
    dispatch: int = 0
    # The run that holds it, until when, and where that run is.
    run: str = ""
    lease_until: int = 0
    worker: str = ""
    # The owner asked to cancel while it ran.
    cancel: bool = False
    # Its last run put it off and spent no attempt: the next one goes on where that one was.
    deferred: bool = False
    # When its next attempt is due, where its message says so (in so many seconds).
    due_at: int = 0
    # Random, new with every transition.
    mark: str = ""
    # Opens an encrypted file; removed once it is not needed any more.
    password: str = ""
    # What to work on: the task's own parameters.
    params: dict[str, Any] = {}
    # The batch it was submitted with.
    batch_id: str = ""
    # Where to report its end; empty: nowhere.
    webhook: str = ""
    # `owner#WAITING`, `owner#FAILURE` or `owner#REVOKED`: what the sparse index of rare standings holds.
    standing: str = ""
    # File name or link, for people.
    filename: str = ""
    # Outcome.
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    # Requests made, GB-seconds, dollars.
    cost: dict[str, Any] | None = None
    # What a user should know although it went well.
    warnings: list[str] = []
    # Each transition: [state, time, attempt, note].
    timeline: list[list[Any]] = []
    created_at: int
    updated_at: int
    # When its attempt began, and, if that was put off since, when it was last gone on with.
    started_at: int = 0
    resumed_at: int = 0
    finished_at: int = 0
    # When the sweeper should look, and in which partition of its index.
    check_at: int = 0
    check_shard: str = ""
    # Seconds since the epoch after which the row of a finished job expires.
    expires_at: int = 0

    @property
    def key(self) -> Key:
        """The row's key."""
        return job_key(self.job_id)

    @property
    def retries(self) -> int:
        """How often it was started over after it had failed."""
        return sum(str(note).startswith(RETRIED) for *_, note in self.timeline)

    @property
    def run_since(self) -> int:
        """From when on its time counts as work: waiting for other jobs or for what was not there yet is none."""
        return self.resumed_at or self.started_at

    @property
    def history(self) -> list[tuple[str, int, int, str]]:
        """The timeline, each start of an attempt with its number: the write that starts one doesn't know it."""
        told, spent = [], 0
        for state, at, attempt, note in self.timeline:
            if str(note).startswith(RETRIED):
                spent = 0
            elif state == State.RETRY:
                spent = attempt
            elif state == State.PROCESSING and not attempt:
                attempt = spent + 1
            told.append((state, at, attempt, note))
        return told

    @property
    def may_have_run(self) -> bool:
        """Whether a run may have left something: deferred runs are not counted, but each message is."""
        return self.attempt > 0 or self.dispatch > 1


def waiting_job(job_id: str, **fields: Any) -> Job:
    """Return a job that is submitted now and waits in its queue; `fields` are the rest of its row."""
    now = now_ms()
    return Job(
        job_id=job_id,
        state=State.PENDING,
        stage=Stage.QUEUED,
        timeline=[[State.PENDING, now, 0, "submitted"]],
        created_at=now,
        updated_at=now,
        check_at=now + CHECK_AFTER_MS,
        check_shard=check_shard(job_id),
        **fields,
    )


# JSON keeps these out of DynamoDB's type system: floats stay floats, and one attribute is one string.
_JSON_FIELDS = ("params", "result", "error", "cost")


def job_key(job_id: str) -> Key:
    """Return the key of a job's row."""
    return (f"JOB#{job_id}", "JOB")


def text_prefix(job_id: str) -> str:
    """Return where in the bucket all texts are that runs of a job write."""
    return f"texts/{job_id}/"


def text_stem(job: Job, doc_id: str) -> str:
    """Return what the keys begin with of all that the current attempt of `job` stores of one document."""
    return f"{text_prefix(job.job_id)}{job.attempt}-{doc_id}."


def text_key(job: Job, doc_id: str) -> str:
    """Return where the text of a document is that the current attempt of `job` writes."""
    return f"{text_stem(job, doc_id)}txt"


def segments_key(job: Job, doc_id: str) -> str:
    """Return where the timed passages of a transcript are that the current attempt of `job` writes."""
    return f"{text_stem(job, doc_id)}segments.json"


def published_ids(job: Job) -> list[str]:
    """Return the ids of the documents that an ended job published, as its result names them."""
    result = job.result or {}
    found = [result, *result.get("documents", [])]
    return [document["doc_id"] for document in found if "doc_id" in document]


def new_id() -> str:
    """Return a sortable, unguessable id: 48 bits of time, 80 random bits, 26 characters."""
    return str(ULID()).lower()


def is_id(text: str) -> bool:
    """Tell whether `text` has the form of an id."""
    return _ID.fullmatch(text) is not None


def now_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def check_shard(job_id: str) -> str:
    """Return the sweeper's partition for a job."""
    return f"CHECK#{int(job_id[-1], 36) % CHECK_SHARDS}"


def isoformat(milliseconds: int) -> str | None:
    """Return a time as ISO 8601 in UTC with milliseconds, or None for 0."""
    if not milliseconds:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def pack(fields: dict[str, Any]) -> Item:
    """Turn fields of a job into attributes of its row."""
    return {
        name: msgspec.json.encode(value).decode() if name in _JSON_FIELDS and value is not None else value
        for name, value in fields.items()
    }


def to_item(job: Job) -> Item:
    """Return the whole row. Defaults are left out, but for what conditions look at."""
    pk, sk = job.key
    guarded = {"dispatch": job.dispatch, "attempt": job.attempt, "run": job.run}
    return {"pk": pk, "sk": sk, **pack(msgspec.to_builtins(job)), **guarded}


def from_item(item: Item) -> Job:
    """Read a row."""
    fields = {
        name: msgspec.json.decode(value) if name in _JSON_FIELDS and isinstance(value, str) else value
        for name, value in item.items()
        if name not in ("pk", "sk")
    }
    return msgspec.convert(fields, Job)
