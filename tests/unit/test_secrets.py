"""The installation's secret: made whole or not at all, refused when it is none; and the subjects of tokens."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import Any

import jwt
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from chalicelib.api import tokens
from chalicelib.aws import clients
from chalicelib.aws.secrets import read_secret
from chalicelib.errors import Unauthorized, Unavailable
from chalicelib.settings import SettingsError
from local.private_files import secret_file


def test_a_secret_is_made_once_for_its_owner_only_and_long_enough(tmp_path: Path) -> None:
    path = secret_file(tmp_path / "data")
    secret = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(read_secret(f"file:{path}")) >= 32
    assert secret_file(tmp_path / "data").read_text() == secret
    assert [file.name for file in path.parent.iterdir()] == ["jwt-secret"]


def test_a_crash_while_the_secret_is_written_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", crash)
        with pytest.raises(KeyboardInterrupt):
            secret_file(tmp_path)
    assert not (tmp_path / "jwt-secret").exists()
    assert read_secret(f"file:{secret_file(tmp_path)}")


def test_many_starts_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    found: list[str] = []
    together = threading.Barrier(8)

    def start() -> None:
        together.wait()
        found.append(secret_file(tmp_path).read_text())

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["jwt-secret"]


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"s" * 31, "ß".encode() * 40])
def test_a_secret_that_is_none_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jwt-secret"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"at least 32 characters.*[Dd]elete"):
        read_secret(f"file:{path}")
    path.write_text("s" * 32)
    assert read_secret(f"file:{path}") == "s" * 32


def test_a_missing_secret_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no-such-file"):
        read_secret(f"file:{tmp_path / 'no-such-file'}")


@pytest.mark.parametrize("name", ["anna", "a.b+c@d.example", "x" * 128, "0:1_2-3"])
def test_a_user_name_of_ascii_letters_and_digits_is_a_subject(jwt_secret: None, name: str) -> None:
    assert tokens.verify("Bearer " + tokens.issue(name, seconds=60)) == name


@pytest.mark.parametrize("name", ["zoë", "анна", "٣", "", "x" * 129, "a b", "a/b"])
def test_any_other_user_name_is_none(jwt_secret: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A message's group id, which is the owner's name, takes ASCII only."""
    with pytest.raises(ValueError, match="user name"):
        tokens.issue(name, seconds=60)
    with monkeypatch.context() as patch:
        patch.setattr(tokens, "_SUBJECT", re.compile(".*"))
        token = tokens.issue(name, seconds=60)
    with pytest.raises(Unauthorized, match="subject"):
        tokens.verify(f"Bearer {token}")


def test_whatever_the_token_library_complains_about_is_unauthorized(
    jwt_secret: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def complain(*_: Any, **__: Any) -> None:
        raise jwt.InvalidKeyError("odd")

    monkeypatch.setattr(jwt, "decode", complain)
    with pytest.raises(Unauthorized):
        tokens.verify("Bearer a.b.c")


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("ResourceNotFoundException", SettingsError),
        ("AccessDeniedException", SettingsError),
        ("ThrottlingException", Unavailable),
        ("InternalServiceError", Unavailable),
        (None, Unavailable),
    ],
)
def test_a_secrets_manager_that_is_away_can_be_asked_again(
    monkeypatch: pytest.MonkeyPatch, code: str | None, raised: type[Exception]
) -> None:
    class Manager:
        def get_secret_value(self, **_: str) -> dict[str, str]:
            if code is None:
                raise EndpointConnectionError(endpoint_url="https://secretsmanager")
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetSecretValue")

    monkeypatch.setattr(clients, "secretsmanager", Manager)
    with pytest.raises(raised):
        read_secret(f"secretsmanager:arn:{code}")
