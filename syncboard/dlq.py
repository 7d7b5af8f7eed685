"""`syncboard dlq`: messages that were given up, seen, sent out anew or deleted. For operators: needs the queues."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from chalicelib.settings import QUEUES
from syncboard import place, tables
from syncboard.options import DATA, Data, Json, console, fail, friendly, print_json

if TYPE_CHECKING:
    from chalicelib.jobs.deadletters import DeadLetters

app = typer.Typer(no_args_is_help=True, help="Dead letters: messages that were given up.")

Queue = Annotated[str | None, typer.Option(help=f"Only this queue: {', '.join(QUEUES)}.")]
Message = Annotated[str, typer.Argument(help="Id of a message, as `dlq list` shows it.")]


@app.command(name="list")
@friendly
def list_letters(queue: Queue = None, data: Data = DATA, as_json: Json = False) -> None:
    """List dead letters with their jobs."""
    letters = [letter for name in _queues(queue) for letter in _letters(data).letters(name)]
    if as_json:
        print_json(msgspec.to_builtins(letters))
        return
    rows = (
        (letter.queue, letter.message_id, letter.job_id or "(unreadable)", letter.state, letter.receive_count)
        for letter in letters
    )
    tables.show(console(), "", ("queue", "message", "job", "state", "received"), rows)


@app.command()
@friendly
def show(message_id: Message, queue: Queue = None, data: Data = DATA) -> None:
    """Print one dead letter whole."""
    for name in _queues(queue):
        for letter in _letters(data).letters(name):
            if letter.message_id == message_id:
                print_json(msgspec.to_builtins(letter))
                return
    fail(f"There is no dead letter {message_id}.")


@app.command()
@friendly
def redrive(
    message_ids: Annotated[list[str] | None, typer.Argument(help="Messages; none: all.")] = None,
    queue: Queue = None,
    data: Data = DATA,
) -> None:
    """Send the work of dead letters out anew."""
    kept: dict[str, str] = {}
    sent = dropped = 0
    for name in _queues(queue):
        done = _letters(data).redrive(name, set(message_ids) if message_ids else None)
        sent, dropped, kept = sent + len(done.sent), dropped + len(done.dropped), kept | done.kept
    typer.echo(f"{sent} sent out anew, {dropped} deleted that nobody needed, {len(kept)} kept.")
    for message_id, reason in kept.items():
        typer.echo(f"  {message_id}: {reason}", err=True)


@app.command()
@friendly
def purge(
    queue: Queue = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = DATA,
) -> None:
    """Delete dead letters."""
    if not yes:
        typer.confirm(f"Delete all dead letters of {queue or 'all queues'}?", abort=True)
    typer.echo(f"{sum(_letters(data).purge(name) for name in _queues(queue))} deleted.")


def _queues(queue: str | None) -> tuple[str, ...]:
    if queue is not None and queue not in QUEUES:
        fail(f"There is no queue {queue!r}; there are: {', '.join(QUEUES)}.")
    return (queue,) if queue else QUEUES


def _letters(data: Path) -> DeadLetters:
    place.enter(data)
    # Late: these read the settings, which may have just been found.
    from chalicelib import services
    from chalicelib.jobs.deadletters import DeadLetters

    return DeadLetters(services.table(), services.queues(), services.objects())
