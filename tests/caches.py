"""What a process remembers of its settings, forgotten: for tests that set others."""

from __future__ import annotations

from chalicelib import services, settings
from chalicelib.api import tokens
from chalicelib.aws import bedrock, clients, secrets


def forget() -> None:
    """Make settings, secrets, clients and services anew at their next use."""
    for cached in (
        bedrock._client,
        clients._client,
        settings.get,
        services.table,
        services.objects,
        services.queues,
        secrets.read_secret,
        tokens._key_set,
    ):
        cached.cache_clear()
