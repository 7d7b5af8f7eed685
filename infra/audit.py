"""Known vulnerabilities of what is installed: `python -m infra.audit` asks PyPI's advisories for every lock file.

A known vulnerability fails it. Where the advisories can't be had (no network, a mirror without them) it says so,
loudly, and passes: a machine without internet must be able to run `make lint`, and silence must not look like "none".
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from infra.templates import ROOT

# What is shipped or runs beside it. The emulator's and the benchmark's are tools of this machine alone.
LOCKS: Final = (
    "requirements.txt",
    "requirements/ingest.txt",
    "requirements/local.txt",
    "requirements/dev.txt",
    "containers/*/requirements.txt",
)
# Advisories that do not concern this project: id, and why. Each is looked at again when its package moves.
IGNORED: Final[dict[str, str]] = {}
# For one lock file; CI must not hang.
_SECONDS: Final = 60.0


class Vulnerability(msgspec.Struct, frozen=True, kw_only=True):
    """One advisory."""

    id: str
    fix_versions: list[str] = []


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """One distribution, as pip-audit tells it."""

    name: str
    version: str = ""
    vulns: list[Vulnerability] = []
    # Why nothing is known of it.
    skip_reason: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What pip-audit says of one lock file."""

    dependencies: list[Dependency]


class Unreachable(Exception):
    """The advisories can't be had; the message says why."""


Run = Callable[[Path], str]


def run(lock: Path) -> str:
    """Return pip-audit's report as JSON; raise Unreachable."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--requirement", str(lock)]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "5"]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unreachable(f"no answer within {_SECONDS:.0f} s") from None
    if not done.stdout:
        raise Unreachable((done.stderr.strip().splitlines() or ["no report"])[-1][:300])
    return done.stdout


def audit(lock: Path, *, ask: Run = run) -> list[str]:
    """Return a line for each vulnerability of a lock file. Raise Unreachable unless all of it was looked at."""
    try:
        report = msgspec.json.decode(ask(lock), type=Report)
    except msgspec.MsgspecError as error:
        raise Unreachable(f"the report can't be read: {error}") from None
    # A mirror that has packages but no advisories makes pip-audit pass every one over, and end well.
    skipped = [dependency for dependency in report.dependencies if dependency.skip_reason]
    if skipped:
        raise Unreachable(f"{len(skipped)} of {len(report.dependencies)}: {skipped[0].skip_reason[:200]}")
    return [
        f"{dependency.name} {dependency.version}: {found.id}, fixed in {', '.join(found.fix_versions) or 'none'}"
        for dependency in report.dependencies
        for found in dependency.vulns
        if found.id not in IGNORED
    ]


def main(root: Path = ROOT, *, ask: Run = run) -> int:
    """Audit every lock file; return 1 for a known vulnerability."""
    found: list[str] = []
    for lock in [path for pattern in LOCKS for path in sorted(root.glob(pattern))]:
        name = lock.relative_to(root)
        try:
            found += [f"{name}: {line}" for line in audit(lock, ask=ask)]
        except Unreachable as error:
            sys.stderr.write(
                f"NOT AUDITED: {name} and what follows. The advisories can't be had here ({error}).\n"
                "Nothing is known about vulnerabilities: run `make audit` where PyPI can be reached.\n"
            )
            break
    for line in dict.fromkeys(found):
        sys.stderr.write(f"{line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
