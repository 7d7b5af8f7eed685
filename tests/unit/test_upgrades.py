"""Data folders of an earlier version: their documents are found by all that finds new ones."""

from __future__ import annotations

import boto3

from chalicelib import services
from chalicelib.aws.expressions import Put
from chalicelib.jobs.job import new_id
from chalicelib.knowledge.clusters import founded, joined
from chalicelib.knowledge.concepts import extract_concepts
from chalicelib.knowledge.terms import term_vector
from chalicelib.library.clusters import Clusters, cluster_key
from chalicelib.library.documents import Documents
from local.upgrades import index_documents
from tests.unit.conftest import Api
from tests.unit.labelled_texts import TOPICS
from tests.unit.test_clusters_api import cluster, document


def test_old_documents_enter_the_index_of_clusters_once(api: Api) -> None:
    table = services.table()
    made = cluster(api)
    doc_id = document(api, made.cluster_id)
    row = table.get((f"LIB#{api.user}", f"DOC#{doc_id}")) or {}
    table.write(Put(item={name: value for name, value in row.items() if name != "cluster"}))
    documents = Documents(table, api.user)
    assert documents.of_cluster(made.cluster_id, limit=9).documents == []

    client = boto3.client("dynamodb")
    assert index_documents(client, table.name) == 1
    assert [one.doc_id for one in documents.of_cluster(made.cluster_id, limit=9).documents] == [doc_id]
    assert index_documents(client, table.name) == 0


def test_a_cluster_of_an_old_row_is_read_and_written_anew_in_the_new_form(api: Api) -> None:
    clusters = Clusters(services.table(), api.user)
    pk, sk = cluster_key(api.user, cluster_id := new_id())
    old = {
        "pk": pk,
        "sk": sk,
        "cluster_id": cluster_id,
        "name": "Sorting",
        "named_by_user": False,
        "size": 2,
        "version": 2,
        "weights": '{"sort":1.5,"heap":0.25}',
        "concept_counts": '{"heap":2}',
    }
    services.table().write(Put(item=old))
    before = clusters.require(cluster_id)
    assert (before.weights, before.concept_counts) == ({"sort": 1.5, "heap": 0.25}, {"heap": 2})
    after = joined(before, {"sort": 0.6, "tree": 0.8}, ["tree", "heap"])
    services.table().write(clusters.save(before, after))
    row = services.table().get((pk, sk)) or {}
    assert {"weights", "concept_counts"} & row.keys() == set()
    assert clusters.require(cluster_id) == after
    assert list(clusters.require(cluster_id).concept_counts.items()) == [("heap", 3), ("tree", 1)]


def test_what_is_stored_is_what_was_computed(api: Api) -> None:
    clusters = Clusters(services.table(), api.user)
    made = founded(new_id(), {"Ünïcode": 0.12345, "日本": 0.4}, ["zebra", "antelope"])
    services.table().write(clusters.save(None, made))
    assert clusters.require(made.cluster_id) == made
    assert list(clusters.require(made.cluster_id).concept_counts) == ["zebra", "antelope"]


def test_a_cluster_of_prose_is_a_row_of_two_write_units(api: Api) -> None:
    clusters = Clusters(services.table(), api.user)
    texts = [text for texts in TOPICS.values() for text in texts]
    made = founded(new_id(), term_vector(texts[0]), [])
    for text in texts[1:]:
        concepts = [concept.name for concept in extract_concepts(text, title="", kind="text").concepts]
        made = joined(made, term_vector(text), concepts)
    write = clusters.save(None, made)
    assert isinstance(write, Put)
    # As DynamoDB counts: names and values in bytes, three for the version.
    size = sum(
        len(name) + len(value if isinstance(value, bytes) else str(value))
        for name, value in write.item.items()
    )
    assert size <= 2048
