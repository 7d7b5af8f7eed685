"""`make localstack`: LocalStack by Docker Compose, unless it runs already, and the service on it.

The data stack is deployed there; API, page and workers are processes of this machine. So are the workers of scans
and recordings, because LocalStack's free editions run no container images.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import httpx

from chalicelib import settings
from local.worker_process import ROOT

DEFAULT_ENDPOINT: Final = "http://localhost:4566"
_LOOK_SECONDS: Final = 5.0
# What has to be there for the data stack; the rest only matters to functions.
_NEEDED: Final = ("cloudformation", "dynamodb", "s3", "sqs")
_COMPOSE: Final = ("docker", "compose", "up", "--detach", "--wait", "localstack")


class NoLocalStack(RuntimeError):
    """There is none to use, and none can be started; the message says what to do."""


def ensure(endpoint: str, say: Callable[[str], None]) -> None:
    """Have a LocalStack that answers at `endpoint` and has what is needed; raise NoLocalStack."""
    health = _health(endpoint)
    if health is None:
        _start(endpoint, say)
        health = _health(endpoint)
    if health is None:
        raise NoLocalStack(f"Docker Compose started LocalStack, but nothing answers at {endpoint}.")
    services: dict[str, str] = health.get("services", {})
    if missing := [name for name in _NEEDED if services.get(name, "disabled") in ("disabled", "error")]:
        raise NoLocalStack(
            f"LocalStack at {endpoint} runs without {', '.join(missing)}: see SERVICES in compose.yaml."
        )
    say(f"LocalStack {health.get('version', '?')} ({health.get('edition', '?')}) answers at {endpoint}.")


def _health(endpoint: str) -> dict[str, Any] | None:
    """Return what LocalStack says of itself; None where nothing answers. Raise NoLocalStack: it is something else."""
    try:
        answer = httpx.get(f"{endpoint}/_localstack/health", timeout=_LOOK_SECONDS)
        health = answer.raise_for_status().json()
    except httpx.TransportError:
        return None
    except (httpx.HTTPStatusError, ValueError):
        health = None
    if not isinstance(health, dict) or "services" not in health:
        raise NoLocalStack(f"What answers at {endpoint} is not LocalStack.")
    return health


def _start(endpoint: str, say: Callable[[str], None]) -> None:
    """Start it as compose.yaml says."""
    if endpoint.rstrip("/") != DEFAULT_ENDPOINT:
        raise NoLocalStack(f"Nothing answers at {endpoint} (AWS_ENDPOINT_URL): start LocalStack there first.")
    if shutil.which("docker") is None:
        raise NoLocalStack(
            f"Nothing answers at {endpoint}, and there is no Docker to start LocalStack with. Install Docker, or "
            "start LocalStack in another way and name its address with AWS_ENDPOINT_URL."
        )
    say(f"Nothing answers at {endpoint}: {' '.join(_COMPOSE)}")
    if code := subprocess.run(_COMPOSE, cwd=ROOT, check=False).returncode:
        raise NoLocalStack(f"Docker Compose ended with {code}: see above.")


def main(arguments: Sequence[str]) -> None:
    """Have LocalStack, then be `syncboard up` on it, with these arguments; where that fails end with 1."""
    endpoint = settings.get().endpoint_url or DEFAULT_ENDPOINT
    try:
        ensure(endpoint, lambda line: print(line, flush=True))  # noqa: T201 (a command's output)
    except NoLocalStack as error:
        sys.exit(str(error))
    environment = {**os.environ, "AWS_ENDPOINT_URL": endpoint}
    command = [sys.executable, "-m", "syncboard.cli", "up", *arguments]
    os.execve(sys.executable, command, environment)  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    main(sys.argv[1:])
