"""Bands: who is in one learns of the others, in one write, and leaves nothing behind."""

from __future__ import annotations

import pytest

from chalicelib.aws.expressions import Update
from chalicelib.jobs.job import new_id
from chalicelib.knowledge.minhash import BANDS, Signature, signature
from chalicelib.library.bands import MAX_CANDIDATES, MAX_MEMBERS, Bands
from tests.memory import MemoryTable
from tests.unit.libraries import counting, prose


def signed(text: str) -> Signature:
    found = signature(text)
    assert found is not None
    return found


@pytest.fixture
def bands() -> Bands:
    return Bands(MemoryTable(), "ann")


def test_of_two_the_later_one_learns_of_the_earlier_one(bands: Bands) -> None:
    assert bands.register("d1", signed(prose(1))) == []
    assert bands.register("d2", signed(prose(1))) == ["d1"]
    assert bands.register("d3", signed(prose(2))) == []


def test_registering_twice_is_registering_once(bands: Bands) -> None:
    bands.register("d1", signed(prose(1)))
    before = dict(bands.table.items)  # type: ignore[attr-defined]
    assert bands.register("d1", signed(prose(1))) == []
    assert bands.table.items == before  # type: ignore[attr-defined]


def test_it_takes_one_request_and_one_for_each_band_that_is_shared(bands: Bands) -> None:
    for number in range(80):
        bands.register(f"d{number}", signed(prose(1)))
    table = bands.table
    assert isinstance(table, MemoryTable)
    counts = counting(table)
    counts.clear()
    bands.register("other", signed(prose(2)))
    assert counts == {"put_new": 1}
    bands.register("new", signed(prose(1)))
    assert counts == {"put_new": 2, "write": BANDS}


def test_the_most_alike_come_first_and_no_more_than_can_be_compared(bands: Bands) -> None:
    text = prose(1)
    for number in range(MAX_MEMBERS - 1):
        bands.register(f"d{number:03d}", signed(text + f" another end {number}"))
    bands.register("e", signed(text))
    for number in range(20):  # in few bands only
        bands.register(f"f{number:03d}", signed(text + prose(number, 60)))
    found = bands.register("f", signed(text))
    assert len(found) == MAX_CANDIDATES
    assert found[0] == "e"


def test_of_500_letters_from_one_template_none_meets_more_than_can_be_compared(bands: Bands) -> None:
    template = prose(1, 60)
    for number in range(500):
        found = bands.register(f"d{number:03d}", signed(f"{template} dear {prose(1000 + number, 3)}"))
        assert min(number, 30) <= len(found) <= MAX_CANDIDATES


def test_a_full_band_still_answers_and_takes_nobody_in(bands: Bands) -> None:
    for number in range(MAX_MEMBERS + 30):
        bands.register(f"d{number:03d}", signed(prose(1)))
    items = bands.table.items.values()  # type: ignore[attr-defined]
    assert {len(item["members"]) for item in items} == {MAX_MEMBERS}
    assert len(bands.register("new", signed(prose(1)))) == MAX_CANDIDATES


def test_who_leaves_is_found_no_more_and_an_empty_band_is_dropped(bands: Bands) -> None:
    for name in ("d1", "d2"):
        bands.register(name, signed(prose(1)))
    bands.withdraw("d1", signed(prose(1)))
    assert bands.register("d3", signed(prose(1))) == ["d2"]
    for name in ("d2", "d3", "d3", "never"):
        bands.withdraw(name, signed(prose(1)))
    assert bands.table.items == {}  # type: ignore[attr-defined]


def test_who_enters_while_the_last_one_leaves_stays(bands: Bands) -> None:
    table = bands.table
    assert isinstance(table, MemoryTable)
    one = signed(prose(1))
    for name in ("d1", "d2"):
        bands.register(name, one)

    def meanwhile(write: object) -> None:
        """Between taking the second-last member out and dropping the empty band, somebody comes in."""
        if isinstance(write, Update) and write.discard:
            table.before_write = lambda _: None
            Bands(table, "ann").withdraw("d2", one)
            Bands(table, "ann").register("d3", one)
            table.before_write = meanwhile

    table.before_write = meanwhile
    bands.withdraw("d1", one)
    table.before_write = lambda _: None
    assert all(item["members"] == {"d3"} for item in table.items.values())
    assert len(table.items) == BANDS


def test_owners_do_not_meet() -> None:
    table, doc_id = MemoryTable(), new_id()
    Bands(table, "ann").register(doc_id, signed(prose(1)))
    assert Bands(table, "ben").register("x", signed(prose(1))) == []


def test_an_empty_band_that_a_death_has_left_goes_when_the_withdrawal_is_repeated(bands: Bands) -> None:
    """Of two that leave at once the last one may die between taking itself out and dropping the band."""
    bands.register("d1", signed(prose(1)))
    items = bands.table.items  # type: ignore[attr-defined]
    for item in items.values():
        del item["members"]
    bands.withdraw("d1", signed(prose(1)))
    assert items == {}
