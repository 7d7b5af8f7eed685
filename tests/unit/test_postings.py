"""Segments against the plain dictionaries that they were made of."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.knowledge import postings
from chalicelib.knowledge.postings import DOCUMENTS_PER_BLOCK, MAX_EXPANDED, Directory, Segment

Documents = dict[str, dict[str, int]]

documents = st.dictionaries(
    st.text("0123456789ab", min_size=4, max_size=6),
    st.dictionaries(st.text("abc日é", min_size=1, max_size=4), st.integers(1, 255), max_size=12),
    max_size=20,
)


def read_back(segment: Segment) -> Documents:
    names = segment.all_ids()
    found: Documents = {name: {} for name in names}
    for term, there in segment.all_terms():
        for number, impact in zip(there.numbers, there.impacts, strict=True):
            assert term not in found[names[number]]
            found[names[number]][term] = impact
    return found


@settings(max_examples=60, deadline=None)
@given(documents, documents, st.data())
def test_what_is_merged_is_what_there_was_without_what_is_gone(
    first: Documents, second: Documents, data: st.DataObject
) -> None:
    second = {name: terms for name, terms in second.items() if name not in first}
    everything = {**first, **second}
    gone = data.draw(st.sets(st.sampled_from(sorted(everything)))) if everything else set()
    written = postings.merge([postings.build(first), postings.build(second)], sizes=0, without=gone)
    left = {name: terms for name, terms in everything.items() if name not in gone}
    assert (read_back(postings.in_memory(written)) if written else {}) == left


def library(number: int) -> Documents:
    chance = random.Random(3)
    terms = [f"term{n:05d}" for n in range(3000)]
    return {
        f"d{n:05d}": {term: chance.randint(1, 255) for term in chance.choices(terms, k=40)}
        for n in range(number)
    }


def test_a_term_costs_one_block_and_ids_those_that_hold_them() -> None:
    there = library(DOCUMENTS_PER_BLOCK + 10)
    written = postings.merge([postings.build(there)], sizes=0)
    assert written is not None
    directory = Directory.unpack(written.directory.pack())
    assert directory == written.directory
    assert len(directory.terms) > 5
    spans: list[tuple[int, int]] = []

    def read(offset: int, length: int) -> bytes:
        spans.append((offset, length))
        return written.body[offset : offset + length]

    segment = Segment(directory, read)
    for term in ("term00000", "term01234", "term02999", "aaa", "zzz", "term01234x"):
        spans.clear()
        found = segment.find(term)
        assert len(spans) <= 1
        names = segment.ids(found.numbers) if found else {}
        assert set(names.values()) == {name for name, terms in there.items() if term in terms}
    spans.clear()
    assert segment.ids([3, 5, DOCUMENTS_PER_BLOCK + 1]) == {
        3: "d00003",
        5: "d00005",
        DOCUMENTS_PER_BLOCK + 1: f"d{DOCUMENTS_PER_BLOCK + 1:05d}",
    }
    assert len(spans) == 2


def test_a_beginning_stands_for_all_its_terms_up_to_a_bound() -> None:
    segment = postings.build(library(400))
    assert [term for term, _ in segment.begins("term0123")] == [f"term0123{n}" for n in range(10)]
    assert [term for term, _ in segment.begins("x")] == []
    assert [term for term, _ in segment.begins("a")] == []
    assert len(list(segment.begins("term"))) == MAX_EXPANDED
