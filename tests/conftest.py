"""Settings for every test; no network but this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import pytest_socket

# Before anything of the service is imported: app.py and the logger read the settings.
os.environ.update(
    {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "SYNCBOARD_STAGE": "test",
        "SYNCBOARD_TABLE": "unit-table",
        "SYNCBOARD_BUCKET": "unit-bucket",
        "POWERTOOLS_LOG_DEDUPLICATION_DISABLED": "true",
        **{
            f"SYNCBOARD_QUEUE_{name.replace('-', '_').upper()}": f"http://127.0.0.1:1/0/unit-{name}"
            for name in ("intake", "uploads", "uploads-ocr", "uploads-media", "analysis", "low_priority")
        },
    }
)

from chalicelib import settings
from tests.stack import RunningStack


@pytest.fixture(autouse=True)
def loopback_only() -> Iterator[None]:
    """Refuse connections to any other machine."""
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
    yield
    pytest_socket._remove_restrictions()


@pytest.fixture
def jwt_secret(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation's secret in a file."""
    path = tmp_path_factory.mktemp("secret") / "jwt-secret"
    path.write_text("s" * 64, encoding="ascii")
    monkeypatch.setenv("SYNCBOARD_JWT_SECRET", f"file:{path}")
    settings.get.cache_clear()
    yield
    monkeypatch.undo()
    settings.get.cache_clear()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The whole service, started once by its own command and used by every end-to-end test."""
    running = RunningStack(tmp_path_factory.mktemp("stack"))
    running.start()
    yield running
    running.stop()
