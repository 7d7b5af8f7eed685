"""`python -m tests.chaos --seed N --jobs M`: every storm on one stack, an audit after each, one table."""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from tests.chaos.audit import Findings, all_jobs, audit, outcome
from tests.chaos.load import OWNERS, Handed
from tests.chaos.site import Site
from tests.chaos.storms import STORMS, Storm, unleash

# How an innocent job may fail when it was hit on every attempt.
_BAD_LUCK = ("worker_lost", "attempts_exhausted", "dead_letter")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One storm and what the audit found after it."""

    storm: Storm
    findings: Findings
    # The audit's violations, and expectations of this storm that were not met.
    violations: list[str]
    # Jobs that only the sweeper brought on.
    swept: int
    # Seconds from the first file to the quiet after the storm.
    took: float


def weather(storm: Storm, site: Site, *, jobs: int, seed: int) -> Result:
    """Run one storm with its audit."""
    owners = [f"{storm.name}-{owner}" for owner in OWNERS]
    began = time.monotonic()
    handed, deleted = unleash(storm, site, jobs=jobs, seed=seed)
    swept = site.settle(owners, seconds=storm.seconds)
    took = time.monotonic() - began
    site.tidy(owners)
    findings = audit(site.table, site, site, owners, dead_letters=storm.dead_letters, deleted=deleted)
    site.bury()
    return Result(
        storm=storm,
        findings=findings,
        violations=[*findings.violations, *_unexpected(storm, site, handed, findings)],
        swept=swept,
        took=took,
    )


def _unexpected(storm: Storm, site: Site, handed: Sequence[Handed], findings: Findings) -> list[str]:
    """Return how files ended otherwise than they should have."""
    ended = {
        job.job_id: outcome(job)
        for owner in {h.file.owner for h in handed}
        for job in all_jobs(site.table, owner)
    }
    wrong = [
        f"{h.file.name} of {h.file.owner} ({h.job_id}) ended {ended.get(h.job_id, 'nowhere')}, not {h.file.expected}"
        for h in handed
        if ended.get(h.job_id) != h.file.expected
    ]
    known = {h.job_id for h in handed}
    wrong += [
        f"{job_id} ended {how}, and nobody handed it in"
        for job_id, how in ended.items()
        if job_id not in known
    ]
    unlucky = [line for line in wrong if any(f"FAILURE {error}, not SUCCESS" in line for error in _BAD_LUCK)]
    if len(unlucky) <= math.ceil(storm.tolerated * len(handed)):
        wrong = [line for line in wrong if line not in unlucky]
    if findings.mean_executions > storm.executions:
        wrong.append(
            f"{findings.mean_executions:.2f} executions a job; at most {storm.executions:.2f} are in order"
        )
    return wrong


def share(jobs: int, storms: int) -> list[int]:
    """Return `storms` numbers that differ by one at most and sum to `jobs`."""
    return [jobs // storms + (number < jobs % storms) for number in range(storms)]


def run(storms: Sequence[Storm], *, jobs: int, seed: int, data: Path, console: Console) -> list[Result]:
    """Run storms one after the other on one stack."""
    results = []
    with Site(data, seed=seed) as site:
        for storm, number in zip(storms, share(jobs, len(storms)), strict=True):
            console.print(f"{storm.name}: {storm.what}")
            try:
                result = weather(storm, site, jobs=number, seed=seed)
            except (AssertionError, TimeoutError) as error:
                tail = "\n".join(site.stack.lines[-20:])
                console.print(f"  {error}; the stack said last:\n{tail}", highlight=False, markup=False)
                raise
            outcomes = ", ".join(f"{number} {name}" for name, number in result.findings.outcomes.items())
            console.print(f"  {outcomes}", highlight=False)
            for violation in result.violations:
                console.print(f"  {violation}", style="red", highlight=False, markup=False)
            results.append(result)
    return results


def show(results: Sequence[Result], *, seed: int, console: Console) -> None:
    """Print the table."""
    table = Table(title=f"Storms, seed {seed}", title_justify="left")
    for heading in (
        "storm",
        "jobs",
        "succeeded",
        "executions/job",
        "most",
        "by sweeper",
        "took",
        "verdict",
    ):
        table.add_column(heading, justify="left" if heading in ("storm", "verdict") else "right")
    for result in results:
        found = result.findings
        table.add_row(
            result.storm.name,
            str(found.jobs),
            str(found.outcomes.get("SUCCESS", 0)),
            f"{found.mean_executions:.2f}",
            str(found.max_executions),
            str(result.swept),
            f"{result.took:.0f} s",
            "[red]violated" if result.violations else "[green]holds",
        )
    console.print(table)
    total = sum((Counter(result.findings.outcomes) for result in results), Counter[str]())
    console.print(
        f"{total.total()} jobs: " + ", ".join(f"{number} {name}" for name, number in total.most_common())
    )


def main() -> int:
    """Run what the command line asks for; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--jobs", type=int, default=500, help="files in all, spread over the storms")
    parser.add_argument("--storms", default=",".join(storm.name for storm in STORMS))
    parser.add_argument("--data", type=Path, help="keep the stack's data here")
    given = parser.parse_args()
    names = given.storms.split(",")
    storms = [storm for storm in STORMS if storm.name in names]
    console = Console(width=max(110, int(os.environ.get("COLUMNS", "0"))))
    console.print(f"seed {given.seed}")
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        data = given.data or Path(folder)
        results = run(storms, jobs=given.jobs, seed=given.seed, data=data, console=console)
    show(results, seed=given.seed, console=console)
    return int(any(result.violations for result in results))


if __name__ == "__main__":
    sys.exit(main())
