"""The `syncboard` command."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from chalicelib import VERSION
from syncboard import commands, dlq, library, operations, place, submitting

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.add_typer(submitting.app)
app.add_typer(commands.app)
app.add_typer(library.app)
app.add_typer(operations.app)
app.add_typer(dlq.app, name="dlq")

Data = Annotated[Path, typer.Option(envvar="SYNCBOARD_DATA", help="Folder for everything that lasts.")]


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"syncboard {VERSION}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """SyncBoard's background jobs: files in; text, concepts and clusters out."""


@app.command()
def up(
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for the whole network.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of API and page; 0 for any free one.")
    ] = 8000,
    data: Data = Path(".local"),
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Jobs at a time.")] = 2,
    containers: Annotated[
        str, typer.Option(help="Heavy work to do here, too: ocr, media, analysis, or none.")
    ] = "ocr,media,analysis",
    stage: Annotated[
        str, typer.Option(help="Part of every resource's name: two stacks on one LocalStack need two.")
    ] = "local",
) -> None:
    """Serve API and page with emulator and worker, until Ctrl-C."""
    from local.stack import Stack, StackError, StackOptions
    from local.stop_signals import stop_on_signals

    stack = Stack(
        StackOptions(
            host=host,
            port=port,
            data=data,
            concurrency=concurrency,
            containers=_containers(containers),
            stage=_stage(stage),
        )
    )
    try:
        with stop_on_signals(stack), stack:
            stack.console.say(
                f"SyncBoard is on {stack.url}  ·  signed in: {stack.url}/#token={stack.token()}"
            )
            stack.console.say(f"Data and logs are in {stack.data}  ·  Ctrl-C stops")
            stack.watch()
            stack.console.say("Stopping: jobs in hand are finished or given back, state is saved.")
    except StackError as error:
        _fail(str(error))


def _stage(given: str) -> str:
    """Read the option `--stage`, which the template allows as little as this."""
    if not re.fullmatch("[a-z][a-z0-9]{0,15}", given):
        _fail(f"{given!r} is no stage: 1 to 16 lower-case letters and digits, a letter first.")
    return given


def _containers(given: str) -> tuple[str, ...]:
    """Read the option `--containers`."""
    from local.containers import CONTAINERS

    names = tuple(name for name in given.split(",") if name and name != "none")
    if unknown := [name for name in names if name not in CONTAINERS]:
        _fail(f"There is no container {unknown[0]!r}; there are: {', '.join(CONTAINERS)}.")
    return names


@app.command()
def demo(
    keep: Annotated[bool, typer.Option(help="Keep the temporary data folder.")] = False,
) -> None:
    """Run the bundled samples through a stack of their own and show what came out."""
    from local.stack import StackError
    from syncboard.client import ApiError
    from syncboard.demo import run_demo

    try:
        ok = run_demo(keep=keep)
    except (StackError, ApiError) as error:
        _fail(str(error))
    raise typer.Exit(0 if ok else 1)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False
)
def worker(context: typer.Context, data: Data = Path(".local")) -> None:
    """Work on jobs from the queues that the environment names, else of the stack that runs here (see `--help`)."""
    import runpy

    from local.containers import CONTAINERS
    from local.environments import EnvironmentFailed, ensure_environment
    from local.worker.code import CONTAINER_OF
    from local.worker.options import parse
    from local.worker_process import ROOT

    needed = {CONTAINER_OF.get(queue) for queue in parse(context.args).queues}
    try:
        place.enter(data)
    except place.NoPlace as error:
        _fail(str(error))
    if len(needed) > 1:
        _fail(
            "These queues need different libraries: start a worker for each. Apart: "
            + ", ".join(CONTAINER_OF)
        )
    container = needed.pop()
    sys.argv = ["syncboard worker", *context.args]
    if container is None:
        runpy.run_module("local.worker", run_name="__main__")
        return
    try:
        python = ensure_environment(container, CONTAINERS[container].lock)
    except EnvironmentFailed as error:
        _fail(str(error))
    os.chdir(ROOT)
    os.execv(python, [str(python), "-m", "local.worker", *context.args])  # noqa: S606 (no shell is wanted)


@app.command()
def token(
    user: Annotated[str, typer.Option(help="Whom the token is for.")],
    data: Data = Path(".local"),
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it is valid.")] = 30,
) -> None:
    """Print a bearer token for a local stack."""
    import os

    from local.stack import secret_file

    if not data.is_dir():
        _fail(f"There is no data folder {data}: start a stack on it first, or name another with --data.")
    os.environ["SYNCBOARD_JWT_SECRET"] = f"file:{secret_file(data)}"
    from chalicelib import settings
    from chalicelib.api import tokens
    from chalicelib.settings import SettingsError

    settings.get.cache_clear()  # an import may have read them
    try:
        print(tokens.issue(user, seconds=days * 24 * 3600))  # noqa: T201 (its whole purpose)
    except (ValueError, SettingsError) as error:
        _fail(str(error))


def _fail(message: str) -> None:
    typer.echo(f"syncboard: {message}", err=True)
    raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    command = typer.main.get_command(app)
    _untyped_switches(command)
    command()


def _untyped_switches(command: Any) -> None:
    """Leave the type out of the help of switches, which take no value: typer prints "<bool>"."""
    switches = [*command.params, command.get_help_option(typer.Context(command))]
    for option in switches:
        if getattr(option, "is_flag", False):
            option.metavar = ""
    for below in getattr(command, "commands", {}).values():
        _untyped_switches(below)


if __name__ == "__main__":
    main()
