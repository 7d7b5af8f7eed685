"""What is wrong with an installation, and why: pure functions from what was seen to what is found."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from chalicelib.capabilities import OFFERS
from chalicelib.ingest.formats import UPLOADS

Level = Literal["ok", "note", "problem"]

# Seconds that a job may stand still before one asks why, and that a lease may be over before one wonders.
STILL_SECONDS: Final = 120
LEASE_GRACE_SECONDS: Final = 90
# Clocks that differ by more take leases over too early (settings.clock_skew_seconds).
SKEW_SECONDS: Final = 5
# More attempts for each job than this: workers die, or leases are too short.
EXECUTIONS: Final = 1.05
DISK_BYTES: Final = 1_000_000_000
MEMORY_BYTES: Final = 500_000_000
_FEWEST: Final = 20
_EXAMPLES: Final = 3
# Queues of containers: their worker comes only when there is work.
CONTAINER_QUEUES: Final = frozenset(OFFERS) - {UPLOADS}
# Nobody polls it as a worker: what arrives there is taken in by the stack itself.
_INTAKE: Final = "intake"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    level: Level
    # What it is about, in a word or two.
    about: str
    # What was seen, and why it is so.
    seen: str
    # What to do; empty where there is nothing to do.
    remedy: str = ""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen. None: it could not be looked at from here."""

    # When, in ms since the epoch by this machine's clock.
    now: int
    # Answer of GET /health, or why there is none.
    health: Mapping[str, Any] | None = None
    health_error: str = ""
    # By how many seconds the service's clock is ahead of this machine's.
    skew_seconds: float | None = None
    # Answer of GET /stats, or why queues and workers can't be read.
    stats: Mapping[str, Any] | None = None
    stats_error: str = ""
    # Jobs that have not ended, as `unfinished` tells them.
    jobs: Sequence[Mapping[str, Any]] | None = None
    # Bytes that are free where the data is, and in memory.
    disk_free: int | None = None
    memory_free: int | None = None
    # Environments of containers, and whether each is installed.
    containers: Mapping[str, bool] | None = None


def examine(evidence: Evidence) -> list[Finding]:
    """Return what was found, in the order in which one looks."""
    return [
        *_service(evidence),
        *_clock(evidence),
        *_queues(evidence),
        *_rates(evidence),
        *_standing_still(evidence),
        *_capabilities(evidence),
        *_machine(evidence),
    ]


def _service(evidence: Evidence) -> Iterator[Finding]:
    if evidence.health is None:
        yield Finding(
            level="problem",
            about="service",
            seen=f"The API does not answer: {evidence.health_error}",
            remedy="Start it with `syncboard up`; if it runs, its log is in the data folder (logs/syncboard.log).",
        )
    else:
        version, place = evidence.health["version"], evidence.health["place"]
        yield Finding(
            level="ok", about="service", seen=f"The API and its table answer (version {version}, {place})."
        )
    if evidence.stats is None and evidence.stats_error:
        yield Finding(
            level="problem",
            about="emulator",
            seen=f"Queues and workers can't be read: {evidence.stats_error}",
            remedy="The emulator plays table and queues: if its process is gone, `syncboard up` starts it again.",
        )


def _clock(evidence: Evidence) -> Iterator[Finding]:
    if evidence.skew_seconds is None:
        return
    skew = round(evidence.skew_seconds)
    if abs(skew) > SKEW_SECONDS:
        yield Finding(
            level="problem",
            about="clock",
            seen=f"The service's clock is {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} this machine's: "
            "leases are taken over too early or too late, and signed links may be refused.",
            remedy="Let both machines keep time by NTP.",
        )
    else:
        yield Finding(level="ok", about="clock", seen="The clocks agree.")


def _queues(evidence: Evidence) -> Iterator[Finding]:
    if evidence.stats is None:
        return
    served = {name for worker in evidence.stats["workers"] for name in worker["queues"]}
    quiet = True
    for queue in evidence.stats["queues"]:
        name, waiting = queue["queue"], queue["waiting"]
        if queue["dead_letters"]:
            quiet = False
            yield Finding(
                level="problem",
                about="dead letters",
                seen=f"{_count(queue['dead_letters'], 'message')} of {name} given up after too many deliveries.",
                remedy="`syncboard dlq list` shows them, `syncboard dlq redrive` sends their work out anew.",
            )
        if waiting and name not in served and name != _INTAKE and not _comes_by_itself(evidence, name):
            quiet = False
            yield Finding(
                level="problem",
                about="no worker",
                seen=f"{_count(waiting, 'message')} in {name}, and no worker polls it.",
                remedy=f"`syncboard worker --queues {name}` starts one.",
            )
    if not evidence.stats["workers"]:
        quiet = False
        yield Finding(
            level="problem",
            about="no worker",
            seen="No worker has reported itself within 15 s.",
            remedy="`syncboard up` starts one with the API, `syncboard worker` one alone.",
        )
    if quiet:
        busy = sum(worker["busy"] for worker in evidence.stats["workers"])
        workers = _count(len(evidence.stats["workers"]), "worker")
        seen = f"{workers}, {_count(busy, 'job')} at work, no dead letters."
        yield Finding(level="ok", about="queues", seen=seen)


def _comes_by_itself(evidence: Evidence, queue: str) -> bool:
    """Tell whether a stack that runs here starts a worker for a container's queue now that there is work."""
    known = evidence.health["capabilities"] if evidence.health else {}
    offered = [known[name] for name in OFFERS.get(queue, ()) if name in known]
    return queue in CONTAINER_QUEUES and bool(offered) and all(entry["state"] == "ready" for entry in offered)


def _rates(evidence: Evidence) -> Iterator[Finding]:
    if evidence.stats is None or evidence.stats["totals"]["ended"] < _FEWEST:
        return
    totals = evidence.stats["totals"]
    attempts = round(totals["executions_per_job"], 2)
    if attempts > EXECUTIONS:
        yield Finding(
            level="note",
            about="attempts",
            seen=f"{attempts} attempts for each job that ended: workers die or are stopped, "
            "sources are away for a while, or leases are too short.",
            remedy="`syncboard jobs --state FAILURE` and `syncboard job ID` show at which attempt what happened.",
        )
    if totals["success_rate"] is not None and totals["success_rate"] < 0.5:
        yield Finding(
            level="note",
            about="failures",
            seen=f"Only {totals['success_rate']:.0%} of the jobs that ended lately succeeded.",
            remedy="`syncboard jobs --state FAILURE` tells why.",
        )


def _standing_still(evidence: Evidence) -> Iterator[Finding]:
    if evidence.jobs is None:
        return
    by_cause: dict[str, list[str]] = defaultdict(list)
    for job in evidence.jobs:
        if cause := _cause(job, evidence.now):
            by_cause[cause].append(job["job_id"])
    for cause, ids in by_cause.items():
        level, seen, remedy = _CAUSES[cause]
        shown = ", ".join(ids[:_EXAMPLES]) + (" …" if len(ids) > _EXAMPLES else "")
        yield Finding(
            level=level, about="jobs", seen=f"{_count(len(ids), 'job')} {seen} ({shown})", remedy=remedy
        )
    if not by_cause:
        states = Counter(job["state"] for job in evidence.jobs)
        told = (
            ", ".join(f"{number} {state}" for state, number in sorted(states.items())) or "none is under way"
        )
        yield Finding(level="ok", about="jobs", seen=f"No job stands still: {told}.")


# By cause: how bad it is, what is seen, what to do.
_CAUSES: Final[dict[str, tuple[Level, str, str]]] = {
    "upload": (
        "note",
        "waiting for a file that nobody has sent.",
        "They end by themselves when the time for the upload is over.",
    ),
    "turn": (
        "note",
        "waiting for a turn: their owners have as many in the queues as one may.",
        "They go on as others end; SYNCBOARD_MAX_DISPATCHED sets the limit.",
    ),
    "scheduled": (
        "note",
        "waiting for the next attempt after an error that may pass.",
        "`syncboard job ID` shows the error and when they go on.",
    ),
    "queued": (
        "problem",
        "queued for over two minutes without starting.",
        "Either no worker polls their queue, or all are busy: see queues and workers in `syncboard status`.",
    ),
    "lease": (
        "problem",
        "held by a run that is gone: the lease is over and nobody has taken it.",
        "The sweeper hands them on within a minute; if they stay, no sweeper runs: it is part of `syncboard up`.",
    ),
}
_STAGES: Final = {"awaiting_upload": "upload", "waiting_turn": "turn", "scheduled": "scheduled"}


def _cause(job: Mapping[str, Any], now: int) -> str:
    """Return why a job stands still; empty where it does not."""
    if job["state"] == "PROCESSING":
        return "lease" if now - job["lease_until"] > LEASE_GRACE_SECONDS * 1000 else ""
    if now - job["updated_at"] < STILL_SECONDS * 1000:
        return ""
    return _STAGES.get(job["stage"], "queued")


def _capabilities(evidence: Evidence) -> Iterator[Finding]:
    known = evidence.health["capabilities"] if evidence.health else {}
    lacking = {name: entry for name, entry in known.items() if entry["state"] != "ready"}
    for name, entry in lacking.items():
        yield Finding(level="note", about=name, seen=f"{entry['state']}: {entry['cause']}")
    if known and not lacking:
        yield Finding(level="ok", about="formats", seen="All that it can read is ready.")
    missing = [name for name, there in (evidence.containers or {}).items() if not there]
    if missing:
        yield Finding(
            level="note",
            about="containers",
            seen=f"Not installed here: {', '.join(missing)}.",
            remedy="`make run` or `syncboard worker` on their queues installs them.",
        )


def _machine(evidence: Evidence) -> Iterator[Finding]:
    scarce = (
        (
            "disk",
            evidence.disk_free,
            DISK_BYTES,
            "Uploads and state may not fit: make room in the data folder.",
        ),
        (
            "memory",
            evidence.memory_free,
            MEMORY_BYTES,
            "Parsers may be killed: fewer jobs at a time take less.",
        ),
    )
    for about, free, enough, remedy in scarce:
        if free is None:
            continue
        low = free < enough
        seen = f"{free / 1_000_000_000:.1f} GB free."
        yield Finding(level="problem" if low else "ok", about=about, seen=seen, remedy=remedy if low else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
