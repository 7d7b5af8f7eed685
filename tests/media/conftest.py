"""Lends these tests the media environment's libraries; skips the tier, loudly, where that is not installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib import settings
from chalicelib.media import recognition, weights
from local.containers import MODELS
from local.environments import ROOT

NO_WHISPER = "NO SPEECH RECOGNITION WAS TESTED: the media environment is not installed (make setup)"

# Behind this environment's own: the same Python made both, and what both have is the same version or near.
sys.path += [str(path) for path in (ROOT / "media" / "lib").glob("python3.*/site-packages")]


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
