"""`GET /analytics` and its CSV: figures of the library, read from one snapshot that a job keeps."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

from chalice import Response

from chalicelib import services
from chalicelib.api import answers, queries, requests
from chalicelib.api.contract import Answer, Contract, ok
from chalicelib.api.routing import Routes
from chalicelib.errors import InvalidRequest
from chalicelib.jobs.job import now_ms
from chalicelib.library.analytics import Snapshot, find_snapshot, is_stale, report
from chalicelib.library.analytics_jobs import request_now
from chalicelib.library.documents import Documents
from chalicelib.library.tally import PERIODS

routes = Routes(__name__)

_DEFAULT: Final = "30d"
# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection").
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@routes.route(
    "/analytics",
    methods=["GET"],
    contract=ok("Library", answers.Analytics, query=queries.Period, may_have=("Retry-After",)),
)
def get_analytics() -> Response:
    """Answer with the figures of a period; old ones are told too, and made anew behind (`refreshing`)."""
    period = _period()
    snapshot, refreshing = _snapshot()
    headers = {"Content-Type": "application/json", **({"Retry-After": "2"} if refreshing else {})}
    body = {**report(snapshot, period, now=now_ms()), "refreshing": refreshing}
    return Response(body=body, headers=headers)


@routes.route(
    "/analytics/export",
    methods=["GET"],
    contract=Contract(
        tag="Library",
        query=queries.Period,
        answers={200: Answer(media=("text/csv",), headers=("Content-Disposition",))},
    ),
)
def export_analytics() -> Response:
    """Answer with the same figures as CSV: a line each, with section, name and value."""
    period = _period()
    snapshot, _ = _snapshot()
    headers = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": f'attachment; filename="analytics-{period}.csv"',
    }
    return Response(body=_csv(report(snapshot, period, now=now_ms())), headers=headers)


def _period() -> str:
    given = requests.parameters(routes.current_request, "time_period")
    period = given.get("time_period", _DEFAULT)
    if period not in PERIODS:
        raise InvalidRequest(f"time_period is one of: {', '.join(PERIODS)}.", field="time_period")
    return period


def _snapshot() -> tuple[Snapshot, bool]:
    """Return the snapshot as it is, and whether a newer one is on its way."""
    table, owner = services.table(), routes.owner
    snapshot = find_snapshot(table, owner)
    stale = is_stale(snapshot, now=now_ms(), counts=Documents(table, owner).counts())
    refreshing = stale and request_now(table, services.queues(), owner)
    return snapshot or Snapshot(), refreshing


def _csv(figures: dict[str, Any]) -> str:
    lines: list[tuple[str, str, Any]] = [
        ("report", "time_period", figures["time_period"]),
        ("report", "as_of", figures["as_of"] or ""),
    ]
    lines += [("overview", name, value) for name, value in figures["overview"].items()]
    lines += [("documents_by_day", entry["date"], entry["documents"]) for entry in figures["time_series"]]
    shares = figures["distributions"]
    for section in ("source_types", "skill_levels"):
        lines += [(section, name, value) for name, value in shares[section].items()]
    lines += [("clusters", entry["name"], entry["documents"]) for entry in shares["clusters"]]
    lines += [("top_concepts", entry["name"], entry["documents"]) for entry in figures["top_concepts"]]
    processing = dict(figures["processing"])
    tasks = processing.pop("tasks")
    lines += [("processing", name, value) for name, value in processing.items()]
    lines += [("jobs_by_task", name, value) for name, value in tasks.items()]
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(("section", "name", "value"))
    writer.writerows(tuple(map(_cell, line)) for line in lines)
    return written.getvalue()


def _cell(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula: an apostrophe before texts that begin like one."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA) else value
