"""Signatures: what two texts have in common shows, wherever it stands, and a text of any size costs little."""

from __future__ import annotations

import random
import time
from hashlib import sha256

import pytest

from chalicelib.knowledge import minhash
from chalicelib.knowledge.minhash import BANDS, BINS, Kind, Signature, estimate, likeness, signature
from tests.unit.libraries import prose


def signed(text: str) -> Signature:
    found = signature(text)
    assert found is not None
    return found


def jaccard(a: str, b: str) -> float:
    left, right = (minhash.shingles([minhash.normalised(text)]) for text in (a, b))
    return len(left & right) / len(left | right)


def edited(text: str, share: float, seed: int = 1) -> str:
    chance = random.Random(seed)
    return " ".join("changed" if chance.random() < share else word for word in text.split())


@pytest.mark.parametrize("share", [0.0, 0.02, 0.05, 0.1, 0.2, 0.5])
def test_the_estimate_is_near_the_exact_similarity(share: float) -> None:
    errors = []
    for seed in range(8):
        text = prose(seed, 200)
        other = edited(text, share, seed)
        errors.append(estimate(signed(text), signed(other)) - jaccard(text, other))
    assert abs(sum(errors) / len(errors)) < 0.06
    assert max(map(abs, errors)) < 0.16


def test_case_spaces_and_punctuation_make_no_difference() -> None:
    text = prose(1)
    other = "  " + text.upper().replace(" ", ",\n") + "!"
    assert likeness(signed(text), signed(other)) == (Kind.IDENTICAL, 1.0)


def test_composed_and_decomposed_accents_are_the_same() -> None:
    assert likeness(signed("Käse aus Österreich"), signed("Ka\u0308se aus O\u0308sterreich")) == (
        Kind.IDENTICAL,
        1.0,
    )


def test_texts_on_different_things_are_not_alike() -> None:
    assert likeness(signed(prose(1)), signed(prose(2))) is None


def test_an_edited_text_is_a_near_duplicate_and_shares_bands() -> None:
    text = prose(3, 300)
    alike = likeness(signed(text), signed(edited(text, 0.03)))
    assert alike is not None
    assert alike.kind is Kind.NEAR_DUPLICATE
    assert alike.similarity > 0.8
    assert set(signed(text).bands()) & set(signed(edited(text, 0.03)).bands())


def test_a_part_of_a_text_is_an_overlap_with_its_share() -> None:
    text = prose(4, 200)
    alike = likeness(signed(text), signed(" ".join(text.split()[:110])))
    assert alike is not None
    assert alike.kind is Kind.OVERLAP
    assert alike.similarity > 0.9


def test_an_insertion_at_the_start_of_a_long_text_moves_nothing() -> None:
    chance = random.Random(7)
    words = ["".join(chance.choices("abcdefghijklmnop", k=7)) for _ in range(5000)]
    text = " ".join(chance.choices(words, k=30_000))
    first, second = signed(text), signed(prose(5, 400) + "\n\n" + text)
    assert first.sampled
    assert estimate(first, second) > 0.8


def test_a_text_a_little_longer_than_another_is_not_read_by_another_rule() -> None:
    """There is no length at which two versions of a text would be sampled so differently that they are not found."""
    chance = random.Random(8)
    words = ["".join(chance.choices("abcdefghijklmnop", k=6)) for _ in range(minhash.ANCHORS + 40)]
    for number in range(minhash.ANCHORS - 20, minhash.ANCHORS + 40, 10):
        text = " ".join(words[:number])
        assert estimate(signed(text), signed(" ".join(words[: number - 10]))) > 0.85, number


def test_a_signature_survives_packing() -> None:
    found = signed(prose(6))
    assert len(found.pack()) == 270
    assert Signature.unpack(found.pack()) == found
    sampled = found._replace(sampled=True)
    assert Signature.unpack(sampled.pack()) == sampled


def test_packed_signatures_share_a_band_where_the_signatures_do() -> None:
    text = prose(3, 300)
    first, second = signed(text), signed(edited(text, 0.1))
    shared = {
        f"{band:02d}"
        for band in range(BANDS)
        if minhash.packed_band(first.pack(), band) == minhash.packed_band(second.pack(), band)
    }
    assert shared == {key[:2] for key in set(first.bands()) & set(second.bands())}
    assert 0 < len(shared) < BANDS


def test_the_signature_of_a_text_never_changes() -> None:
    """Signatures of different days are compared: another one for the same text would hide every duplicate."""
    found = signed("The quick brown fox jumps over the lazy dog, twice.")
    assert sha256(found.pack()).hexdigest()[:16] == "8b1d9d76fabebc3e"


@pytest.mark.parametrize("text", ["", " ", "\n\n", "ab", "!!!! ????", "a b", "\u0301" * 1000])
def test_a_text_without_a_shingle_has_no_signature(text: str) -> None:
    assert signature(text) is None


@pytest.mark.parametrize(
    "text", ["abcde", "字" * 40, "東京は日本の首都です", "🎉 party time", "\ud800 lone surrogate"]
)
def test_a_very_short_text_has_a_whole_signature(text: str) -> None:
    found = signed(text)
    assert len(found.minima) == BINS
    assert len(set(found.bands())) == BANDS
    assert estimate(found, signed(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "the same line again and again\n" * 350_000,
        "x" * 10_000_000,
        "a" + "\u0301" * 2_000_000,
        "字" * 3_000_000,
    ],
    ids=["lines", "one word", "marks", "one character"],
)
def test_ten_megabytes_of_one_thing_take_no_more_than_moments(text: str) -> None:
    started = time.process_time()
    signature(text)
    assert time.process_time() - started < 2.0
