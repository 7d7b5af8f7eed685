"""What commands do with answers: go on to the next page, wait for a job, find a cluster, ask, write a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from syncboard.client import ApiError, Client
from syncboard.options import fail

_PAGE = 100
_JOB_SECONDS = 600.0
_MOST_CLUSTERS = 10_000

Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DocId = Annotated[str, typer.Argument(help="Id of a document.")]


def take(
    page: Callable[[int, str | None], dict[str, Any]], key: str, number: int
) -> Iterator[dict[str, Any]]:
    """Yield up to `number` entries of a list, page by page; `page` takes size and cursor."""
    cursor = None
    while number > 0:
        answer = page(min(_PAGE, number), cursor)
        entries = answer[key][:number]
        yield from entries
        number, cursor = number - len(entries), answer["next_cursor"]
        if cursor is None:
            return


def cluster_id(client: Client, named: str) -> str:
    """Return the id of a cluster that is named by its id or by its name."""
    try:
        return str(client.cluster(named, limit=1)["cluster_id"])
    except ApiError as error:
        if error.status != 404:
            raise
    every = take(
        lambda size, at: client.clusters(sort="largest", limit=size, cursor=at), "clusters", _MOST_CLUSTERS
    )
    same = [one["cluster_id"] for one in every if one["name"].casefold() == named.casefold()]
    if len(same) != 1:
        fail(f"{len(same) or 'No'} clusters are called {named!r}: `syncboard clusters list` shows their ids.")
    return str(same[0])


def result(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    """Wait for a job; return its result, or say why there is none."""
    ended = client.wait(job["job_id"], timeout=_JOB_SECONDS)
    if ended["state"] != "SUCCESS":
        fail((ended.get("error") or {}).get("message") or f"The job ended as {ended['state']}.")
    result: dict[str, Any] = ended["result"]
    return result


def ask(yes: bool, question: str) -> None:
    """Go on if the user says so, or has."""
    if not yes:
        typer.confirm(question, abort=True)


def write(text: str, to: Path | None) -> None:
    """Write a text to a file, or print it."""
    if to is None:
        typer.echo(text, nl=not text.endswith("\n"))
        return
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{to} can't be written: {error.strerror}.")
    typer.echo(f"Written to {to}.", err=True)
