"""Skips the tier, loudly, where there is no recogniser; keeps its weights between runs."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib import settings
from chalicelib.media import recognition, weights

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / ".local" / "models"
NO_WHISPER = (
    "NO SPEECH RECOGNITION WAS TESTED: faster-whisper is not in this environment. Run these tests by "
    ".venvs/media/bin/python -m pytest tests/media"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("faster_whisper") is None:
        here = Path(__file__).parent
        for item in items:
            if here in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=NO_WHISPER))


@pytest.fixture(scope="session", autouse=True)
def models() -> Iterator[Path]:
    """Name the folder of the weights to everything, and have them there."""
    if importlib.util.find_spec("faster_whisper") is None:
        pytest.skip(NO_WHISPER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNCBOARD_MODEL_FOLDER", str(MODELS))
        settings.get.cache_clear()
        recognition._loaded.cache_clear()
        yield weights.prepare(MODELS)
    settings.get.cache_clear()
