"""What `syncboard submit` is told, as files and links one by one: folders are walked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from chalicelib.ingest.archives import VENDORED_FOLDERS
from chalicelib.ingest.content import HEAD_BYTES, sniff
from chalicelib.ingest.formats import FORMATS

# What systems leave beside people's files, without a dot before it.
_OF_SYSTEMS: Final = frozenset({"thumbs.db", "desktop.ini"})
_HIDDEN: Final = "hidden"


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder within a folder that is not submitted."""

    # Its path.
    name: str
    # Why, in words that follow a number: "hidden".
    reason: str


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to submit."""

    # Files and links, in the order given; those of a folder by name.
    what: tuple[Path | str, ...]
    left_out: tuple[LeftOut, ...] = ()


def is_link(name: str) -> bool:
    """Whether a word of the command line is a link that can be fetched."""
    return name.lower().startswith(("http://", "https://"))


def gather(names: Iterable[str]) -> Gathered:
    """Return the files and links that `names` stand for, each once.

    A file that is named is taken whatever it is: the API says what is wrong with it. In folders, hidden files, other
    people's code and what no format here reads (by the first 64 KB, as the API looks at it) are left out; links to
    folders are not followed.
    """
    what: dict[Path | str, None] = {}
    left_out: list[LeftOut] = []
    for name in names:
        if is_link(name):
            what[name] = None
        elif Path(name).is_dir():
            for path in _walked(Path(name), left_out):
                what[path] = None
        else:
            what[Path(name)] = None
    return Gathered(what=tuple(what), left_out=tuple(left_out))


def _walked(root: Path, left_out: list[LeftOut]) -> Iterator[Path]:
    """Yield the files below `root` that can be read; add what can't to `left_out`."""

    def unreadable(error: OSError) -> None:
        left_out.append(LeftOut(name=str(error.filename), reason=error.strerror or "can't be opened"))

    for folder, folders, files in os.walk(root, onerror=unreadable):
        here = Path(folder)
        wanted = []
        for name in sorted(folders):
            if reason := _folder_refusal(here / name):
                left_out.append(LeftOut(name=str(here / name), reason=reason))
            else:
                wanted.append(name)
        folders[:] = wanted  # os.walk goes on with these
        for name in sorted(files):
            if reason := _file_refusal(here / name):
                left_out.append(LeftOut(name=str(here / name), reason=reason))
            else:
                yield here / name


def _folder_refusal(path: Path) -> str:
    name = path.name.lower()
    if name in VENDORED_FOLDERS:  # before the dot: it says more
        return "of other people's code or of made files"
    if name.startswith("."):
        return _HIDDEN
    return "a link to a folder" if path.is_symlink() else ""


def _file_refusal(path: Path) -> str:
    name = path.name.lower()
    if name.startswith("."):
        return _HIDDEN
    if name in _OF_SYSTEMS:
        return "made by the system"
    if not path.is_file():  # a pipe would be waited for
        return "no regular file"
    try:
        with path.open("rb") as file:
            kind = sniff(file.read(HEAD_BYTES), filename=path.name, size=path.stat().st_size).kind
    except OSError as error:
        return error.strerror or "can't be opened"
    row = FORMATS[kind]
    return "" if row.readable else row.label
