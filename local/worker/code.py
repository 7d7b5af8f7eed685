"""The code that a worker runs for a queue: what the image or the zip behind that queue's function holds on AWS."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from typing import Any, Final

from local.containers import CONTAINERS

# Folder of `containers/` whose handler works on a queue; the other queues are the application's.
CONTAINER_OF: Final = {container.queue: container.name for container in CONTAINERS.values()}

Handler = Callable[[dict[str, Any], Any], Any]


def handler(function: str) -> Handler:
    """Import and return the handler of the function with this name."""
    if container := CONTAINER_OF.get(function):
        return importlib.import_module(f"containers.{container}.handler").handle  # type: ignore[no-any-return]
    # Late: app.py needs the settings, and Chalice, which no container has.
    return importlib.import_module("app").app.handler_map[function]  # type: ignore[no-any-return]


def preloaded(queues: Collection[str]) -> list[str]:
    """Return the modules that every process of a worker on `queues` needs."""
    own = [f"containers.{CONTAINER_OF[queue]}.handler" for queue in queues if queue in CONTAINER_OF]
    application = [] if len(own) == len(queues) else ["app"]
    return ["local.worker.environment", *application, *own, "chalicelib.tasks.file_upload"]


def does_chores(queues: Collection[str]) -> bool:
    """Tell whether a worker on `queues` has the application, and with it uploads that arrive and the sweeper."""
    return any(queue not in CONTAINER_OF for queue in queues)
