"""The estimate of docs/deploy.md is today's, and follows prices, jobs and templates."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chalicelib.jobs.cost import Prices
from infra import estimate
from infra.estimate import JOBS, Rates

PRICES, RATES = Prices(), Rates()


def test_the_document_holds_todays_estimate() -> None:
    text = estimate.DOCUMENT.read_text(encoding="utf-8")
    assert estimate.inserted(text) == text, "run: python -m infra.estimate --write"


def test_every_item_follows_the_number_of_jobs_and_what_stands_costs_the_same() -> None:
    small, large = (estimate.month(jobs, PRICES, RATES) for jobs in (100_000, 200_000))
    for item, value in small.items():
        factor = 1 if item in ("without any job", "metrics") else 2
        assert large[item] == pytest.approx(factor * value), item


def test_a_dearer_second_makes_the_work_dearer_and_leaves_the_rest() -> None:
    dear = msgspec.structs.replace(PRICES, gb_second=2 * PRICES.gb_second)
    before, after = (estimate.month(JOBS[1], prices, RATES) for prices in (PRICES, dear))
    speech = next(item for item in before if "speech" in item)
    assert after[speech] > 1.9 * before[speech]
    assert after["logs"] == before["logs"]


def test_shares_of_the_mix_are_a_whole() -> None:
    assert sum(kind.share for kind in estimate.KINDS) == pytest.approx(1)


def test_an_alarm_that_compares_is_charged_for_each_metric() -> None:
    part: dict[str, Any] = {"MetricStat": {"Metric": {}}}
    assert estimate._watched({"MetricName": "x"}) == 1
    assert estimate._watched({"Metrics": [{"Expression": "a+b"}, part, part]}) == 2
