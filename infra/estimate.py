"""What a month costs: `python -m infra.estimate` prints the table of docs/deploy.md, `--write` puts it there.

Prices of requests and seconds are `chalicelib.jobs.cost.Prices`; what a job takes was measured (`KINDS`), what runs
without any job is counted in the templates. Nothing is taken off for free tiers, nothing added for traffic.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from chalicelib import metrics
from chalicelib.jobs.cost import Prices
from chalicelib.jobs.states import TERMINAL
from chalicelib.tasks.registry import TASKS
from infra import templates
from infra.findings import resources, sqs_events

DOCUMENT: Final = templates.ROOT / "docs" / "deploy.md"
JOBS: Final = (1_000, 100_000, 10_000_000)
_MILLION: Final = 1_000_000
_BEGIN: Final = "<!-- estimate: made by python -m infra.estimate --write -->\n"
_END: Final = "<!-- end of estimate -->\n"
_MINUTES: Final = 30 * 24 * 60


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Dollars a month, us-east-1, on-demand, for what no job is charged with (aws.amazon.com, 2026)."""

    alarm_metric: float = 0.10
    custom_metric: float = 0.30
    dashboard: float = 3.00
    secret: float = 0.40
    # Per GB: lines into CloudWatch Logs, a month in the table with its backups, in the bucket, in the registry.
    log_gb: float = 0.50
    table_gb: float = 0.25 + 0.20
    bucket_gb: float = 0.023
    registry_gb: float = 0.10
    # Per GB and second of /tmp above 512 MB.
    disk_gb_second: float = 0.0000000309


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of job: what one takes, measured."""

    name: str
    # Of all jobs.
    share: float
    # By the names of `Prices`.
    requests: Mapping[str, float]
    gb_seconds: float
    # What stays: bytes in the table with its indexes, in the bucket.
    row_bytes: int = 12_000
    object_bytes: int = 100_000


# What a text takes: `cost` of samples/job-queues.pdf (3 pages, 627 words), deployed to the emulator on 2 cores,
# without its submission.
_TEXT: Final[Mapping[str, float]] = {
    "lambda_request": 2,
    "sqs_request": 4,
    "table_read": 2,
    "table_write": 40,
    "s3_put": 1,
    "s3_get": 1,
}
# Taken a second time on another queue, by a run with a lease to renew three times a minute for `minutes`.
_SECOND_RUN: Final[Mapping[str, float]] = {
    "lambda_request": 1,
    "sqs_request": 4,
    "table_write": 4,
    "table_read": 1,
}


def _second(minutes: float) -> dict[str, float]:
    beats = 3 * minutes
    more = {**_SECOND_RUN, "sqs_request": _SECOND_RUN["sqs_request"] + beats}
    more["table_write"] += beats
    return {kind: _TEXT.get(kind, 0) + more.get(kind, 0) for kind in _TEXT}


# A mix to begin with. Scans and speech by the seconds of two cores with 3.5 GB: six pages took 5.1
# (chalicelib/ocr/engine.py), two hours of speech 24 minutes (docs/formats.md).
KINDS: Final = (
    Kind(name="text, 3 pages", share=0.90, requests=_TEXT, gb_seconds=0.162),
    Kind(
        name="scan, 3 pages",
        share=0.08,
        requests=_second(0.2),
        gb_seconds=3 * 5.1 / 6 * 3.5,
        object_bytes=2_000_000,
    ),
    Kind(
        name="speech, 30 minutes",
        share=0.02,
        requests=_second(6),
        gb_seconds=30 * 60 * 0.2 * 3.5,
        object_bytes=30_000_000,
    ),
)
# Around each job: its submission, three looks at its status (a request, 30 ms of 1 GB, a read each).
_LOOKS: Final = 3
_API: Final = Kind(
    name="submission and status",
    share=1,
    requests={"api_request": 1 + _LOOKS, "lambda_request": 1 + _LOOKS, "table_read": _LOOKS},
    gb_seconds=0.1 + 0.03 * _LOOKS,
    row_bytes=0,
    object_bytes=0,
)
# Lines in the log: two of a run, three of its metrics, those of the API and of the platform.
_LOG_BYTES: Final = 6_000
# What Lambda asks of a queue while nothing is in it: five long polls at a time, three a minute each.
_IDLE_POLLS: Final = 5 * 3
# A sweep: four parts of an index, the dead letters of six queues; a quarter of a second of 512 MB.
_SWEEP: Final[Mapping[str, float]] = {"lambda_request": 1, "table_read": 4, "sqs_request": 6}
_SWEEP_GB_SECONDS: Final = 0.25 * 0.5
# Media and ocr, ten versions each at most; two are typical.
_IMAGES_GB: Final = 2 * (0.5 + 1.1)


def dollars(requests: Mapping[str, float], prices: Prices) -> float:
    """Return what requests cost."""
    return sum(number * float(getattr(prices, kind)) for kind, number in requests.items()) / _MILLION


def standing(prices: Prices, rates: Rates) -> dict[str, float]:
    """Return what a month costs without any job, by item."""
    data, functions = templates.read(templates.DATA), templates.read(templates.FUNCTIONS)
    alarms = [
        alarm
        for template in (data, functions)
        for alarm in resources(template, "AWS::CloudWatch::Alarm").values()
    ]
    queues = len(list(sqs_events(functions)))
    return {
        "queues, asked by Lambda": dollars({"sqs_request": _IDLE_POLLS * _MINUTES * queues}, prices),
        "sweeper": _MINUTES * (dollars(_SWEEP, prices) + _SWEEP_GB_SECONDS * prices.gb_second),
        "alarms": rates.alarm_metric * sum(map(_watched, alarms)),
        "dashboard and secret": rates.dashboard + rates.secret,
        "images in the registry": rates.registry_gb * _IMAGES_GB,
    }


def _watched(alarm: Mapping[str, Any]) -> int:
    """Return how many metrics an alarm watches: each is charged."""
    return 1 if "MetricName" in alarm else sum("MetricStat" in part for part in templates.walk(alarm))


def series() -> int:
    """Return how many of our metrics there are when every task ends in every state."""
    values = {"task": len(TASKS), "state": len(TERMINAL) + 1}  # and RETRY
    total = 0
    for shape in metrics.SHAPES.values():
        number = 1
        for dimension in shape.dimensions:
            number *= values[dimension]
        total += number
    return total


def month(jobs: int, prices: Prices, rates: Rates) -> dict[str, float]:
    """Return what `jobs` in a month cost, by item; rows and objects are those of this month."""
    found = {"API: submission, three looks at the status": jobs * _one(_API, prices)}
    for kind in KINDS:
        found[f"work: {kind.name} ({kind.share:.0%})"] = jobs * kind.share * _one(kind, prices)
    found["logs"] = jobs * _LOG_BYTES / 1e9 * rates.log_gb
    rows = sum(kind.share * kind.row_bytes for kind in KINDS)
    objects = sum(kind.share * kind.object_bytes for kind in KINDS)
    found["a month of what was stored"] = jobs * (rows * rates.table_gb + objects * rates.bucket_gb) / 1e9
    # A metric is charged by the hour in which it is written.
    found["metrics"] = rates.custom_metric * series() * min(1.0, jobs / 10_000)
    found["without any job"] = sum(standing(prices, rates).values())
    return found


def _one(kind: Kind, prices: Prices) -> float:
    return dollars(kind.requests, prices) + kind.gb_seconds * prices.gb_second


def table(prices: Prices, rates: Rates) -> str:
    """Return the estimate as Markdown."""
    columns = [month(jobs, prices, rates) for jobs in JOBS]
    head = "| dollars a month | " + " | ".join(f"{jobs:,} jobs" for jobs in JOBS) + " |"
    lines = [head, "|---|" + "---:|" * len(JOBS)]
    for item in columns[0]:
        lines.append(f"| {item} | " + " | ".join(_money(column[item]) for column in columns) + " |")
    totals = [sum(column.values()) for column in columns]
    lines.append("| **together** | " + " | ".join(f"**{_money(total)}**" for total in totals) + " |")
    parts = ", ".join(f"{name} {_money(value)}" for name, value in standing(prices, rates).items())
    return "\n".join([*lines, "", f"Without any job: {parts}."]) + "\n"


def _money(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def inserted(text: str) -> str:
    """Return a document with the estimate of today between its marks."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + table(Prices(), Rates()) + _END + after


def main(arguments: Sequence[str]) -> int:
    """Print the table, or write it into the document."""
    if "--write" in arguments:
        DOCUMENT.write_text(inserted(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(table(Prices(), Rates()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
