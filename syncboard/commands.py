"""`syncboard status`, `jobs`, `job`, `cancel`, `retry`, `logs`: the API from a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from syncboard import place, tables
from syncboard.answers import Yes, ask
from syncboard.client import ApiError, Client
from syncboard.options import DATA, Data, Json, Token, Url, User, console, fail, friendly, print_json
from syncboard.place import LOCAL_USER, NoPlace

if TYPE_CHECKING:
    from chalicelib.overview import Overview

app = typer.Typer()

# States in which a job is at nobody's hands; a job that waits for its turn is WAITING to this filter.
_WAITING = ("PENDING", "WAITING", "RETRY")
_MOST_CANCELLED = 100_000

JobId = Annotated[str, typer.Argument(help="Id of a job.")]


@app.command()
@friendly
def status(
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show whether all is well: health, queues, workers, what ended lately."""
    here = place.find(data=data, user=user, url=url, token=token)
    with here.client() as client:
        health = client.health()
    seen = None
    if not url:  # hosts of workers are the operator's: they are read from the table itself
        from chalicelib.overview import overview

        seen = overview()
    if as_json:
        print_json({"url": here.url, "health": health, **(_overview(seen) if seen else {})})
        return
    tables.show_health(console(), here.url, health)
    if seen:
        tables.show_overview(console(), seen)


@app.command()
@friendly
def jobs(
    state: Annotated[str | None, typer.Option(help="PENDING, PROCESSING, …, or WAITING.")] = None,
    task: Annotated[str | None, typer.Option(help="Name of a task.")] = None,
    queue: Annotated[str | None, typer.Option(help="Name of a queue.")] = None,
    since: Annotated[str | None, typer.Option(help="Submitted from this date or time on (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option(help="Submitted up to this date or time.")] = None,
    q: Annotated[str | None, typer.Option("--search", "-q", help="Words of the name, or an id.")] = None,
    batch: Annotated[str | None, typer.Option(help="Id of a batch.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 25,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List jobs, newest first."""
    filters = {"task": task, "queue": queue, "since": since, "until": until, "q": q, "batch": batch}
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        found = list(_take(client, limit, state=state.upper() if state else None, **filters))
    if as_json:
        print_json(found)
    else:
        tables.show_jobs(console(), found)


@app.command()
@friendly
def job(
    job_id: JobId,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show one job and its timeline."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        told = client.job(job_id)
    if as_json:
        print_json(told)
    else:
        tables.show_job(console(), told)


@app.command()
@friendly
def cancel(
    job_id: Annotated[str | None, typer.Argument(help="Id of a job.")] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="All of yours that wait.")] = False,
    queue: Annotated[str | None, typer.Option(help="With --waiting: only this queue.")] = None,
    yes: Yes = False,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Cancel a job, or all that wait."""
    if (job_id is None) is not waiting:
        fail("Name one job, or all that wait with --waiting.")
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        if job_id is None:
            ask(yes, f"Cancel all your jobs that wait{f' in {queue}' if queue else ''}?")
            cancelled, gone = _cancel_waiting(client, queue)
            if as_json:
                print_json({"cancelled": cancelled, "gone_on": gone})
            else:
                typer.echo(f"{len(cancelled)} cancelled, {len(gone)} had gone on by themselves.")
            return
        now = client.cancel(job_id)
    if as_json:
        print_json(now)
        return
    typer.echo("Cancelled." if now["state"] == "REVOKED" else "It was told to stop and will end in a moment.")


@app.command()
@friendly
def retry(
    job_id: Annotated[str | None, typer.Argument(help="Id of a failed job.")] = None,
    password: Annotated[str | None, typer.Option(help="Opens the file, of one job.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All failed jobs that fit the filters.")] = False,
    task: Annotated[str | None, typer.Option(help="With --all: only this task.")] = None,
    queue: Annotated[str | None, typer.Option(help="With --all: only this queue.")] = None,
    since: Annotated[str | None, typer.Option(help="With --all: submitted from then on.")] = None,
    until: Annotated[str | None, typer.Option(help="With --all: submitted up to then.")] = None,
    q: Annotated[str | None, typer.Option("--search", "-q", help="With --all: words of the name.")] = None,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Start a failed job over, or all of them."""
    if (job_id is None) is not everything:
        fail("Name one job, or all of them with --all.")
    if everything and password is not None:
        fail("A password is for one job, and not for --all.")
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        if job_id is not None:
            now = client.retry(job_id, password=password)
            if as_json:
                print_json(now)
            else:
                typer.echo("Started over.")
            return
        retried, refused = _retry_all(client, task=task, queue=queue, since=since, until=until, q=q)
    if as_json:
        print_json({"retried": retried, "errors": refused})
    else:
        typer.echo(f"{len(retried)} started over, {len(refused)} refused.")
        for entry in refused:
            typer.echo(f"  {entry['job_id']}: {entry['error']['message']}", err=True)
    if refused:
        raise typer.Exit(1)


@app.command()
@friendly
def logs(job_id: JobId, data: Data = DATA, as_json: Json = False) -> None:
    """Print what a stack that runs here logged about a job, the oldest line first."""
    lines = list(_log_lines(data, job_id))
    if not lines:
        fail(f"The logs in {data / 'logs'} say nothing of job {job_id}.")
    for raw in lines:
        typer.echo(raw if as_json else _readable(json.loads(raw)))


def _overview(seen: Overview) -> dict[str, Any]:
    """Return what `status --json` tells of a stack that runs here."""
    return {
        "queues": msgspec.to_builtins(seen.queues),
        "workers": msgspec.to_builtins(seen.workers),
        "ended": dict(seen.statistics.totals.states),
    }


def _take(client: Client, number: int, **filters: str | None) -> Iterator[dict[str, Any]]:
    """Yield up to `number` jobs, page by page."""
    cursor = None
    while number > 0:
        page = client.jobs(limit=min(100, number), cursor=cursor, **filters)
        yield from page["jobs"]
        number, cursor = number - len(page["jobs"]), page["next_cursor"]
        if cursor is None:
            return


def _cancel_waiting(client: Client, queue: str | None) -> tuple[list[str], list[str]]:
    """Cancel what waits; return the ids of what was cancelled, and of what had ended meanwhile."""
    cancelled, gone = [], []
    # All are looked up before the first is cancelled: a cursor is no place in a list that shrinks.
    ids = {
        job["job_id"]: None
        for state in _WAITING
        for job in _take(client, _MOST_CANCELLED, state=state, queue=queue)
    }
    for job_id in ids:
        try:
            client.cancel(job_id)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            gone.append(job_id)
        else:
            cancelled.append(job_id)
    return cancelled, gone


def _retry_all(client: Client, **filters: str | None) -> tuple[list[Any], list[dict[str, Any]]]:
    """Start all failed jobs over that fit; return those that were, and those that could not be."""
    retried: list[Any] = []
    refused: list[dict[str, Any]] = []
    cursor = None
    while True:
        done = client.retry_failed(limit=100, cursor=cursor, **filters)
        retried += done["retried"]
        refused += done["errors"]
        cursor = done["next_cursor"]
        if cursor is None:
            return retried, refused


def _log_lines(data: Path, job_id: str) -> Iterator[str]:
    """Yield the JSON lines of the logs that name a job."""
    folder = data / "logs"
    if not folder.is_dir():
        raise NoPlace(
            f"There are no logs in {data}: name the folder of a stack with --data. Another installation's logs are "
            "on its own machine, on AWS in CloudWatch Logs."
        )
    for path in (folder / "syncboard.log.1", folder / "syncboard.log"):
        if path.exists():
            with path.open(encoding="utf-8", errors="replace") as file:
                yield from (line.rstrip("\n") for line in file if job_id in line and line.startswith("{"))


def _readable(record: dict[str, Any]) -> str:
    """Return one log line for people: when, how bad, what, and whatever else it says."""
    plumbing = {"timestamp", "level", "message", "location", "service", "job_id"}
    rest = " ".join(f"{key}={value}" for key, value in record.items() if key not in plumbing)
    head = f"{record.get('timestamp', '')}  {record.get('level', ''):<7} {record.get('message', '')}"
    return f"{head}  {rest}".rstrip()
