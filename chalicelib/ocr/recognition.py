"""A prepared page to words, by the Tesseract program.

The program is called directly, not through pytesseract: that writes a PNG of its own for each call (0.3 s a page)
and runs the recognition twice for text and confidence, has no memory limit, and can't be stopped from outside. One
call here gives words, places and confidence on its standard output.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from chalicelib.errors import ParserCrashed
from chalicelib.ocr.engine import ORIENTATION_MODEL, Engine
from chalicelib.ocr.layout import Word, confidence_of, looks_like_table, text_of, trusted_letters, words_of
from chalicelib.ocr.programs import Programs, shown

# Tesseract's page segmentation modes: the orientation only; fully automatic; one block of text in rows.
_ORIENTATION_MODE: Final = 0
_AUTOMATIC_MODE: Final = 3
_ROWS_MODE: Final = 6
# Letters below which the orientation is not guessed (Tesseract's own limit is 50).
_ORIENTATION_LETTERS: Final = 10
_TURN = re.compile(r"^Rotate: (90|180|270)$", re.M)
# A reading by rows replaces the other one if it holds nearly as much.
_AS_MUCH: Final = 0.95


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What was read on a page."""

    text: str
    # Mean confidence of the words, 0 to 100.
    confidence: float
    # Letters read, each counting by its confidence: compares readings of one page.
    letters: float


class Recogniser:
    """Reads prepared pages. Its methods may be called by several threads at a time."""

    def __init__(self, engine: Engine, languages: str, programs: Programs) -> None:
        """Raise SettingsError for languages that the engine does not have."""
        self._engine = engine
        self._languages = languages
        self._folder = engine.folder_of(languages)
        self._programs = programs

    def read(self, page: Path) -> Reading:
        """Read the picture at `page`; raise ParserCrashed."""
        words = self._words(page, _AUTOMATIC_MODE)
        if looks_like_table(words):
            rows = self._words(page, _ROWS_MODE)
            if trusted_letters(rows) >= _AS_MUCH * trusted_letters(words):
                words = rows
        return Reading(
            text=text_of(words), confidence=round(confidence_of(words), 1), letters=trusted_letters(words)
        )

    def turn_of(self, page: Path) -> int:
        """Return by how many degrees (0, 90, 180, 270) the page must be turned clockwise to stand upright.

        0 also where that can't be told: on nearly empty pages, and without the orientation model.
        """
        folder = self._engine.orientation_folder()
        if folder is None:
            return 0
        setting = f"min_characters_to_try={_ORIENTATION_LETTERS}"
        status, output, _ = self._run(page, folder, ORIENTATION_MODEL, _ORIENTATION_MODE, setting)
        found = _TURN.search(output) if status == 0 else None
        return int(found[1]) if found else 0

    def _words(self, page: Path, mode: int) -> list[Word]:
        status, output, errors = self._run(page, self._folder, self._languages, mode, "tessedit_create_tsv=1")
        if status != 0:
            raise ParserCrashed(f"Text recognition failed: {shown(errors)}", cause="error")
        return words_of(output)

    def _run(self, page: Path, folder: Path, model: str, mode: int, setting: str) -> tuple[int, str, str]:
        command: Sequence[str] = (
            *(self._engine.program, str(page), "stdout", "--tessdata-dir", str(folder)),
            *("-l", model, "--psm", str(mode), "-c", setting),
        )
        done = self._programs.run(command)
        return done.returncode, done.stdout, done.stderr
