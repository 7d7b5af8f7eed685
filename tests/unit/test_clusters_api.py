"""`/clusters` on the API."""

from __future__ import annotations

import pytest

from chalicelib import services
from chalicelib.jobs.job import new_id
from chalicelib.knowledge.clusters import Centroid, founded, joined
from chalicelib.library.clusters import Clusters
from chalicelib.library.documents import Document, put_document
from tests.unit.conftest import Api


def cluster(api: Api, size: int = 1) -> Centroid:
    made = founded(new_id(), {"sorting": 1.0}, ["merge sort"])
    for _ in range(size - 1):
        made = joined(made, {"sorting": 1.0}, ["merge sort", "heap"])
    services.table().write(Clusters(services.table(), api.user).save(None, made))
    return made


def document(api: Api, cluster_id: str, text: str = "Some text.", title: str = "Notes") -> str:
    doc_id = new_id()
    services.objects().put(f"texts/{doc_id}", text.encode())
    made = Document(
        doc_id=doc_id,
        job_id=new_id(),
        title=title,
        filename="notes.md",
        source_type="text",
        cluster_id=cluster_id,
        text_key=f"texts/{doc_id}",
        characters=len(text),
        words=2,
        created_at=1,
    )
    services.table().write(put_document(api.user, made))
    return doc_id


def test_clusters_are_listed_the_newest_first_page_by_page(api: Api) -> None:
    made = [cluster(api).cluster_id for _ in range(3)]
    first = api.get("/clusters?limit=2").json_body
    rest = api.get(f"/clusters?limit=2&cursor={first['next_cursor']}").json_body
    assert [one["cluster_id"] for one in first["clusters"] + rest["clusters"]] == sorted(made, reverse=True)
    assert rest["next_cursor"] is None


def test_clusters_are_listed_the_largest_first_page_by_page(api: Api) -> None:
    made = {size: cluster(api, size).cluster_id for size in (2, 10, 1)}
    first = api.get("/clusters?sort=largest&limit=2").json_body
    assert [one["cluster_id"] for one in first["clusters"]] == [made[10], made[2]]
    assert first["clusters"][0]["concepts"][0] == {"name": "merge sort", "documents": 10}
    rest = api.get(f"/clusters?sort=largest&limit=2&cursor={first['next_cursor']}").json_body
    assert [one["size"] for one in rest["clusters"]] == [1]


def test_a_users_name_stays_when_documents_join(api: Api) -> None:
    made = cluster(api)
    answer = api.send("PUT", f"/clusters/{made.cluster_id}", {"name": "  My topic "})
    assert (answer.json_body["name"], answer.json_body["named_by_user"]) == ("My topic", True)
    clusters = Clusters(services.table(), api.user)
    now = clusters.require(made.cluster_id)
    services.table().write(clusters.save(now, joined(now, {"x": 1.0}, ["other"])))
    assert api.get(f"/clusters/{made.cluster_id}").json_body["name"] == "My topic"


def test_a_document_that_joins_during_a_renaming_is_refused_and_loses_nothing(api: Api) -> None:
    from chalicelib.aws.table import ConditionFailed

    made = cluster(api)
    clusters = Clusters(services.table(), api.user)
    clusters.rename(made.cluster_id, "Mine")
    with pytest.raises(ConditionFailed):
        services.table().write(clusters.save(made, joined(made, {"x": 1.0}, [])))
    assert clusters.require(made.cluster_id).name == "Mine"


@pytest.mark.parametrize("name", ["", "   ", "x" * 121, "a\nb", 5])
def test_a_name_that_is_none_is_refused(api: Api, name: object) -> None:
    made = cluster(api)
    assert api.send("PUT", f"/clusters/{made.cluster_id}", {"name": name}).status_code == 400


@pytest.mark.parametrize("query", ["sort=x", "limit=0", "cursor=x", "foo=1"])
def test_bad_parameters_are_refused(api: Api, query: str) -> None:
    assert api.get(f"/clusters?{query}").status_code == 400


def test_unknown_and_foreign_clusters_are_not_found(api: Api, stranger: Api) -> None:
    foreign = cluster(stranger).cluster_id
    for cluster_id in (foreign, new_id(), "x" * 3000):
        assert api.get(f"/clusters/{cluster_id}").status_code == 404
        assert api.get(f"/clusters/{cluster_id}/export").status_code == 404
        assert api.send("PUT", f"/clusters/{cluster_id}", {"name": "Mine"}).status_code == 404
    assert Clusters(services.table(), stranger.user).require(foreign).named_by_user is False


def test_a_cluster_is_shown_with_its_own_documents_page_by_page(api: Api) -> None:
    made = cluster(api, 3)
    ids = [document(api, made.cluster_id) for _ in range(3)]
    document(api, new_id())
    first = api.get(f"/clusters/{made.cluster_id}?limit=2").json_body
    rest = api.get(f"/clusters/{made.cluster_id}?limit=2&cursor={first['next_cursor']}").json_body
    found = [one["doc_id"] for one in first["documents"] + rest["documents"]]
    assert found == sorted(ids, reverse=True)


def test_an_export_carries_texts_and_leaves_out_what_is_too_long(api: Api) -> None:
    made = cluster(api, 2)
    document(api, made.cluster_id, "Ünïcode text.", title="A\n# title")
    document(api, made.cluster_id, "x" * 1_600_000, title="Long")
    answer = api.get(f"/clusters/{made.cluster_id}/export").json_body
    assert [one["text"] for one in answer["documents"]] == [None, "Ünïcode text."]
    answer = api.get(f"/clusters/{made.cluster_id}/export?format=markdown")
    assert answer.headers["Content-Type"].startswith("text/markdown")
    text = answer.body.decode()
    assert "## A # title\n" in text
    assert "Ünïcode text." in text
    assert "too long" in text
    assert api.get(f"/clusters/{made.cluster_id}/export?format=pdf").status_code == 400
