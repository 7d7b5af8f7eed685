"""An archive's job: its files' jobs, made once; the wait, which holds nothing; the end, good and bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chalicelib import settings
from chalicelib.errors import EmptyFile, PasswordRequired, SyncBoardError
from chalicelib.jobs.batches import Batches
from chalicelib.jobs.control import Control
from chalicelib.jobs.fairness import Window, window_key
from chalicelib.jobs.job import Job, new_id, now_ms
from chalicelib.jobs.run import Progress, Run
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.supervisor import Order
from chalicelib.jobs.sweeper import Sweeper
from chalicelib.jobs.transitions import success
from chalicelib.jobs.workchild import Outcome, failure_of
from chalicelib.tasks.archive import go_on, ingest_archive
from tests.documents import zip_of
from tests.unit.engine import Engine

TEXT = "The harbour is dredged every spring."
Beat = Callable[[Progress | None], Order]


class Archives(Engine):
    """An engine whose jobs are one archive and its files. Files publish a document unless their name is in `bad`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.data = b""
        self.bad: set[str] = set()
        self.reports: list[Progress] = []
        self.work = self._work
        # Called when a file's job is worked on.
        self.at_file: Callable[[Job], None] = lambda _job: None

    def archive(self, files: dict[str, str | bytes], **changes: Any) -> Job:
        self.data = zip_of(files)
        job_id = new_id()
        place = Window(self.table, self.queues, "ann").place(job_id)
        job = self.job(job_id=job_id, filename="papers.zip", **place, **changes)
        if job.stage == Stage.QUEUED:
            self.send(job)
        return job

    def _work(self, job: Job, beat: Beat) -> Outcome:
        if not job.batch_id:
            return self._split(job)
        self.at_file(job)
        if job.filename in self.bad:
            return Outcome(error={"type": "broken_file", "message": "It is torn.", "retryable": False})
        result = {"doc_id": new_id(), "title": job.filename.upper(), "source_type": "text"}
        self.table.transact([success(job, result=result, warnings=[])])
        return Outcome()

    def run(self, job: Job, folder: Path) -> Run:
        """Return a run of an archive's job."""
        objects: Any = self.objects
        return Run(job, table=self.table, objects=objects, folder=folder, report=self.reports.append)

    def _split(self, job: Job) -> Outcome:
        folder = self.folder / new_id()
        folder.mkdir()
        run = self.run(job, folder)
        path = folder / "source"
        path.write_bytes(self.data)
        try:
            if not go_on(run, queues=self.queues):
                ingest_archive(run, path, password=job.password or None, queues=self.queues)
        except SyncBoardError as error:
            return failure_of(run, error)
        return Outcome()

    def children(self, job: Job) -> list[Job]:
        batch = Batches(self.table, job.owner).require(job.job_id)
        return [row for job_id in batch.job_ids if (row := self.store.find(job_id))]

    def to_the_end(self, *, rounds: int = 50) -> None:
        """Deliver until no message is left, or fail."""
        for _ in range(rounds):
            self.deliver()
            if not self.left():
                return
            self.later(30)
        raise AssertionError("messages are left")


@pytest.fixture
def engine(tmp_path: Path) -> Archives:
    return Archives(tmp_path)


def narrow(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    changed = msgspec.structs.replace(settings.get(), **changes)
    monkeypatch.setattr(settings, "get", lambda: changed)


def letters(count: int) -> dict[str, str | bytes]:
    return {f"{number}.txt": f"{TEXT} {number}" for number in range(count)}


# --- The good end ----------------------------------------------------------------------------------------------


def test_an_archive_ends_with_the_documents_of_its_files(engine: Archives) -> None:
    job = engine.archive({"a.txt": TEXT, "b/c.md": "# C", "tool.exe": b"MZ" + bytes(99), "torn.txt": "x y"})
    engine.bad = {"torn.txt"}
    engine.to_the_end()
    row = engine.row(job)
    assert row.state is State.SUCCESS
    assert row.result is not None
    first, second, torn = engine.children(job)
    assert [(entry["filename"], entry["title"], entry["job_id"]) for entry in row.result["documents"]] == [
        ("a.txt", "A.TXT", first.job_id),
        ("b/c.md", "C.MD", second.job_id),
    ]
    assert row.result["documents"][0]["doc_id"] == (first.result or {})["doc_id"]
    assert row.result["errors"] == [
        {
            "filename": "torn.txt",
            "job_id": torn.job_id,
            "error": {"type": "broken_file", "message": "It is torn.", "retryable": False},
        }
    ]
    assert [entry["filename"] for entry in row.result["skipped"]] == ["tool.exe"]
    assert row.result["filename"] == "papers.zip"
    assert row.warnings == [
        "1 of the archive's files could not be read.",
        "1 of the archive's files or folders were left out.",
    ]


def test_a_file_whose_new_row_is_not_seen_by_every_read_has_not_expired(
    engine: Archives, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB's plain reads may be some moments behind."""
    get_many = engine.table.get_many

    def behind(keys: Any, *, consistent: bool = False) -> Any:
        return get_many(keys) if consistent else {}

    monkeypatch.setattr(engine.table, "get_many", behind)
    job = engine.archive({"one.txt": TEXT})
    engine.deliver()
    assert engine.row(job).state is State.RETRY  # it waits
    Control(engine.table, engine.queues, engine.consumer.ending).cancel(engine.row(job))
    batch = Batches(engine.table, "ann").require(job.job_id)
    (child,) = engine.store.find_many(batch.job_ids, consistent=True).values()
    assert child.state is State.REVOKED


def test_each_file_has_a_job_with_its_bytes_and_the_wishes_of_the_archive(engine: Archives) -> None:
    job = engine.archive({"a.txt": TEXT}, params={"force": True}, webhook="https://example.com/")
    engine.deliver()
    (child,) = engine.children(job)
    assert (child.batch_id, child.owner, child.task, child.webhook) == (
        job.job_id,
        job.owner,
        "process_file_upload",
        "",
    )
    assert child.params["force"] is True
    assert child.params["content"]["kind"] == "text"
    assert engine.objects.get(child.params["source"]) == TEXT.encode()


def test_files_go_to_the_queues_that_read_them(engine: Archives) -> None:
    job = engine.archive(
        {"a.png": b"\x89PNG\r\n\x1a\n" + bytes(99), "a.wav": b"RIFF\x24\0\0\0WAVEfmt " + bytes(99)}
    )
    engine.deliver()
    assert [child.queue for child in engine.children(job)] == ["uploads-ocr", "uploads-media"]


def test_nothing_is_left_behind(engine: Archives) -> None:
    job = engine.archive(letters(3))
    engine.to_the_end()
    Sweeper(engine.table, engine.queues, engine.objects).sweep()  # type: ignore[arg-type]
    assert engine.objects.keys(f"texts/{job.job_id}/") == []
    assert "dispatched" not in (engine.table.get(window_key(job.owner)) or {})


# --- The wait --------------------------------------------------------------------------------------------------


def test_while_it_waits_the_job_says_how_far_its_files_are(engine: Archives) -> None:
    job = engine.archive({**letters(3), "a.png": b"\x89PNG\r\n\x1a\n" + bytes(99)})
    engine.deliver()
    row = engine.row(job)
    assert (row.state, row.message, row.percent, row.attempt) == (State.RETRY, "0 of 4 files are done", 25, 0)
    assert row.error is None
    engine.later(2)
    engine.deliver()  # the texts' jobs, whose messages came behind
    engine.later(2)
    engine.deliver()
    row = engine.row(job)
    assert (row.message, row.percent) == ("3 of 4 files are done", 25 + 74 * 3 // 4)


def test_progress_never_goes_back_from_run_to_run(engine: Archives) -> None:
    job = engine.archive(letters(5))
    seen = []
    for _ in range(12):
        engine.deliver()
        seen.append(engine.row(job).percent)
        engine.later(2)
    assert seen == sorted(seen)
    assert seen[-1] == 100
    reported = [report.percent for report in engine.reports]
    assert reported == sorted(reported)


def test_a_long_wait_spends_no_attempt_and_does_not_lengthen_the_timeline(engine: Archives) -> None:
    job = engine.archive({"a.png": b"\x89PNG\r\n\x1a\n" + bytes(99)})  # nobody works on its queue
    for _ in range(40):
        engine.deliver()
        engine.later(60)
    row = engine.row(job)
    assert (row.state, row.attempt) == (State.RETRY, 0)
    assert sum(run.job_id == job.job_id for run in engine.runs) == 40
    assert [line[0] for line in row.timeline] == [State.PROCESSING]


def test_pauses_grow_with_the_time_waited_up_to_half_a_minute(
    engine: Archives, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = engine.archive({"a.png": b"\x89PNG\r\n\x1a\n" + bytes(99)})
    engine.deliver()
    made, pauses = now_ms(), []
    for waited in (0, 5, 60, 200, 4000):
        monkeypatch.setattr("chalicelib.tasks.archive.now_ms", lambda at=made + waited * 1000: at)
        engine.later(31)
        before = engine.clock.now
        engine.deliver()
        (message,) = engine.queues.messages["uploads"].values()
        pauses.append(round(message["visible_at"] - before))
    assert pauses == [1, 1, 6, 20, 30]
    assert engine.row(job).state is State.RETRY


def test_archives_that_wait_leave_the_window_to_their_files(
    engine: Archives, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(monkeypatch, max_dispatched=2)
    window = []
    engine.at_file = lambda job: window.append(engine.table.items[window_key(job.owner)]["dispatched"])
    job = engine.archive(letters(10))
    engine.to_the_end()
    row = engine.row(job)
    assert row.state is State.SUCCESS
    assert len((row.result or {})["documents"]) == 10
    assert max(map(len, window)) == 2
    assert not any(job.job_id in members for members in window[1:])


def test_more_archives_than_the_window_has_places_come_to_their_end(
    engine: Archives, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(monkeypatch, max_dispatched=1)
    jobs = [engine.archive(letters(4)) for _ in range(3)]
    engine.to_the_end()
    assert [engine.row(job).state for job in jobs] == [State.SUCCESS] * 3


def test_too_many_waiting_jobs_put_the_archive_off_and_it_goes_on_where_it_was(
    engine: Archives, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(monkeypatch, max_dispatched=1, max_waiting=2)
    job = engine.archive(letters(6))
    engine.deliver()
    assert (engine.row(job).state, engine.row(job).attempt) == (State.RETRY, 0)
    assert 0 < len(engine.children(job)) < 6
    for _ in range(30):
        engine.later(61)
        engine.deliver()
    assert len((engine.row(job).result or {})["documents"]) == 6


# --- Again -----------------------------------------------------------------------------------------------------


def test_a_run_that_follows_a_lost_one_makes_nothing_twice(engine: Archives) -> None:
    job = engine.archive(letters(4))
    before = engine.queues.send

    def dying(queue: str, body: str, **more: Any) -> None:
        before(queue, body, **more)
        if len(engine.queues.messages["uploads"]) == 4:
            raise KeyboardInterrupt  # in the middle of its children

    engine.queues.send = dying  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        engine.deliver()
    made = {child.job_id for child in engine.children(job)}
    assert 0 < len(made) < 4
    engine.queues.send = before  # type: ignore[method-assign]
    row = engine.row(job)
    engine.store.apply(_lease_over(row))
    Sweeper(engine.table, engine.queues, engine.objects).sweep()  # type: ignore[arg-type]
    engine.later(120)
    engine.to_the_end()
    children = engine.children(job)
    assert made < {child.job_id for child in children}
    assert len((engine.row(job).result or {})["documents"]) == 4
    assert len({run.job_id for run in engine.runs}) == 5


def _lease_over(row: Job) -> Any:
    from chalicelib.aws.expressions import Update

    return Update(key=row.key, set={"lease_until": 1, "check_at": 1})


# --- Bad ends --------------------------------------------------------------------------------------------------


def test_an_archive_none_of_whose_files_can_be_read_fails_and_says_so(engine: Archives) -> None:
    job = engine.archive({"a.txt": TEXT, "b.txt": TEXT + "!"})
    engine.bad = {"a.txt", "b.txt"}
    engine.to_the_end()
    row = engine.row(job)
    assert row.state is State.FAILURE
    assert row.error is not None
    assert (row.error["type"], row.error["cause"]) == ("nothing_read", "broken_file")
    assert row.error["message"] == "None of the 2 files in the archive could be read. a.txt: It is torn."


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "There are no files in the archive."),
        ({".DS_Store": b"x"}, "There are no files in the archive."),
        (
            {"a.exe": b"MZ" + bytes(99)},
            "Nothing in the archive can be read (1 files or folders were left out).",
        ),
    ],
)
def test_an_archive_without_anything_to_read_is_empty(
    engine: Archives, files: dict[str, str | bytes], message: str
) -> None:
    job = engine.archive(files)
    engine.to_the_end()
    error = engine.row(job).error or {}
    assert error["type"] == EmptyFile.type
    assert error["message"].startswith(message)


def test_a_locked_archive_fails_without_its_password_and_opens_with_it(engine: Archives) -> None:
    from tests.zipfiles import locked_zip

    for password, state in (("", State.FAILURE), ("harbour", State.SUCCESS)):
        job = engine.archive({"x.txt": TEXT}, password=password)
        engine.data = locked_zip("note.txt", TEXT.encode(), b"harbour")
        engine.to_the_end()
        assert engine.row(job).state is state
        if state is State.FAILURE:
            assert (engine.row(job).error or {})["type"] == PasswordRequired.type


def test_retrying_a_failed_archive_gives_its_failed_files_new_jobs_and_keeps_the_others(
    engine: Archives,
) -> None:
    job = engine.archive(letters(2))
    engine.bad = {"0.txt", "1.txt"}
    engine.to_the_end()
    first = [child.job_id for child in engine.children(job)]
    engine.bad = {"1.txt"}
    control(engine).retry(engine.row(job), by="ann")
    engine.to_the_end()
    row = engine.row(job)
    assert row.state is State.SUCCESS
    assert [len((row.result or {})[key]) for key in ("documents", "errors")] == [1, 1]
    assert not set(first) & {child.job_id for child in engine.children(job)}


# --- Cancel ----------------------------------------------------------------------------------------------------


def control(engine: Archives) -> Control:
    return Control(engine.table, engine.queues, engine.consumer.ending)


def test_cancelling_an_archive_that_waits_cancels_its_files(engine: Archives) -> None:
    job = engine.archive(letters(5))
    engine.deliver()
    assert control(engine).cancel(engine.row(job)).state is State.REVOKED
    assert [child.state for child in engine.children(job)] == [State.REVOKED] * 5
    engine.to_the_end()
    assert len(engine.runs) == 1
    assert engine.objects.keys("texts/") == []


def test_cancelling_an_archive_leaves_files_that_have_ended(engine: Archives) -> None:
    job = engine.archive({"a.txt": TEXT, "a.png": b"\x89PNG\r\n\x1a\n" + bytes(99)})
    engine.deliver()
    engine.later(0.5)
    engine.deliver()
    control(engine).cancel(engine.row(job))
    assert [child.state for child in engine.children(job)] == [State.SUCCESS, State.REVOKED]


def test_what_could_not_be_cancelled_in_time_the_sweeper_cancels(
    engine: Archives, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = engine.archive(letters(3))
    engine.deliver()
    monkeypatch.setattr("chalicelib.jobs.ending._CANCEL_SECONDS", -1)
    control(engine).cancel(engine.row(job))
    assert {child.state for child in engine.children(job)} == {State.PENDING}
    monkeypatch.setattr("chalicelib.jobs.ending._CANCEL_SECONDS", 10)
    monkeypatch.setattr("chalicelib.jobs.sweeper.now_ms", lambda: now_ms() + 31_000)
    Sweeper(engine.table, engine.queues, engine.objects).sweep()  # type: ignore[arg-type]
    assert {child.state for child in engine.children(job)} == {State.REVOKED}
    assert not engine.row(job).check_at


def test_an_archive_cancelled_at_work_cancels_the_files_that_it_had_passed_on(engine: Archives) -> None:
    job = engine.archive(letters(3))

    def cancelled(row: Job, _beat: Beat) -> Outcome:
        outcome = engine._split(row)
        engine.store.request_cancel(engine.row(row))
        assert outcome.error
        return Outcome(error={"type": "cancelled", "message": "", "retryable": False})

    engine.work = cancelled
    engine.deliver()
    assert engine.row(job).state is State.REVOKED
    assert [child.state for child in engine.children(job)] == [State.REVOKED] * 3


# --- Large results ---------------------------------------------------------------------------------------------


def test_the_result_of_a_thousand_files_fits_its_row() -> None:
    from chalicelib.tasks.archive import _fitting

    entry = {"filename": "folder/" * 20 + "x.txt", "job_id": "0" * 26, "doc_id": "0" * 26, "title": "t" * 200}
    result = {
        "filename": "a.zip",
        "documents": [entry] * 1000,
        "errors": [],
        "skipped": [{"filename": "x" * 160, "reason": "r" * 90}] * 1000,
    }
    fitting = _fitting(result)
    assert len(msgspec.json.encode(fitting)) < 300_000
    assert len(fitting["documents"]) == 1000
    assert fitting["documents"][0]["filename"].endswith("x.txt")
    assert (len(fitting["skipped"]), fitting["skipped_in_all"]) == (20, 1000)
    assert _fitting({**result, "documents": [entry], "skipped": []})["documents"] == [entry]


def test_a_job_that_was_put_off_and_cancelled_leaves_no_checkpoint(engine: Archives) -> None:
    job = engine.archive(letters(1))
    engine.deliver()
    assert engine.objects.keys(f"texts/{job.job_id}/") == [f"texts/{job.job_id}/checkpoint"]
    control(engine).cancel(engine.row(job))
    assert engine.objects.keys("texts/") == []


def test_what_another_reader_has_saved_is_no_archive(engine: Archives, tmp_path: Path) -> None:
    job = engine.job(dispatch=2)
    for saved in (b'{"position": 7}', b"\x93NUMPY", b'{"type": "transcript"}'):
        run = engine.run(job, tmp_path)
        run.checkpoint.save(saved)
        assert not go_on(run, queues=engine.queues)
    first = engine.run(msgspec.structs.replace(job, dispatch=1), tmp_path)
    assert first.checkpoint.load() is None  # it follows nobody, so it does not even ask


def test_a_job_that_waits_says_that_it_is_starting_only_once(engine: Archives) -> None:
    job = engine.archive(letters(2))
    engine.deliver()
    engine.later(2)
    seen: list[Job] = []
    before = engine.work

    def watched(row: Job, beat: Beat) -> Outcome:
        seen.append(engine.row(row))
        return before(row, beat)

    engine.work = watched
    engine.deliver()
    again = next(row for row in seen if row.job_id == job.job_id)
    assert (again.stage, again.message, again.percent) == (Stage.STARTING, "0 of 2 files are done", 25)
