"""Which documents of a large library are looked at, and what they take in memory."""

from __future__ import annotations

from chalicelib.jobs.job import new_id
from chalicelib.knowledge.packedvectors import PackedVectors
from chalicelib.library import wholelibrary
from chalicelib.library.wholelibrary import SAMPLE


def test_a_sample_is_of_the_size_that_is_wanted_and_always_the_same() -> None:
    ids = [new_id() for _ in range(4000)]
    chosen = [doc_id for doc_id in ids if wholelibrary._chosen(doc_id, 4 * SAMPLE)]
    assert 800 < len(chosen) < 1200
    assert chosen == [doc_id for doc_id in ids if wholelibrary._chosen(doc_id, 4 * SAMPLE)]
    assert all(wholelibrary._chosen(doc_id, SAMPLE) for doc_id in ids)


def test_packed_vectors_are_what_was_added() -> None:
    packed = PackedVectors()
    vectors = [{"bread": 0.6, "salt": 0.8}, {}, {"salt": 1.0}]
    for vector in vectors:
        packed.append(vector)
    assert list(packed) == vectors
    assert len(packed) == 3
