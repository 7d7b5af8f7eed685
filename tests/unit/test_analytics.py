"""Figures of a library: counted by a job, told from one item."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest

from chalicelib import services
from chalicelib.errors import HandOver
from chalicelib.jobs.job import new_id, now_ms
from chalicelib.library import tally as counting
from chalicelib.library.analytics import Snapshot, find_snapshot, is_stale, put_snapshot, report
from chalicelib.library.analytics_jobs import request_soon
from chalicelib.library.background import owner_of
from chalicelib.library.documents import Counts, Document, Documents, put_document
from chalicelib.library.tally import DAY_MS, Figures, Tally, read_page
from chalicelib.tasks.refresh_analytics import refresh_analytics
from tests.unit.conftest import Api
from tests.unit.libraries import Library, prose

NOW = 1_800_000_000_000


def put(library: Library, *, days_ago: float, number: int, concept: str = "sorting") -> None:
    document = Document(
        doc_id=f"{9_000_000 - days_ago * 10_000 - number:026.0f}",
        job_id=new_id(),
        title="T",
        filename="t.txt",
        source_type="text",
        skill_level="beginner",
        concepts=[{"name": concept, "category": "concept", "confidence": 1.0}],
        cluster_id="c",
        text_key="t",
        characters=1,
        words=1,
        created_at=int(NOW - days_ago * DAY_MS),
    )
    library.table.write(put_document(library.owner, document))


def counted(library: Library) -> Tally:
    tally = Tally(as_of=NOW)
    while not tally.done:
        # As the next run would find it.
        tally = msgspec.msgpack.decode(msgspec.msgpack.encode(tally), type=Tally)
        read_page(Documents(library.table, library.owner), tally)
    return tally


def test_one_pass_counts_all_periods_over_pages() -> None:
    library = Library()
    for number in range(250):
        put(library, days_ago=number, number=number)
    tally = counted(library)
    sizes = {period: figures.documents for period, figures in tally.periods.items()}
    assert sizes == {"7d": 7, "30d": 30, "90d": 90, "all": 250}
    assert tally.periods["30d"].top_concepts == {"sorting": 30}


def test_an_empty_library_has_zeros_for_every_day() -> None:
    told = report(Snapshot(), "7d", now=NOW)
    assert told["as_of"] is None
    assert [entry["documents"] for entry in told["time_series"]] == [0] * 7
    assert told["overview"]["total_documents"] == 0


def test_days_without_documents_are_zero_and_today_is_the_readers() -> None:
    snapshot = Snapshot(as_of=NOW, days={counting.day_of(NOW - 2 * DAY_MS): 4})
    told = report(snapshot, "7d", now=NOW)
    assert [entry["documents"] for entry in told["time_series"]] == [0, 0, 0, 0, 4, 0, 0]
    assert told["overview"]["documents_today"] == 0
    assert told["overview"]["documents_this_week"] == 4
    assert len(report(snapshot, "all", now=NOW)["time_series"]) == 3


def test_rare_concepts_are_dropped_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MAX_COUNTED", 10)
    library = Library()
    for number in range(60):
        name = "common" if number % 2 else f"rare{number}"
        put(library, days_ago=0, number=number, concept=name)
    tally = counted(library)
    assert tally.pruned
    assert len(tally.concepts) <= 10
    assert tally.concepts["common"] == 30


def test_the_job_counts_the_documents_and_the_jobs_of_its_owner_alone() -> None:
    library = Library()
    Library("ben", library).add(prose(7))
    for seed in range(3):
        library.add(prose(seed))
    hidden = Library("~ann", library)
    assert hidden.task("refresh_analytics", refresh_analytics, params={"owner": "ben"})["documents"] == 3
    snapshot = find_snapshot(library.table, "ann")
    assert snapshot is not None
    told = report(snapshot, "all", now=now_ms())
    assert told["overview"]["total_documents"] == told["overview"]["documents_today"] == 3
    assert told["recent_activity"][0]["type"] == "document_added"
    assert find_snapshot(library.table, "ben") is None


def test_a_run_without_time_hands_over_what_it_has_counted() -> None:
    library = Library()
    for number in range(150):
        put(library, days_ago=0, number=number)
    job = library.job("refresh_analytics")
    with pytest.raises(HandOver):
        refresh_analytics(library.run(job, seconds=10))
    refresh_analytics(library.run(msgspec.structs.replace(job, dispatch=2)))
    assert library.result(job)["documents"] == 150


def test_ingestions_within_a_span_ask_for_one_refresh() -> None:
    library = Library()
    for _ in range(5):
        request_soon(library.table, "ann")
    assert 1 <= sum(key[0].startswith("JOB#") for key in library.table.items) <= 2


def test_a_snapshot_is_stale_when_old_or_when_documents_came() -> None:
    figures = Figures(
        documents=3, clusters=1, concepts=1, source_types={}, skill_levels={}, by_cluster={}, top_concepts={}
    )
    snapshot = Snapshot(as_of=NOW, periods={"all": figures})
    assert is_stale(None, now=NOW, counts=Counts(documents=0))
    assert not is_stale(snapshot, now=NOW + 30_000, counts=Counts(documents=4))
    assert is_stale(snapshot, now=NOW + 61_000, counts=Counts(documents=4))
    assert not is_stale(snapshot, now=NOW + 61_000, counts=Counts(documents=3))
    assert is_stale(snapshot, now=NOW + 601_000, counts=Counts(documents=3))
    assert is_stale(snapshot, now=NOW + 61_000, counts=Counts(documents=3, removed=1))


def test_the_route_answers_at_once_and_asks_for_one_refresh(api: Api) -> None:
    before = services.queues().depth("low_priority").total
    answers = [api.get("/analytics?time_period=90d") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert all(answer.json_body["refreshing"] for answer in answers)
    assert len(answers[0].json_body["time_series"]) == 90
    assert 1 <= services.queues().depth("low_priority").total - before <= 2
    assert api.get("/jobs").json_body["jobs"] == []


def test_a_fresh_snapshot_is_answered_without_a_refresh(api: Api) -> None:
    services.table().write(put_snapshot(api.user, Snapshot(as_of=now_ms())))
    answer = api.get("/analytics").json_body
    assert answer["as_of"]
    assert answer["refreshing"] is False


@pytest.mark.parametrize("query", ["time_period=8d", "time_period=", "x=1"])
def test_bad_periods_are_refused(api: Api, query: str) -> None:
    assert api.get(f"/analytics?{query}").status_code == 400
    assert api.get(f"/analytics/export?{query}").status_code == 400


def test_no_cell_of_the_export_is_a_formula(api: Api) -> None:
    names = {"=1+1": 1, "@sum": 1, " +2": 1, "-x": 1, "plain, name": 1}
    figures = Figures(
        documents=1,
        clusters=1,
        concepts=5,
        source_types={},
        skill_levels={},
        by_cluster={},
        top_concepts=names,
    )
    snapshot = Snapshot(as_of=now_ms(), periods={"all": figures})
    services.table().write(put_snapshot(api.user, snapshot))
    answer = api.get("/analytics/export?time_period=all")
    rows = list(csv.reader(io.StringIO(answer.body.decode())))
    told = [name for section, name, _ in rows if section == "top_concepts"]
    assert told == ["'=1+1", "'@sum", "' +2", "'-x", "plain, name"]


def test_a_hidden_jobs_owner_is_the_librarys() -> None:
    library = Library("~ann")
    assert owner_of(library.job("refresh_analytics")) == "ann"
