"""Secrets: read by reference, kept in memory, never in the environment or a log."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from chalicelib.aws import clients
from chalicelib.settings import SettingsError


@lru_cache(maxsize=4)
def read_secret(reference: str) -> str:
    """Return the secret that `file:PATH` or `secretsmanager:ARN` names."""
    kind, _, where = reference.partition(":")
    if kind == "file" and where:
        return Path(where).read_text(encoding="ascii").strip()
    if kind == "secretsmanager" and where:
        return clients.secretsmanager().get_secret_value(SecretId=where)["SecretString"]
    raise SettingsError("SYNCBOARD_JWT_SECRET must be file:PATH or secretsmanager:ARN")
