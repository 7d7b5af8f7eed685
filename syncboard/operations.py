"""`syncboard active`, `registered`, `stats`, `events`, `doctor`: what an operator asks of a running service."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import msgspec
import psutil
import typer

from chalicelib.errors import SyncBoardError
from syncboard import place, tables
from syncboard.client import ApiError, Client
from syncboard.diagnosis import Evidence, examine
from syncboard.options import DATA, Data, Json, Token, Url, User, console, friendly, print_json
from syncboard.place import LOCAL_USER, Place

app = typer.Typer()

Hours = Annotated[int, typer.Option(min=1, max=24, help="Of the last hours.")]

_EVENTS: Final = 100
_POLL_SECONDS: Final = 1.0


@app.command()
@friendly
def active(
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show jobs at work: of all owners on a stack that runs here, else your own."""
    here = place.find(data=data, user=user, url=url, token=token)
    if url:
        with here.client() as client:
            jobs = client.jobs(state="PROCESSING", limit=100)["jobs"]
        # Between two runs, as before text recognition, a job is PROCESSING too, and held by nobody.
        jobs = [job for job in jobs if job["meta"]["stage"] != "queued"]
        if as_json:
            print_json(jobs)
        else:
            tables.show_jobs(console(), jobs)
        return
    now = time.time() * 1000
    # Nor is a job at work whose worker is gone.
    jobs = [job for job in _unfinished() if job["state"] == "PROCESSING" and job["lease_until"] > now]
    if as_json:
        print_json(jobs)
    else:
        tables.show_active(console(), jobs)


@app.command()
@friendly
def registered(as_json: Json = False) -> None:
    """List the tasks that workers know, with their queues and time limits."""
    from chalicelib.tasks.registry import TASKS

    listed = [
        {
            "task": task.name,
            "queue": task.queue,
            "soft_seconds": task.limits.soft_seconds,
            "hard_seconds": task.limits.hard_seconds,
            "submittable": task.submittable,
        }
        for task in TASKS.values()
    ]
    if as_json:
        print_json(listed)
    else:
        tables.show_registered(console(), listed)


@app.command()
@friendly
def stats(
    hours: Hours = 1,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show what ended lately by task: rates, waiting and run times; queues and workers."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        told = client.stats(hours=hours)
    if as_json:
        print_json(told)
    else:
        tables.show_stats(console(), told)


@app.command()
@friendly
def events(
    follow: Annotated[bool, typer.Option("--follow/--once", help="Go on until Ctrl-C, or look once.")] = True,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Print what happens to your jobs as it happens, one line a change."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        for status in _changes(client, follow=follow):
            if as_json:
                typer.echo(msgspec.json.encode(status).decode())
            else:
                typer.echo(_event_line(status))


@app.command()
@friendly
def doctor(
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Look for what is wrong and name causes; exit code 1 where something is."""
    here = place.find(data=data, user=user, url=url, token=token)
    findings = examine(_evidence(here, None if url else data))
    if as_json:
        print_json(msgspec.to_builtins(findings))
    else:
        tables.show_findings(console(), findings)
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


# --- Looking -----------------------------------------------------------------------------------------------------


def _unfinished() -> list[dict[str, Any]]:
    from syncboard.unfinished import unfinished  # reads settings, which may have just been found

    return unfinished()


def _evidence(here: Place, data: Path | None) -> Evidence:
    """Look at everything that can be looked at from here; `data` is the folder of a stack on this machine."""
    seen: dict[str, Any] = {"now": round(time.time() * 1000)}
    with here.client() as client:
        try:
            seen["health"] = client.health()
            seen["skew_seconds"] = _skew(here)
        except (ApiError, httpx.HTTPError) as error:
            seen["health_error"] = str(error)
        if "health" in seen:
            try:
                seen["stats"] = client.stats(hours=1)
            except (ApiError, httpx.HTTPError) as error:
                # On AWS there is no such route; that is no fault.
                seen["stats_error"] = (
                    "" if isinstance(error, ApiError) and error.status == 404 else str(error)
                )
    if data is None:
        return Evidence(**seen)
    try:
        seen["jobs"] = _unfinished()
    except SyncBoardError as error:
        seen["stats_error"] = error.message
    return Evidence(
        **seen,
        disk_free=shutil.disk_usage(data).free,
        memory_free=psutil.virtual_memory().available,
        containers=_containers(),
    )


def _skew(here: Place) -> float | None:
    """Return by how many seconds the service's clock is ahead, by the header `Date` of an answer."""
    sent = time.time()
    answer = httpx.get(f"{here.url.rstrip('/')}/health", timeout=10)
    middle = (sent + time.time()) / 2
    try:
        told = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return None
    # The header counts whole seconds.
    return told + 0.5 - middle


def _containers() -> dict[str, bool]:
    from local.containers import CONTAINERS
    from local.environments import is_fresh

    return {name: is_fresh(name, container.lock) for name, container in CONTAINERS.items()}


def _changes(client: Client, *, follow: bool) -> Iterator[dict[str, Any]]:
    """Yield jobs that changed since the last look, the oldest change first; all that there are at the first."""
    known: dict[str, str] = {}
    while True:
        jobs = client.jobs(limit=_EVENTS)["jobs"]
        changed = [job for job in jobs if known.get(job["job_id"]) != _mark(job)]
        known = {job["job_id"]: _mark(job) for job in jobs}
        yield from sorted(changed, key=lambda job: str(job["updated_at"]))
        if not follow:
            return
        time.sleep(_POLL_SECONDS)


def _mark(job: dict[str, Any]) -> str:
    return f"{job['state']} {job['attempt']} {job['meta']['stage']} {job['meta']['message']}"


def _event_line(job: dict[str, Any]) -> str:
    meta = job["meta"]
    at = datetime.fromisoformat(job["updated_at"]).astimezone()
    what = meta.get("error") or meta["message"]
    name = job["filename"] or job["task"]
    return f"{at:%H:%M:%S}  {job['state']:<10} {meta['percent']:>3} %  {name}  {what}  {job['job_id']}"
