"""What one process works with: made from settings when first used."""

from __future__ import annotations

import os
import socket
from functools import lru_cache

from chalicelib import settings
from chalicelib.aws.objects import Objects
from chalicelib.aws.queues import SqsQueues
from chalicelib.aws.table import DynamoTable


@lru_cache(maxsize=1)
def table() -> DynamoTable:
    """Return the service's table."""
    return DynamoTable(settings.get().table)


@lru_cache(maxsize=1)
def objects() -> Objects:
    """Return the service's bucket."""
    return Objects(settings.get().bucket, settings.get().table)


@lru_cache(maxsize=1)
def queues() -> SqsQueues:
    """Return the service's queues."""
    return SqsQueues()


def worker_name() -> str:
    """Return where this process is: host and pid (on Lambda the host is the environment)."""
    return f"{socket.gethostname()}:{os.getpid()}"
