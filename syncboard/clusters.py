"""`syncboard clusters`: topics listed, named, exported, taken apart, found anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from syncboard import library_tables, place
from syncboard.answers import Limit, Yes, ask, cluster_id, result, take, write
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


@app.command(name="delete")
@friendly
def delete_cluster(
    cluster: Cluster,
    yes: Yes = False,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
) -> None:
    """Take a topic apart: its documents stay and join others."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        chosen = cluster_id(client, cluster)
        ask(yes, f"Take the topic {cluster!r} apart? Its documents stay.")
        done = result(client, client.delete_cluster(chosen))
    typer.echo(f"Its documents ({done['moved']}) are in {len(done['clusters'])} other clusters now.")


@app.command()
@friendly
def regroup(
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Have the topics of the whole library found anew; wait for what comes out."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        done = result(client, client.regroup())
    if as_json:
        print_json(done)
        return
    typer.echo(
        f"{done['moved']} of {done['documents']} documents moved: "
        f"{done['clusters_before']} topics before, {done['clusters_after']} now."
    )


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
