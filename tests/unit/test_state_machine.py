"""Every state against every move: what docs/jobs.md draws is done, all else is refused, and by the database.

Each move is tried by a caller who believes that the job is where the move starts, with the right dispatch, attempt
and run: only the row's true state stands in the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from chalicelib.aws.expressions import Update, Write
from chalicelib.aws.table import ConditionFailed, DynamoTable, Table, TransactionFailed
from chalicelib.jobs.job import Job, check_shard, new_id, now_ms
from chalicelib.jobs.states import SOURCES, TERMINAL, Stage, State
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.jobs.transitions import Lease, RunToken, success, transition
from tests.memory import MemoryTable

PENDING, PROCESSING, RETRY = State.PENDING, State.PROCESSING, State.RETRY
SUCCESS, FAILURE, REVOKED = State.SUCCESS, State.FAILURE, State.REVOKED

# The machine of docs/jobs.md, written out once more: from each state, where it may go.
LEGAL: dict[State, set[State]] = {
    PENDING: {PENDING, PROCESSING, FAILURE, REVOKED},
    PROCESSING: {PROCESSING, SUCCESS, RETRY, FAILURE, REVOKED},
    RETRY: {RETRY, PROCESSING, FAILURE, REVOKED},
    SUCCESS: set(),
    FAILURE: {PENDING},
    REVOKED: set(),
}
ERROR = {"type": "broken_file", "message": "It is broken.", "retryable": False}
DISPATCH, ATTEMPT, RUN = 3, 2, "r1"


class Recorder:
    """A table that tells how often it was asked to write."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    def write(self, write: Write) -> Any:
        self.asked += 1
        return self.table.write(write)

    def transact(self, writes: Any) -> None:
        self.asked += 1
        self.table.transact(writes)


@pytest.fixture(params=["memory", "moto"])
def table(request: pytest.FixtureRequest) -> Iterator[Recorder]:
    if request.param == "memory":
        yield Recorder(MemoryTable())
        return
    request.getfixturevalue("_aws")
    yield Recorder(DynamoTable("unit-table"))


def write_row(table: Recorder, state: State) -> Job:
    """Write a job in a state, as the engine would have left it there."""
    job_id = new_id()
    job = Job(
        job_id=job_id,
        owner="ann",
        task="process_file_upload",
        queue="uploads",
        state=state,
        stage=Stage.QUEUED,
        dispatch=DISPATCH,
        attempt=ATTEMPT,
        run=RUN if state is PROCESSING else "",
        created_at=now_ms(),
        updated_at=now_ms(),
        check_at=0 if state in TERMINAL else now_ms(),
        check_shard="" if state in TERMINAL else check_shard(job_id),
    )
    JobStore(table).create(job)
    table.asked = 0
    return job


def believed(job: Job, state: State) -> Job:
    """Return the job as a caller believes it to be: in another state, all else as it is."""
    return msgspec.structs.replace(job, state=state)


# --- The bare machine ----------------------------------------------------------------------------------------


def test_the_code_and_this_page_draw_the_same_machine() -> None:
    drawn = {to: {start for start in State if to in LEGAL[start]} for to in State}
    assert drawn == {to: set(sources) for to, sources in SOURCES.items()}


@pytest.mark.parametrize("to", State)
@pytest.mark.parametrize("start", State)
def test_every_pair_of_states_is_decided_by_the_database(table: Recorder, start: State, to: State) -> None:
    job = write_row(table, start)
    before = table.get(job.key)
    update = transition(job.job_id, to, note="moved")
    if to in LEGAL[start]:
        assert table.write(update)["state"] == to
    else:
        with pytest.raises(ConditionFailed) as refused:
            table.write(update)
        assert refused.value.item == before
        assert table.get(job.key) == before


@pytest.mark.parametrize("to", State)
def test_no_move_makes_a_row(table: Recorder, to: State) -> None:
    job_id = new_id()
    with pytest.raises(ConditionFailed) as refused:
        table.write(transition(job_id, to))
    assert refused.value.item is None
    assert JobStore(table).find(job_id) is None


# --- The moves of the store ----------------------------------------------------------------------------------

Move = Callable[[JobStore, Job, RunToken], object]


def _lease(job: Job) -> Lease:
    return Lease(dispatch=job.dispatch, run="r2", worker="w2", until=now_ms() + 60_000)


def _retry(store: JobStore, _job: Job, token: RunToken) -> Job:
    return store.retry(
        token, dispatch=DISPATCH + 1, check_at=now_ms(), stage=Stage.QUEUED, message="again", error=None
    )


def _publish(store: JobStore, job: Job, token: RunToken) -> None:
    update = success(msgspec.structs.replace(job, run=token.run), result={"doc_id": "d"}, warnings=[])
    try:
        store.table.transact([update])
    except TransactionFailed:
        raise Refused(store.find(job.job_id)) from None


# Each move by name: (the states from which it is done, the state it leads to (None: stays), what is called).
MOVES: dict[str, tuple[set[State], State | None, Move]] = {
    "take": ({PENDING, RETRY}, PROCESSING, lambda store, job, _: store.take(job.job_id, _lease(job))),
    "renew": (
        {PROCESSING},
        PROCESSING,
        lambda store, _, token: store.renew(token, lease_until=now_ms(), progress={"percent": 50}),
    ),
    "retry": ({PROCESSING}, RETRY, _retry),
    "hand over": (
        {PROCESSING},
        PROCESSING,
        lambda store, _, token: store.hand_over(
            token, dispatch=DISPATCH + 1, queue="uploads-ocr", message="on", check_at=now_ms()
        ),
    ),
    "publish": ({PROCESSING}, SUCCESS, _publish),
    "fail while running": (
        {PROCESSING},
        FAILURE,
        lambda store, job, token: store.fail(believed(job, PROCESSING), ERROR, token=token),
    ),
    "fail while pending": (
        {PENDING},
        FAILURE,
        lambda store, job, _: store.fail(believed(job, PENDING), ERROR),
    ),
    "fail between attempts": (
        {RETRY},
        FAILURE,
        lambda store, job, _: store.fail(believed(job, RETRY), ERROR),
    ),
    "revoke while running": (
        {PROCESSING},
        REVOKED,
        lambda store, job, token: store.revoke(believed(job, PROCESSING), token=token),
    ),
    "revoke while waiting": ({PENDING, RETRY}, REVOKED, lambda store, job, _: store.revoke(job)),
    "ask to cancel": ({PROCESSING}, PROCESSING, lambda store, job, _: store.request_cancel(job)),
    "revive": (
        {FAILURE},
        PENDING,
        lambda store, job, _: store.revive(job, fields={"dispatch": DISPATCH + 1}, by="ann"),
    ),
    "send a pending one again": (
        {PENDING},
        PENDING,
        lambda store, job, _: store.redispatch(believed(job, PENDING), check_at=now_ms()),
    ),
    "send a retried one again": (
        {RETRY},
        RETRY,
        lambda store, job, _: store.redispatch(believed(job, RETRY), check_at=now_ms()),
    ),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("name", MOVES)
def test_every_move_starts_only_where_it_may(table: Recorder, name: str, state: State) -> None:
    sources, to, move = MOVES[name]
    job = write_row(table, state)
    before = table.get(job.key)
    # The run that the caller shows is the row's own: in other states than PROCESSING no run holds it.
    token = RunToken.of(job)
    if state in sources:
        move(JobStore(table), job, token)
        row = JobStore(table).find(job.job_id)
        assert row is not None
        assert row.state == to
    else:
        with pytest.raises(Refused) as refused:
            move(JobStore(table), job, token)
        assert refused.value.job is not None
        assert refused.value.job.state == state
        assert table.get(job.key) == before
    assert table.asked >= 1, "the database was not even asked"


@pytest.mark.parametrize("wrong", [{"run": "another"}, {"attempt": ATTEMPT + 1}, {"attempt": ATTEMPT - 1}])
@pytest.mark.parametrize(
    "name", ["renew", "retry", "hand over", "publish", "fail while running", "revoke while running"]
)
def test_invariant_3_a_run_that_does_not_hold_the_job_moves_nothing(
    table: Recorder, name: str, wrong: dict[str, Any]
) -> None:
    job = write_row(table, PROCESSING)
    before = table.get(job.key)
    stale = msgspec.structs.replace(job, **wrong)
    with pytest.raises(Refused):
        MOVES[name][2](JobStore(table), stale, RunToken.of(stale))
    assert table.get(job.key) == before


@pytest.mark.parametrize(
    "name", ["take", "revoke while waiting", "fail while pending", "send a pending one again"]
)
def test_a_waiting_job_moves_only_by_its_current_dispatch(table: Recorder, name: str) -> None:
    job = write_row(table, PENDING)
    before = table.get(job.key)
    with pytest.raises(Refused):
        MOVES[name][2](JobStore(table), msgspec.structs.replace(job, dispatch=DISPATCH - 1), RunToken.of(job))
    assert table.get(job.key) == before


def test_what_was_cancelled_can_not_be_published(table: Recorder) -> None:
    job = write_row(table, PROCESSING)
    JobStore(table).request_cancel(job)
    with pytest.raises(Refused):
        _publish(JobStore(table), job, RunToken.of(job))


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_an_ended_job_leaves_the_sweepers_index_and_expires(table: Recorder, state: State) -> None:
    job = write_row(table, PROCESSING)
    row = table.write(transition(job.job_id, state))
    assert "check_at" not in row
    assert "check_shard" not in row
    assert row["expires_at"] > now_ms() // 1000


def test_two_runs_that_take_at_once_are_told_apart_by_the_database(table: Recorder) -> None:
    job = write_row(table, PENDING)
    store = JobStore(table)
    taken = store.take(job.job_id, _lease(job))
    with pytest.raises(Refused) as refused:
        store.take(job.job_id, msgspec.structs.replace(_lease(job), run="r3"))
    assert refused.value.job == taken


def test_updates_of_a_row_name_the_states_that_they_start_from() -> None:
    for to in State:
        update = transition("j", to)
        assert isinstance(update, Update)
        (condition,) = update.when
        assert set(condition.values) == {str(state) for state in SOURCES[to]}  # type: ignore[attr-defined]
