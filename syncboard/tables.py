"""What the commands print: tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from chalicelib.overview import Overview
    from syncboard.diagnosis import Finding

_COLOURS: Final = {
    "SUCCESS": "green",
    "FAILURE": "red",
    "RETRY": "yellow",
    "REVOKED": "dim",
    "PROCESSING": "cyan",
}
# Columns that may take several lines.
_LONG: Final = frozenset({"file", "what", "note", "why", "title", "cluster name"})
_SIGNS: Final = {"ok": ("✓", "green"), "note": ("!", "yellow"), "problem": ("✗", "red")}
Row = Iterable[object]


def show(console: Console, title: str, headings: Iterable[str], rows: Iterable[Row]) -> None:
    """Print a table; what is in it is text, never markup."""
    table = Table(title=title or None, title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading not in _LONG)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)


def _cell(value: object) -> str:
    text = escape("" if value is None else str(value))
    colour = _COLOURS.get(text)
    return f"[{colour}]{text}[/]" if colour else text


def show_jobs(console: Console, jobs: Iterable[Mapping[str, Any]]) -> None:
    """Print one line a job."""
    headings = ("job", "state", "file", "%", "submitted", "what")
    show(console, "", headings, (_job(job) for job in jobs))


def _job(job: Mapping[str, Any]) -> Row:
    meta = job["meta"]
    what = meta.get("error") or meta["message"]
    file = job["filename"] or job["task"]
    return (job["job_id"], job["state"], file, meta["percent"], local_time(job["created_at"]), what)


def show_job(console: Console, job: Mapping[str, Any]) -> None:
    """Print all that is told of a job, and its timeline."""
    show_jobs(console, [job])
    facts = {
        "task": job["task"],
        "queue": job["queue"],
        "worker": job["worker"],
        "batch": job["batch_id"],
        "webhook": job["webhook"],
        "cost": f"${job['cost']['dollars']:.6f}" if job["cost"] else None,
        "expires": local_time(job["expires_at"]),
        "warnings": "; ".join(job["warnings"]),
        "document": (job["result"] or {}).get("doc_id"),
    }
    for name, value in facts.items():
        if value:
            console.print(f"{name:<9} {escape(str(value))}")
    _show_family(console, job["result"] or {})
    lines = (
        (local_time(line["at"]), line["state"], line["attempt"], line["note"]) for line in job["timeline"]
    )
    show(console, "Timeline", ("at", "state", "attempt", "note"), lines)


def _show_family(console: Console, result: Mapping[str, Any]) -> None:
    """Print what became of an archive's files: how many are documents, and what is none and why."""
    if "skipped" not in result:
        return
    console.print(f"{'files':<9} {len(result['documents'])} document{'s' * (len(result['documents']) != 1)}")
    rows = [
        *((entry["filename"], "failed", entry["error"]["message"]) for entry in result["errors"]),
        *((entry["filename"], "left out", entry["reason"]) for entry in result["skipped"]),
    ]
    if rows:
        show(console, "No documents", ("file", "state", "why"), rows)
    if (more := result.get("skipped_in_all", 0) - len(result["skipped"])) > 0:
        console.print(f"… and {more:,} more that were left out.")


def show_health(console: Console, url: str, health: Mapping[str, Any]) -> None:
    """Print whether the API is well, and what it can do."""
    console.print(f"{escape(url)}  {health['status']}  version {health['version']}  {health['place']}")
    rows = ((name, entry["state"], entry["cause"]) for name, entry in health["capabilities"].items())
    show(console, "Capabilities", ("what", "state", "why"), rows)


def show_overview(console: Console, overview: Overview) -> None:
    """Print queues, workers and what ended lately."""
    queues = (
        (state.queue, state.depth.visible, state.depth.in_flight, state.depth.delayed, state.dead_letters)
        for state in overview.queues
    )
    show(console, "Queues", ("queue", "waiting", "in flight", "delayed", "dead letters"), queues)
    workers = (
        (worker.name, worker.busy, worker.idle, worker.jobs_done, worker.memory_bytes // 1_000_000)
        for worker in overview.workers
    )
    show(console, "Workers", ("worker", "busy", "idle", "jobs done", "MB"), workers)
    ended = ", ".join(f"{number} {state}" for state, number in overview.statistics.totals.states.items())
    console.print(f"Ended in the last 24 hours: {ended or 'nothing'}")


def show_active(console: Console, jobs: Iterable[Mapping[str, Any]]) -> None:
    """Print jobs at work, of all owners."""
    rows = (
        (
            job["job_id"],
            job["owner"],
            job["filename"] or job["task"],
            job["percent"],
            job["worker"],
            job["message"],
        )
        for job in jobs
    )
    show(console, "", ("job", "owner", "file", "%", "worker", "what"), rows)


def show_registered(console: Console, tasks: Iterable[Mapping[str, Any]]) -> None:
    """Print tasks."""
    rows = (
        (
            task["task"],
            task["queue"],
            f"{task['soft_seconds']:.0f} s",
            f"{task['hard_seconds']:.0f} s",
            "yes" if task["submittable"] else "",
        )
        for task in tasks
    )
    show(console, "", ("task", "queue", "soft limit", "hard limit", "by name"), rows)


def show_stats(console: Console, told: Mapping[str, Any]) -> None:
    """Print queues, workers, and what ended by task."""
    queues = (
        (one["queue"], one["waiting"], one["in_flight"], one["delayed"], one["dead_letters"])
        for one in told["queues"]
    )
    show(console, "Queues", ("queue", "waiting", "in flight", "delayed", "dead letters"), queues)
    workers = (
        (
            ", ".join(one["queues"]),
            one["busy"],
            one["idle"],
            one["jobs_done"],
            one["memory_bytes"] // 1_000_000,
        )
        for one in told["workers"]
    )
    show(console, "Workers", ("queues", "busy", "idle", "jobs done", "MB"), workers)
    ended = [(one["task"], one) for one in told["tasks"]] + [("all", told["totals"])]
    rows = ((name, *_figures(one)) for name, one in ended)
    headings = ("task", "ended", "failed", "success", "attempts", "waited", "ran (median)", "ran (95 %)")
    hours = told["hours"]
    show(console, f"Ended in the last {'hour' if hours == 1 else f'{hours} hours'}", headings, rows)


def _figures(one: Mapping[str, Any]) -> Row:
    def seconds(value: float | None) -> str:
        return "" if value is None else f"{value:.2f} s"

    rate = one["success_rate"]
    return (
        one["ended"],
        one["states"]["FAILURE"],
        "" if rate is None else f"{rate * 100:.1f} %",
        "" if one["executions_per_job"] is None else f"{one['executions_per_job']:.2f}",
        seconds(one["wait_seconds_mean"]),
        seconds(one["run_seconds_median"]),
        seconds(one["run_seconds_p95"]),
    )


def show_findings(console: Console, findings: Iterable[Finding]) -> None:
    """Print what a look at the installation found: a line each, and what to do."""
    for finding in findings:
        sign, colour = _SIGNS[finding.level]
        console.print(Text.assemble((sign, colour), f" {finding.about}: {finding.seen}"), soft_wrap=True)
        if finding.remedy:
            console.print(Text(f"    → {finding.remedy}", style="dim"), soft_wrap=True)


def local_time(text: str | None) -> str:
    """Return a time of the API as this machine's clock shows it."""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}" if text else ""
