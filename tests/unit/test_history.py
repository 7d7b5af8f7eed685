"""The list of jobs, filtered: what is found, in which order, and how much is read for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from ulid import ULID

from chalicelib.aws.expressions import Put
from chalicelib.errors import InvalidRequest, NotFound
from chalicelib.jobs.batches import Batch, Batches
from chalicelib.jobs.history import Filter, History
from chalicelib.jobs.job import Job, check_shard, to_item
from chalicelib.jobs.search import Matches, entries, words
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.transitions import standing
from tests.memory import MemoryTable

DAY = 24 * 3600 * 1000
START = 1_767_225_600_000  # 2026-01-01T00:00:00Z


class Archive:
    """Jobs of one owner in memory, one a minute."""

    def __init__(self) -> None:
        self.table = MemoryTable()
        self.read = 0
        get_many = self.table.get_many

        def counted(keys: Any) -> Any:
            self.read += len(keys)
            return get_many(keys)

        self.table.get_many = counted  # type: ignore[method-assign,assignment]
        self.made: list[Job] = []

    def add(
        self, filename: str = "notes.md", *, at: int | None = None, owner: str = "ann", **fields: Any
    ) -> Job:
        at = START + len(self.made) * 60_000 if at is None else at
        job_id = str(ULID.from_timestamp(at / 1000)).lower()
        job = Job(
            job_id=job_id,
            owner=owner,
            task="process_file_upload",
            queue="uploads",
            state=State.PENDING,
            stage=Stage.QUEUED,
            filename=filename,
            created_at=at,
            updated_at=at,
            check_shard=check_shard(job_id),
        )
        job = msgspec.structs.replace(job, **fields)
        self.table.put_many(entries(job))
        self.table.write(Put(item=to_item(job)))
        if owner == "ann":
            self.made.append(job)
        return job

    def all(self, wanted: Filter, *, limit: int = 10) -> list[str]:
        """Return the ids of all pages, each of at most `limit`."""
        found: list[str] = []
        after = None
        while True:
            page = History(self.table, "ann").page(wanted, limit=limit, after=after)
            assert len(page.jobs) <= limit
            found += [job.job_id for job in page.jobs]
            if page.last is None:
                return found
            after = page.last

    def expect(self, wanted: Filter, *jobs: Job) -> None:
        """Check that these jobs are found, newest first, whatever the size of a page."""
        ids = sorted((job.job_id for job in jobs), reverse=True)
        for limit in (1, 2, 100):
            assert self.all(wanted, limit=limit) == ids


@pytest.fixture
def archive() -> Archive:
    return Archive()


def test_without_a_filter_all_jobs_come_newest_first_and_only_the_owners(archive: Archive) -> None:
    jobs = [archive.add() for _ in range(7)]
    archive.add(owner="bob")
    archive.expect(Filter(), *jobs)


def test_a_page_that_is_just_full_is_the_last_one(archive: Archive) -> None:
    for _ in range(4):
        archive.add()
    page = History(archive.table, "ann").page(Filter(), limit=4)
    assert (len(page.jobs), page.last) == (4, None)


@pytest.mark.parametrize("state", ["FAILURE", "REVOKED"])
def test_a_rare_state_is_read_from_its_own_index(archive: Archive, state: str) -> None:
    for _ in range(300):
        archive.add()
    rare = [archive.add(state=State(state), standing=standing("ann", state)) for _ in range(3)]
    for _ in range(300):
        archive.add()
    archive.expect(Filter(state=state), *rare)
    archive.read = 0
    archive.all(Filter(state=state))
    assert archive.read == 3


def test_jobs_that_wait_for_their_turn_are_found(archive: Archive) -> None:
    archive.add()
    waiting = archive.add(stage=Stage.WAITING_TURN, standing=standing("ann", "WAITING"))
    archive.expect(Filter(state="WAITING"), waiting)
    archive.expect(Filter(state="PENDING"), *archive.made)


def test_other_states_tasks_and_queues_are_found_on_the_rows(archive: Archive) -> None:
    archive.add()
    done = archive.add(state=State.SUCCESS)
    quick = archive.add(state=State.SUCCESS, task="noop", queue="low_priority")
    archive.expect(Filter(state="SUCCESS"), done, quick)
    archive.expect(Filter(task="noop"), quick)
    archive.expect(Filter(queue="uploads", state="SUCCESS"), done)
    archive.expect(Filter(queue="analysis"))


def test_a_request_reads_a_bounded_number_of_rows_and_the_cursor_goes_on(archive: Archive) -> None:
    oldest = archive.add(state=State.SUCCESS)
    for _ in range(1300):
        archive.add()
    archive.read = 0
    page = History(archive.table, "ann").page(Filter(state="SUCCESS"), limit=10)
    assert page.jobs == []
    assert page.last is not None
    assert 500 <= archive.read <= 611
    assert archive.all(Filter(state="SUCCESS")) == [oldest.job_id]


def test_times_include_their_first_and_last_millisecond(archive: Archive) -> None:
    before, first, last, after = (
        archive.add(at=at) for at in (START - 1, START, START + DAY - 1, START + DAY)
    )
    archive.expect(Filter(since=START, until=START + DAY - 1), first, last)
    archive.expect(Filter(since=START), first, last, after)
    archive.expect(Filter(until=START - 1), before)
    archive.expect(Filter(until=-1))
    archive.expect(Filter(since=START, state="FAILURE"))


def test_a_batch_lists_its_jobs_and_no_other_owner_sees_it(archive: Archive) -> None:
    archive.add()
    jobs = [archive.add(batch_id="b" * 26) for _ in range(3)]
    a_batch(archive, "ann", jobs)
    archive.expect(Filter(batch="b" * 26), *jobs)
    archive.expect(Filter(q="b" * 26), *jobs)
    archive.expect(Filter(batch="b" * 26, state="FAILURE"))
    for owner, batch_id in (("bob", "b" * 26), ("ann", "c" * 26)):
        with pytest.raises(NotFound):
            History(archive.table, owner).page(Filter(batch=batch_id), limit=5)


def a_batch(archive: Archive, owner: str, jobs: list[Job]) -> None:
    batch = Batch(
        batch_id="b" * 26, owner=owner, job_ids=[job.job_id for job in jobs], created_at=1, expires_at=2
    )
    Batches(archive.table, owner).save(batch)


# --- Search ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Quarterly_Report-2026.PDF", ["quarterly", "report", "2026", "pdf"]),
        ("ﬁle №5.txt", ["file", "no5", "txt"]),
        ("Größe ÄÖÜ.md", ["größe", "äöü", "md"]),
        ("https://www.example.com/a/b.html", ["example", "com", "a", "b", "html"]),
        ("a a A.md", ["a", "md"]),
        ("x" * 50, ["x" * 40]),
        ("...", []),
    ],
)
def test_the_words_of_a_name(name: str, expected: list[str]) -> None:
    assert words(name) == expected


def test_a_begin_of_a_word_finds_all_its_words_in_one_order(archive: Archive) -> None:
    maps = [archive.add(name) for name in ("map.md", "maps.md", "mapping.md", "map of maps.md", "MAP.txt")]
    archive.add("ma p.md")
    archive.add("amap.md")
    archive.add("map.md", owner="bob")
    archive.expect(Filter(q="map"), *maps)
    archive.expect(Filter(q="MaP"), *maps)
    archive.expect(Filter(q="mapp"), maps[2])
    archive.expect(Filter(q="zebra"))


def test_several_words_must_all_be_there(archive: Archive) -> None:
    both = archive.add("annual report.md")
    archive.add("report.md")
    archive.add("annual.md")
    archive.expect(Filter(q="rep annual"), both)
    archive.expect(Filter(q="annual report md"), both)


def test_a_search_is_narrowed_by_the_other_filters(archive: Archive) -> None:
    archive.add("report.md")
    found = archive.add("report.md", state=State.FAILURE, standing=standing("ann", "FAILURE"))
    archive.expect(Filter(q="report", state="FAILURE"), found)
    archive.expect(Filter(q="report", since=found.created_at), found)


def test_a_job_is_found_by_its_id_and_a_strangers_is_not(archive: Archive) -> None:
    job, foreign = archive.add(), archive.add(owner="bob")
    archive.add()
    archive.expect(Filter(q=job.job_id), job)
    archive.expect(Filter(q=job.job_id.upper()), job)
    archive.expect(Filter(q=foreign.job_id))


def test_a_common_word_is_paged_without_reading_all_of_it(archive: Archive) -> None:
    for _ in range(400):
        archive.add("report.md")
    archive.read = 0
    page = History(archive.table, "ann").page(Filter(q="report"), limit=10)
    assert [job.job_id for job in page.jobs] == [job.job_id for job in archive.made[:-11:-1]]
    assert archive.read <= 11


def test_a_search_that_means_too_many_words_says_so(archive: Archive) -> None:
    for number in range(30):
        archive.add(f"w{number}.md")
    with pytest.raises(InvalidRequest, match="more letters"):
        Matches(archive.table, "ann", "w")
    assert len(Matches(archive.table, "ann", "w1").words) == 11


def test_search_items_outlive_their_job_and_then_expire(archive: Archive) -> None:
    job = archive.add("report.md")
    expiries = {item["expires_at"] for item in entries(job)}
    assert all(START // 1000 + 30 * 86_400 < expiry < START // 1000 + 60 * 86_400 for expiry in expiries)


def test_words_whose_job_is_gone_do_no_harm(archive: Archive) -> None:
    job, gone = archive.add("report.md"), archive.add("report.md")
    del archive.table.items[gone.key]
    archive.expect(Filter(q="report"), job)
