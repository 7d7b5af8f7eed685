"""`DELETE /clusters/{cluster_id}` and `POST /clusters/compact`: the jobs, and what the first one does."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import capabilities, services
from chalicelib.capabilities import ANALYSIS, Capability, CapabilityState
from chalicelib.errors import HandOver, Unavailable
from chalicelib.jobs.job import new_id
from chalicelib.jobs.store import JobStore
from chalicelib.knowledge.clusters import CATCH_ALL, Share
from chalicelib.knowledge.terms import term_vector
from chalicelib.library import regroup_jobs
from chalicelib.library.clusters import Clusters
from chalicelib.library.documents import Documents, concept_names
from chalicelib.library.moves import Member, Moves
from chalicelib.tasks import dissolve_cluster as dissolving
from chalicelib.tasks.dissolve_cluster import dissolve_cluster
from tests.unit.conftest import Api
from tests.unit.labelled_texts import TOPICS
from tests.unit.libraries import Library
from tests.unit.test_clusters_api import cluster


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setattr(dissolving, "_PAUSE_SECONDS", 0.0)
    made = Library()
    for topic in ("baking", "astronomy"):
        for text in TOPICS[topic]:
            made.add(text)
    return made


def dissolve(library: Library, cluster_id: str) -> dict[str, object]:
    return library.task("dissolve_cluster", dissolve_cluster, params={"cluster_id": cluster_id})


def test_a_topic_goes_and_its_documents_stay(library: Library) -> None:
    gone = library.clusters()[0]
    members = set(library.documents_of(gone.cluster_id))
    result = dissolve(library, gone.cluster_id)
    assert result["moved"] == gone.size
    there = {document.doc_id: document.cluster_id for document in library.documents()}
    assert members <= there.keys()
    assert gone.cluster_id not in there.values()
    assert library.unsound() == []


def test_documents_join_what_they_are_like_and_else_the_topic_for_all(library: Library) -> None:
    letter = f"Dear customer, {TOPICS['finance'][0]} Yours, number"
    first = library.add(f"{letter} one.")
    # A second topic on the same thing, as a division of labour between two workers may leave it.
    clusters = Clusters(library.table, "ann")
    for other in library.clusters():
        if other.cluster_id != first["cluster_id"]:
            dissolve(library, other.cluster_id)
    outside = clusters.require(CATCH_ALL)
    assert outside.size == 10
    assert outside.name == "Other"
    assert library.unsound() == []
    # What was deleted does not come back with the next document.
    assert {one.cluster_id for one in library.clusters()} == {CATCH_ALL, first["cluster_id"]}


def test_a_topic_that_is_gone_already_is_nothing_to_do(library: Library) -> None:
    assert dissolve(library, new_id())["moved"] == 0


def test_documents_that_the_index_does_not_name_are_found(library: Library) -> None:
    gone = library.clusters()[0]
    for item in library.table.items.values():
        item.pop("cluster", None)
    assert dissolve(library, gone.cluster_id)["moved"] == gone.size
    assert gone.cluster_id not in {cluster.cluster_id for cluster in library.clusters()}


def test_a_document_whose_text_is_lost_does_not_keep_a_topic_alive(library: Library) -> None:
    gone = library.clusters()[0]
    library.objects.bodies.clear()
    dissolve(library, gone.cluster_id)
    assert gone.cluster_id not in {cluster.cluster_id for cluster in library.clusters()}
    assert sum(cluster.size for cluster in library.clusters()) == 10


def test_a_large_topic_is_taken_apart_in_several_runs(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dissolving, "_PAGE", 2)
    gone = library.clusters()[0]
    job = library.job("dissolve_cluster", params={"cluster_id": gone.cluster_id})
    with pytest.raises(HandOver):
        dissolve_cluster(library.run(job, seconds=30.0))
    assert library.unsound() == []
    dissolve_cluster(library.run(job))
    assert library.unsound() == []
    assert gone.cluster_id not in {cluster.cluster_id for cluster in library.clusters()}


# --- On the API ------------------------------------------------------------------------------------------------


def test_deleting_a_topic_answers_with_a_job(api: Api) -> None:
    made = cluster(api)
    answer = api.send("DELETE", f"/clusters/{made.cluster_id}")
    assert answer.status_code == 202
    assert answer.headers["Location"].endswith(f"/jobs/{answer.json_body['job_id']}/status")
    assert answer.json_body["task"] == "dissolve_cluster"


def test_the_topic_for_all_that_belongs_nowhere_stays(api: Api) -> None:
    assert api.send("DELETE", f"/clusters/{CATCH_ALL}").status_code == 404
    clusters = Clusters(services.table(), api.user)
    from chalicelib.knowledge.clusters import founded

    services.table().write(clusters.save(None, founded(CATCH_ALL, {}, [])))
    assert api.send("DELETE", f"/clusters/{CATCH_ALL}").status_code == 409
    assert api.send("PUT", f"/clusters/{CATCH_ALL}", {"name": "Odds and ends"}).status_code == 200


def test_a_topic_that_is_not_there_or_somebody_elses_is_not_deleted(api: Api, stranger: Api) -> None:
    foreign = cluster(stranger).cluster_id
    for cluster_id in (foreign, new_id(), "x" * 300):
        assert api.send("DELETE", f"/clusters/{cluster_id}").status_code == 404
    assert Clusters(services.table(), stranger.user).require(foreign).size == 1


def test_a_regrouping_is_a_job_that_says_what_it_waits_for(api: Api) -> None:
    answer = api.post("/clusters/compact", {})
    assert answer.status_code == 202
    assert answer.json_body["task"] == "regroup_library"
    job_id = answer.json_body["job_id"]
    cause = "this stack was started without it"
    capabilities.report_queue(
        services.table(), ANALYSIS, Capability(state=CapabilityState.UNAVAILABLE, cause=cause)
    )
    from chalicelib.api import preparing

    preparing._seen.clear()
    shown = api.get(f"/jobs/{job_id}").json_body
    preparing._seen.clear()
    capabilities.report_queue(services.table(), ANALYSIS, Capability(state=CapabilityState.READY))
    assert shown["meta"]["stage"] == "preparing"
    assert cause in shown["meta"]["message"]


def test_nobody_asks_for_a_regrouping_where_nothing_can_do_it() -> None:
    library = Library()
    regroup_jobs._asked.clear()
    capabilities.report_queue(
        library.table, ANALYSIS, Capability(state=CapabilityState.UNAVAILABLE, cause="not here")
    )
    before = len(library.table.items)
    regroup_jobs.request(library.table, "ann", "0/1")
    assert len(library.table.items) == before
    regroup_jobs._asked.clear()
    capabilities.report_queue(library.table, ANALYSIS, Capability(state=CapabilityState.READY))
    regroup_jobs.request(library.table, "ann", "0/1")
    regroup_jobs.request(library.table, "ann", "0/1")
    assert len(library.table.items) > before


def test_a_regrouping_that_could_not_be_asked_for_is_asked_for_by_the_next_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = Library()
    regroup_jobs._asked.clear()
    before = len(library.table.items)

    def away(*_: object) -> None:
        raise Unavailable("The database does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(capabilities, "find", away)
        regroup_jobs.request(library.table, "ann", "0/1")
    with monkeypatch.context() as patch:
        patch.setattr(JobStore, "create", away)
        regroup_jobs.request(library.table, "ann", "0/1")
    assert len(library.table.items) == before
    regroup_jobs.request(library.table, "ann", "0/1")
    assert len(library.table.items) > before


@pytest.mark.parametrize(
    ("documents", "regrouped", "clusters", "expected"),
    [
        (29, 0, 10, ""),
        (30, 0, 10, "0/1"),
        (59, 0, 10, "0/1"),
        (60, 0, 10, "0/2"),
        (59, 30, 10, ""),
        (60, 30, 10, "30/1"),
        (120, 100, 90, "100/topics/1"),
    ],
)
def test_a_regrouping_is_due_when_a_library_doubles_or_has_many_new_topics(
    documents: int, regrouped: int, clusters: int, expected: str
) -> None:
    counts = {"documents": documents, "regrouped": regrouped, "regrouped_clusters": 10}
    assert regroup_jobs.due(counts, clusters) == expected


def test_a_topic_that_ends_and_is_founded_again_is_not_taken_for_the_one_of_before(library: Library) -> None:
    """An ingestion has read it in its first life: what it writes must be refused in the second one."""
    first = library.add("the quokka of rottnest island is a small marsupial and a quokka smiles")
    one, other = first["cluster_id"], library.clusters()[0].cluster_id
    member = library.documents_of(other)[0]
    transact = library.table.transact

    def meanwhile(writes: Any) -> None:
        library.table.transact = transact  # type: ignore[method-assign]
        library.delete(first["doc_id"])
        document = Documents(library.table, "ann").require(member)
        text = library.objects.get(document.text_key).decode()
        share = Share(term_vector(text), concept_names(document))
        assert Moves(library.table, "ann").move([Member(doc_id=member, share=share)], other, one) == [member]
        transact(writes)

    library.table.transact = meanwhile  # type: ignore[method-assign]
    library.add("on rottnest island lives the marsupial that smiles: people call it quokka")
    assert library.unsound() == []
