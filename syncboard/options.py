"""What the commands have in common: options, output, errors that say what to do."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import httpx
import typer
from rich.console import Console

from chalicelib.errors import SyncBoardError
from syncboard.client import ApiError
from syncboard.place import NoPlace

Data = Annotated[Path, typer.Option(envvar="SYNCBOARD_DATA", help="Folder of the stack that runs here.")]
User = Annotated[str, typer.Option(help="Whom to act as, on a stack that runs here.")]
Url = Annotated[str | None, typer.Option(envvar="SYNCBOARD_URL", help="Address of another SyncBoard's API.")]
Token = Annotated[str | None, typer.Option(envvar="SYNCBOARD_TOKEN", help="Token for it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
DATA = Path(".local")
_PIPE_WIDTH = 160

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


def console() -> Console:
    """Return where tables go: as wide as the terminal, and wide enough for `grep` in a pipe."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=_PIPE_WIDTH)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def fail(message: str) -> NoReturn:
    """Say what is wrong and end with exit code 1."""
    typer.echo(f"syncboard: {message}", err=True)
    raise typer.Exit(1)


def friendly(command: Callable[Parameters, Value]) -> Callable[Parameters, Value]:
    """Turn what can go wrong for a user into one line."""

    @functools.wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Value:
        try:
            return command(*args, **kwargs)
        except (NoPlace, ApiError, TimeoutError) as error:
            fail(str(error))
        except SyncBoardError as error:
            fail(error.message)
        except httpx.TransportError as error:
            fail(f"Nothing answers{_where(error)} ({error}). Is it running?")

    return run


def _where(error: httpx.TransportError) -> str:
    try:
        url = error.request.url
    except RuntimeError:  # it carries none
        return ""
    return f" at {url.scheme}://{url.netloc.decode()}"
