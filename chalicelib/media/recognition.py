"""The recogniser: samples to what is said, by Whisper (faster-whisper). Loaded once per process."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from chalicelib import settings
from chalicelib.ingest.document import Segment
from chalicelib.media.weights import located, models_folder

# Beam 5 with voice detection: 1.6 % of the words wrong. Beam 1: 2.5 %; without voice detection 17 %; in batches
# 21 % (254 s of speech, model base). What was said before helps a little: 3.8 % wrong with it, 5.0 % without (226 s,
# mean of three cuts); a window ends what repeats itself.
_OPTIONS: Final[dict[str, Any]] = {
    "beam_size": 5,
    "vad_filter": True,
    "condition_on_previous_text": True,
    # A recording may begin with music: listen on until a language is likelier than not, for at most 2 minutes.
    "language_detection_segments": 4,
}


class Recogniser(Protocol):
    """Hears one window at a time."""

    def hear(
        self, samples: NDArray[np.float32], language: str | None, names: str
    ) -> tuple[str, Iterator[Segment]]:
        """Return the language and the passages of `samples` (16 kHz, -1 to 1), which are found as they are read.

        Times count from the first sample. `language`: what is spoken, where it is known; None: find out. `names`:
        title, speaker and the like, to spell names by; may be empty.
        """


class Whisper:
    """A `Recogniser` by a loaded model."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def hear(
        self, samples: NDArray[np.float32], language: str | None, names: str
    ) -> tuple[str, Iterator[Segment]]:
        """See `Recogniser.hear`."""
        # Before the window's beginning only. As `hotwords`, before each half minute, they took the place of
        # what was said last: 42 % of a sample's words wrong.
        prompt = f"{names}." if names else None
        found, info = self._model.transcribe(samples, language=language, initial_prompt=prompt, **_OPTIONS)
        return str(info.language), _segments(found)


def require_all_threads() -> None:
    """Raise SettingsError when OMP_THREAD_LIMIT is set: Whisper then answers nonsense or nothing, silently."""
    limit = settings.openmp_thread_limit()
    if limit is not None:
        raise settings.SettingsError(
            f"OMP_THREAD_LIMIT={limit} is set, with which speech recognition fails silently. Unset it for this "
            "process; text recognition sets it for Tesseract's alone."
        )


def recogniser() -> Recogniser:
    """Return the recogniser that the settings name, loaded at the first call. Raise SettingsError, WeightsError."""
    require_all_threads()
    given = settings.get()
    return _loaded(given.whisper_model, given.model_folder)


@lru_cache(maxsize=1)
def _loaded(model: str, folder: str) -> Whisper:
    # Late, and by name: only the media environment has it.
    library = importlib.import_module("faster_whisper")
    models = models_folder(folder)
    return Whisper(
        library.WhisperModel(
            located(model, models),
            device="cpu",
            compute_type="int8",
            cpu_threads=cores(),
            download_root=str(models / "hub"),
        )
    )


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _segments(found: Any) -> Iterator[Segment]:
    for item in found:
        text = item.text.strip()
        if text:
            yield Segment(start=float(item.start), end=float(item.end), text=text)
