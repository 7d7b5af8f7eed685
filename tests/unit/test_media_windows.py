"""Where sound is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.media.windows import SAMPLE_RATE, Cutter, Samples, quiet_place


def noise(seconds: float, seed: int = 1) -> Samples:
    return np.random.default_rng(seed).integers(-9000, 9000, int(seconds * SAMPLE_RATE)).astype(np.int16)


def hush(samples: Samples, begin: float, end: float, loud: int = 0) -> None:
    """Make a stretch (in seconds) as quiet as `loud`."""
    first, last = int(begin * SAMPLE_RATE), int(end * SAMPLE_RATE)
    samples[first:last] = np.clip(samples[first:last], -loud, loud)


@pytest.mark.parametrize("quiet", [62.0, 75.5, 88.4])
def test_the_cut_lies_in_the_quietest_stretch(quiet: float) -> None:
    samples = noise(90)
    hush(samples, quiet, quiet + 0.2, loud=300)
    assert quiet_place(samples) / SAMPLE_RATE == pytest.approx(quiet + 0.1, abs=0.02)


def test_a_shorter_pause_is_not_taken_for_a_long_one() -> None:
    samples = noise(90)
    hush(samples, 70, 70.05)
    hush(samples, 80, 80.2, loud=100)
    assert quiet_place(samples) / SAMPLE_RATE == pytest.approx(80.1, abs=0.02)


def test_quiet_before_the_last_half_minute_is_not_looked_at() -> None:
    samples = noise(90)
    hush(samples, 10, 50)
    assert quiet_place(samples) >= 60 * SAMPLE_RATE


def test_of_equally_quiet_places_the_last_is_taken() -> None:
    assert quiet_place(np.zeros(60 * SAMPLE_RATE, np.int16)) == pytest.approx(59.9 * SAMPLE_RATE, abs=200)


def test_the_loudest_samples_of_all_do_not_overflow() -> None:
    samples = np.full(40 * SAMPLE_RATE, -32768, np.int16)
    hush(samples, 30, 30.3)
    assert 30 * SAMPLE_RATE <= quiet_place(samples) <= 30.3 * SAMPLE_RATE


@settings(deadline=None, max_examples=25)
@given(pieces=st.lists(st.integers(0, 3 * SAMPLE_RATE), max_size=12), seconds=st.integers(1, 4))
def test_nothing_is_lost_and_no_window_is_too_long(pieces: list[int], seconds: int) -> None:
    cutter = Cutter(seconds)
    given_samples = noise(sum(pieces) / SAMPLE_RATE)[: sum(pieces)]
    windows: list[Samples] = []
    for piece in np.split(given_samples, np.cumsum(pieces)[:-1]) if pieces else []:
        windows.extend(cutter.add(piece))
    windows.append(cutter.rest())
    assert np.array_equal(np.concatenate(windows), given_samples)
    assert all(len(window) <= seconds * SAMPLE_RATE for window in windows)
    assert all(len(window) >= seconds * SAMPLE_RATE // 2 for window in windows[:-1])


def test_a_window_stays_as_it_was_given_when_more_comes() -> None:
    cutter = Cutter(1)
    (first,) = cutter.add(noise(1))
    kept = first.copy()
    list(cutter.add(noise(5, seed=2)))
    assert np.array_equal(first, kept)
