"""Secrets: read by reference, kept in memory, never in the environment or a log."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws import clients
from chalicelib.errors import Unavailable
from chalicelib.settings import SettingsError

# An HS256 key has at least as many bytes as its hash (RFC 7518, section 3.2).
LEAST_CHARACTERS: Final = 32


@lru_cache(maxsize=4)
def read_secret(reference: str) -> str:
    """Return the secret that `file:PATH` or `secretsmanager:ARN` names.

    Raise SettingsError if it is none, Unavailable where it can't be read just now.
    """
    kind, _, where = reference.partition(":")
    if kind == "file" and where:
        return _checked(
            _read(Path(where)), f"{where} holds", "Delete the file and start again: a new one is made"
        )
    if kind == "secretsmanager" and where:
        return _checked(_ask(where), f"Secret {where} holds", "Delete its value and put a new one there")
    raise SettingsError("SYNCBOARD_JWT_SECRET must be file:PATH or secretsmanager:ARN")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise SettingsError(f"The JWT secret in {path} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        return ""


def _ask(arn: str) -> str:
    try:
        return clients.secretsmanager().get_secret_value(SecretId=arn).get("SecretString", "")
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("ResourceNotFoundException", "AccessDeniedException"):
            raise SettingsError(f"Secret {arn} can't be read: {code}.") from None
        raise Unavailable(f"The store of secrets answered {code}.") from error
    except BotoCoreError as error:
        raise Unavailable("The store of secrets does not answer.") from error


def _checked(text: str, who: str, advice: str) -> str:
    secret = text.strip()
    if len(secret) < LEAST_CHARACTERS:
        raise SettingsError(
            f"{who} no JWT secret: one has at least {LEAST_CHARACTERS} characters, all ASCII. "
            f"{advice}. Tokens signed before are no longer valid then."
        )
    return secret
