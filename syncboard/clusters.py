"""`syncboard clusters`: topics listed, named, exported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from syncboard import library_tables, place
from syncboard.answers import Limit, cluster_id, take, write
from syncboard.options import DATA, Data, Json, Token, Url, User, console, friendly, print_json
from syncboard.place import LOCAL_USER

app = typer.Typer(no_args_is_help=True, help="Topics: listed, named, exported.")

Cluster = Annotated[str, typer.Argument(help="Id of a cluster, or its name.")]


@app.command(name="list")
@friendly
def list_clusters(
    sort: Annotated[str, typer.Option(help="largest or newest first.")] = "largest",
    limit: Limit = 50,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List topics with their sizes and concepts."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:

        def page(size: int, cursor: str | None) -> dict[str, Any]:
            return client.clusters(sort=sort, limit=size, cursor=cursor)

        found = list(take(page, "clusters", limit))
    if as_json:
        print_json(found)
    else:
        library_tables.show_clusters(console(), found)


@app.command(name="show")
@friendly
def show_cluster(
    cluster: Cluster,
    limit: Limit = 25,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List a topic's documents."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        chosen = cluster_id(client, cluster)

        def page(size: int, cursor: str | None) -> dict[str, Any]:
            return client.cluster(chosen, limit=size, cursor=cursor)

        found = list(take(page, "documents", limit))
    if as_json:
        print_json(found)
    else:
        library_tables.show_documents(console(), found)


@app.command(name="rename")
@friendly
def rename_cluster(
    cluster: Cluster,
    name: Annotated[str, typer.Argument(help="What to call it from now on.")],
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
) -> None:
    """Give a topic a name that stays."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        now = client.rename_cluster(cluster_id(client, cluster), name)
    typer.echo(f"It is called {now['name']!r} now.")


@app.command(name="export")
@friendly
def export_cluster(
    cluster: Cluster,
    markdown: Annotated[bool, typer.Option("--markdown", help="Markdown instead of JSON.")] = False,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="File to write; else it is printed.")] = None,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
) -> None:
    """Write a topic's documents with their texts as one file."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        chosen = cluster_id(client, cluster)
        if markdown:
            text = client.export_cluster_markdown(chosen)
        else:
            text = library_tables.as_json(client.export_cluster(chosen))
    write(text, to)
