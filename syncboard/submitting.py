"""`syncboard submit`: files, folders and links from a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from syncboard import place, tables
from syncboard.client import Client
from syncboard.deliveries import Delivery, deliver
from syncboard.gathering import Gathered, LeftOut, gather, is_link
from syncboard.options import DATA, Data, Json, Token, Url, User, console, fail, friendly, print_json
from syncboard.place import LOCAL_USER

app = typer.Typer()

# So many of what was left out for one reason are named.
_NAMED: Final = 3
# For one job of a folder, on top of those before it.
_WAIT_SECONDS: Final = 24 * 3600.0


@app.command()
@friendly
def submit(
    what: Annotated[list[str], typer.Argument(help="Files, folders and links.", metavar="FILE|FOLDER|URL…")],
    password: Annotated[str | None, typer.Option(help="Opens encrypted files.")] = None,
    force: Annotated[bool, typer.Option(help="Also bytes that are in the library already.")] = False,
    webhook: Annotated[str | None, typer.Option(help="Address to report the end to.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until all have ended; exit code 1 if one failed.")] = False,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Submit files, folders and links; print their jobs, for a folder a summary. Exit code 1 if one was refused."""
    _check(what)
    folder = any(not is_link(name) and Path(name).is_dir() for name in what)
    gathered = gather(what)
    _say_left_out(gathered)
    if not gathered.what:
        fail(f"Nothing in {', '.join(what)} can be submitted.")
    wishes = {"password": password, "force": force or None, "webhook": webhook}
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        with _progress("Submitting", len(gathered.what), shown=folder) as advance:
            done = deliver(client, gathered.what, wishes, in_batches=folder, on_progress=advance)
        if done.unsent and not done.jobs and not done.refused:
            raise httpx.ConnectError(done.stopped_by)
        jobs = _waited(client, done.jobs, folder=folder) if wait else done.jobs
    for name, reason in done.refused:
        typer.echo(f"syncboard: {name}: {reason}", err=True)
    if as_json:
        print_json(jobs)
    elif folder:
        _sum_up(done, jobs if wait else None)
    elif jobs:
        tables.show_jobs(console(), [_posted(job) for job in jobs])
    if done.unsent and not folder:
        typer.echo(_unsent(done), err=True)
    if done.refused or done.unsent or (wait and any(job["state"] != "SUCCESS" for job in jobs)):
        raise typer.Exit(1)


def _check(what: Sequence[str]) -> None:
    """Say what is neither there nor a link before anything is sent."""
    # An empty name would be the folder that one stands in.
    missing = [name or "''" for name in what if not is_link(name) and not (name and Path(name).exists())]
    if strange := [name for name in missing if "://" in name]:
        fail(f"Only links with http or https are fetched: {', '.join(strange)}.")
    if missing:
        fail(f"No such file: {', '.join(missing)}.")


def _say_left_out(gathered: Gathered) -> None:
    """Print what was left out of folders: for each reason how many, and the first of them."""
    by_reason: dict[str, list[LeftOut]] = {}
    for one in gathered.left_out:
        by_reason.setdefault(one.reason, []).append(one)
    for reason, entries in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        named = ", ".join(one.name for one in entries[:_NAMED])
        more = f" and {len(entries) - _NAMED:,} more" if len(entries) > _NAMED else ""
        typer.echo(f"Left out: {len(entries):,} {reason} ({named}{more})", err=True)


@contextmanager
def _progress(doing: str, total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far it is; nothing in a pipe."""
    terminal = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=terminal, transient=True, disable=not (shown and terminal.is_terminal)
    ) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda number: bar.advance(task, number)


def _waited(client: Client, jobs: list[dict[str, Any]], *, folder: bool) -> list[dict[str, Any]]:
    """Return the jobs once they have ended; those of a folder are waited for however long it takes."""
    if not folder:
        return client.wait_all([job["job_id"] for job in jobs])
    ended = []
    with _progress("Waiting", len(jobs), shown=True) as advance:
        for job in jobs:
            ended.append(client.wait(job["job_id"], timeout=_WAIT_SECONDS))
            advance(1)
    return ended


def _sum_up(done: Delivery, ended: list[dict[str, Any]] | None) -> None:
    """Print what became of a folder: counts, and the jobs that did not succeed."""
    parts = [f"{len(done.jobs):,} submitted"]
    if done.refused:
        parts.append(f"{len(done.refused):,} refused")
    typer.echo(f"{', '.join(parts)}.")
    if done.unsent:
        typer.echo(_unsent(done))
    if ended is None:
        typer.echo("`syncboard jobs` shows how they stand.")
        return
    states = Counter(job["state"] for job in ended)
    typer.echo(", ".join(f"{number:,} {state}" for state, number in sorted(states.items(), reverse=True)))
    if failed := [job for job in ended if job["state"] != "SUCCESS"]:
        tables.show_jobs(console(), failed)


def _unsent(done: Delivery) -> str:
    return (
        f"{done.unsent:,} not sent: nothing answers any more ({done.stopped_by}). "
        "The same command again sends them; what is in the library already is not read twice."
    )


def _posted(job: dict[str, Any]) -> dict[str, Any]:
    """Return a job as it is after its file was posted: the answer is from before."""
    meta = job["meta"]
    if meta["stage"] != "awaiting_upload":
        return job
    return {**job, "meta": {**meta, "message": "Uploaded, waiting to be noticed"}}
