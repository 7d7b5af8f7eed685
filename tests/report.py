"""`make test`: runs every tier and ends with a table of what ran, what did not and why, and on what."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter, defaultdict
from importlib.metadata import version
from typing import Final

import pytest
from rich.console import Console
from rich.table import Table

from tests.stack import GIVEN_ENDPOINT

TIERS = {
    "unit": "in one process",
    "contract": "memory and moto",
    "analysis": "topics of whole libraries",
    "media": "the recogniser itself, and films by link",
    "e2e": "the whole stack",
    "browser": "headless Chromium on the whole stack",
}
# On both cores; a stack mostly waits, so two of them fit. An emulator that was given is one for all: one at a time.
_BOTH: Final = ("--numprocesses=2", "--dist=loadfile")
RUNS: Final = (
    (("unit", "contract", "analysis", "media"), _BOTH),
    (("e2e", "browser"), () if GIVEN_ENDPOINT else _BOTH),
)
NOT_HERE = (
    "Images were neither built nor run: `make images` and `make images-test` do that, with Docker or Podman."
)
NEVER_ON_AWS = (
    "Nothing has run on AWS itself: no account. API Gateway, Lambda, event source mappings, CloudFormation, IAM, "
    "fair queues and TTL expiry are checked by template tools and by the emulator as far as it goes."
)


class Collector:
    """A pytest plugin that counts outcomes by tier."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.reasons: Counter[str] = Counter()
        self.seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        tier = report.nodeid.split("/")[1]
        self.seconds[tier] += report.duration
        if report.skipped:
            self.counts[tier]["skipped"] += 1
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.reasons[reason.removeprefix("Skipped: ")] += 1
        elif report.failed:
            self.counts[tier]["failed"] += 1
        elif report.when == "call":
            self.counts[tier]["passed"] += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.counts["unit"]["failed"] += 1


def emulator() -> str:
    """Return what plays AWS in this run."""
    return GIVEN_ENDPOINT or f"MiniStack (embedded), moto {version('moto')}"


def main() -> int:
    """Run all tests; return pytest's exit code."""
    began = time.monotonic()
    # A parser's child may use what is free in its parent's heap beyond its limit on memory: a worker process has no
    # such heap, a test process after thousands of tests may. With this, glibc gives large blocks back at once.
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "131072")
    collector = Collector()
    code = 0
    for tiers, options in RUNS:
        code |= int(
            pytest.main(
                ["-q", *(f"tests/{tier}" for tier in tiers), *options, *sys.argv[1:]], plugins=[collector]
            )
        )
    console = Console(width=110)
    table = Table(title=f"Tests in {time.monotonic() - began:.0f} s, on {emulator()}", title_justify="left")
    for heading in ("tier", "what", "passed", "failed", "skipped", "seconds"):
        table.add_column(heading)
    for tier, what in TIERS.items():
        counts = collector.counts[tier]
        numbers = [str(counts[outcome]) for outcome in ("passed", "failed", "skipped")]
        table.add_row(tier, what, *numbers, f"{collector.seconds[tier]:.0f}")
    console.print(table)
    for reason, number in collector.reasons.items():
        console.print(f"skipped {number}: {reason}")
    console.print(NOT_HERE)
    console.print(NEVER_ON_AWS)
    total = sum(collector.counts.values(), Counter[str]())
    console.print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return code


if __name__ == "__main__":
    sys.exit(main())
