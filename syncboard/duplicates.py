"""`syncboard duplicates`: documents that are alike, listed, compared, merged, looked for anew."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from syncboard import library_tables, place
from syncboard.answers import DocId, Limit, Yes, ask, result, take
from syncboard.options import DATA, Data, Json, Token, Url, User, console, friendly, print_json
from syncboard.place import LOCAL_USER

app = typer.Typer(no_args_is_help=True, help="Documents that are alike: listed, compared, merged.")

Threshold = Annotated[float | None, typer.Option(help="Alike by at least this: 0.5 to 1 (0.8).")]


@app.command(name="list")
@friendly
def list_duplicates(
    threshold: Threshold = None,
    limit: Limit = 50,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List groups of documents that are alike."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:

        def page(size: int, cursor: str | None) -> dict[str, Any]:
            return client.duplicates(threshold=threshold, limit=size, cursor=cursor)

        found = list(take(page, "groups", limit))
    if as_json:
        print_json(found)
    else:
        library_tables.show_groups(console(), found)


@app.command()
@friendly
def compare(
    a: DocId,
    b: DocId,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show how alike two documents are, and what both say."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        found = client.compare(a, b)
    if as_json:
        print_json(found)
    else:
        library_tables.show_comparison(console(), found)


@app.command()
@friendly
def merge(
    keep: Annotated[str, typer.Argument(help="Id of the document that stays.")],
    remove: Annotated[list[str], typer.Argument(help="Ids of those that are deleted.")],
    yes: Yes = False,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
) -> None:
    """Keep one document and delete the others for good."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        kept = client.document(keep)
        ask(yes, f"Keep {kept['title'] or kept['filename']!r} and delete {len(remove)} for good?")
        done = client.merge(keep, remove)
    typer.echo(f"{len(done['removed'])} deleted, {done['kept']} kept.")


@app.command()
@friendly
def scan(
    threshold: Threshold = None,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Have all documents compared anew; wait for what comes out."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        found = result(client, client.find_duplicates(threshold=threshold))
    if as_json:
        print_json(found)
        return
    typer.echo(
        f"{found['documents']} documents compared: {found['pairs_added']} pairs that were not known, "
        f"{found['group_count']} groups in all."
    )
