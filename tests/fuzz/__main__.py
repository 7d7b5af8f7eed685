"""`python -m tests.fuzz --seed 1 --mutations 1000`: spoil good files of every kind, and see that all ends well.

Ends with 1 if a reader raised what is none of our errors, a limit did not hold, or something was left behind. If a
file kills this very process, that shows by itself. The same seed spoils the same files in the same way.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.campaign import READ, REFUSED, STOPPED, Report, campaign
from tests.fuzz.corpus import seeds
from tests.stack import ROOT

_COLUMNS = (READ, REFUSED, *STOPPED, "failed")
_SHOWN = 5


def main() -> int:
    """Run a campaign; print a table and the first failures of each kind; return the exit status."""
    given = _arguments()
    # The libraries of films and recordings have an environment of their own; this one's come first.
    sys.path += [str(path) for path in (ROOT / ".venvs" / "media" / "lib").glob("python3.*/site-packages")]
    chosen = set(given.kinds.split(",")) if given.kinds else set()
    files = [seed for seed in seeds(given.also) if not chosen or seed.kind in chosen]
    if not files:
        print(f"There are no files of the kinds {given.kinds}.", file=sys.stderr)
        return 2
    print("kind        " + "".join(f"{name:>13}" for name in _COLUMNS) + "   slowest")
    with tempfile.TemporaryDirectory(prefix="syncboard-fuzzing-") as folder:
        tempfile.tempdir = folder  # so that what is left behind is ours
        reports = campaign(
            files, seed=given.seed, mutations=given.mutations, seconds=given.seconds, on_kind=_print_row
        )
    for report in reports:
        _print_failures(report, given.keep)
    failed = sum(len(report.failures) for report in reports)
    print(
        f"{sum(sum(report.ends.values()) for report in reports):,} spoiled files, {failed} failed (seed {given.seed})"
    )
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="names the run")
    parser.add_argument("--mutations", type=int, default=1000, help="spoiled files of each kind")
    parser.add_argument("--kinds", default="", help="only these, as docx,pdf")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this long")
    parser.add_argument("--also", type=Path, help="a folder of further good files")
    parser.add_argument("--keep", type=Path, help="a folder to write failing files to")
    return parser.parse_args()


def _print_row(report: Report) -> None:
    row = "".join(f"{report.ends[name]:>13}" for name in _COLUMNS)
    print(f"{report.kind:<12}{row}{report.slowest:>8.1f} s", flush=True)


def _print_failures(report: Report, keep: Path | None) -> None:
    for failure in report.failures[:_SHOWN]:
        print(f"\n{report.kind}: {failure.seed.filename}, number {failure.number}: {failure.what}")
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        for failure in report.failures:
            (keep / f"{failure.number}-{failure.seed.filename}").write_bytes(failure.data)


if __name__ == "__main__":
    sys.exit(main())
