"""`syncboard documents`: the library listed, read, deleted from."""

from __future__ import annotations

from typing import Annotated

import typer

from syncboard import library_tables, place
from syncboard.answers import DocId, Limit, Yes, ask, take
from syncboard.options import DATA, Data, Json, Token, Url, User, console, friendly, print_json
from syncboard.place import LOCAL_USER

app = typer.Typer(no_args_is_help=True, help="The library: documents listed, read, deleted.")


@app.command(name="list")
@friendly
def list_documents(
    limit: Limit = 25,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List documents, newest first."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        found = list(take(lambda size, at: client.documents(limit=size, cursor=at), "documents", limit))
    if as_json:
        print_json(found)
    else:
        library_tables.show_documents(console(), found)


@app.command(name="show")
@friendly
def show_document(
    doc_id: DocId,
    text: Annotated[bool, typer.Option("--text", help="Print the text and nothing else.")] = False,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show one document: what is known of it, what it is alike to; or its text."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        told = client.document(doc_id)
        if text and told["text"] is None:
            told["text"] = client.fetch_text(told["text_url"])
    if text:
        typer.echo(told["text"])
    elif as_json:
        print_json(told)
    else:
        library_tables.show_document(console(), told)


@app.command(name="delete")
@friendly
def delete_document(
    doc_id: DocId,
    yes: Yes = False,
    data: Data = DATA,
    user: User = LOCAL_USER,
    url: Url = None,
    token: Token = None,
) -> None:
    """Delete a document with every trace of it."""
    with place.find(data=data, user=user, url=url, token=token).client() as client:
        named = client.document(doc_id)
        ask(yes, f"Delete {named['title'] or named['filename']!r} and every trace of it?")
        client.delete_document(doc_id)
    typer.echo("Deleted.")
