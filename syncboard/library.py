"""`syncboard search`, `suggest`, `analytics`, and what else the library has commands for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from syncboard import clusters, documents, duplicates, library_tables, place
from syncboard.answers import Limit, cluster_id, result, take, write
from syncboard.options import DATA, Data, Json, Token, Url, User, console, friendly, print_json
from syncboard.place import LOCAL_USER

app = typer.Typer()
app.add_typer(documents.app, name="documents")
app.add_typer(clusters.app, name="clusters")
app.add_typer(duplicates.app, name="duplicates")


@app.command()
@friendly
def search(
    words: Annotated[list[str], typer.Argument(help="Words; '\"a phrase\"'; 'begin*'.")],
    cluster: Annotated[str | None, typer.Option(help="Only this cluster: id or name.")] = None,
    type_: Annotated[
        str | None, typer.Option("--type", help="Only this type: pdf, markdown, audio, …")
    ] = None,
    skill: Annotated[
        str | None, typer.Option(help="Only this level: beginner, intermediate, advanced.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Added from this date or time on (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option(help="Added up to this date or time.")] = None,
    limit: Limit = 10,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Find documents by words; show where they stand."""
    q = " ".join(words)
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        filters = {"type": type_, "skill": skill, "since": since, "until": until}
        chosen = cluster_id(client, cluster) if cluster else None

        def page(size: int, cursor: str | None) -> dict[str, Any]:
            return client.search(q, limit=size, cursor=cursor, cluster=chosen, **filters)

        found = list(take(page, "results", limit))
    if as_json:
        print_json(found)
    else:
        library_tables.show_hits(console(), q, found)


@app.command()
@friendly
def suggest(
    number: Annotated[int, typer.Option("--number", "-n", min=1, max=10, help="At most so many.")] = 5,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Suggest what could be built with what the library holds."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        found = result(client, client.what_can_i_build(max_suggestions=number))
    if as_json:
        print_json(found)
    else:
        library_tables.show_suggestions(console(), found)


@app.command()
@friendly
def analytics(
    period: Annotated[str, typer.Option(help="7d, 30d, 90d or all.")] = "30d",
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of tables.")] = False,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="With --csv: file to write.")] = None,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show the library's figures."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        if csv:
            write(client.analytics_csv(time_period=period), to)
            return
        told = client.analytics(time_period=period)
    if as_json:
        print_json(told)
    else:
        library_tables.show_analytics(console(), told)
