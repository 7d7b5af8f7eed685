"""ZIP archives: what is in them, unpacked into numbered files, archives in archives included.

Foreign bytes all the way, so `plan` runs in the sandbox. The names in an archive are only ever shown: no path is
made of one. A file that can't be had does not sink the others; what goes over a limit sinks the whole archive.
"""

from __future__ import annotations

import errno
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from chalicelib.errors import BrokenFile, PasswordRequired, TooLarge, Unavailable
from chalicelib.ingest.content import HEAD_BYTES, ContentType, sniff
from chalicelib.ingest.document import ProgressCallback, ignore_progress
from chalicelib.ingest.filename import extension, safe_filename, stem
from chalicelib.ingest.formats import FORMATS
from chalicelib.ingest.packages import ARCHIVE, Package, Tally

# Archives in archives, the outermost included.
MAX_DEPTH: Final = 5
# Paths from an archive are shortened to this, from the left: the end of a path says more.
MAX_PATH_CHARACTERS: Final = 160

# What systems and programs leave beside people's files; left out without a word.
_JUNK_NAMES: Final = frozenset({".ds_store", "thumbs.db", "desktop.ini", ".localized"})
_JUNK_FOLDERS: Final = frozenset({"__macosx", ".git", ".hg", ".svn", ".bzr", "_darcs", ".jj", "cvs"})
# Folders of other people's code and of what programs made; left out, and said.
VENDORED_FOLDERS: Final = frozenset(
    {
        ".gradle", ".mypy_cache", ".next", ".nuxt", ".pytest_cache", ".ruff_cache", ".terraform", ".tox", ".venv",
        ".yarn", "__pycache__", "bower_components", "jspm_packages", "node_modules", "site-packages",
    }
)  # fmt: skip
# Packages of programs, which happen to be ZIP files: nobody wants their insides as documents.
_PROGRAMS: Final = frozenset(
    {".aab", ".apk", ".crx", ".ear", ".egg", ".ipa", ".jar", ".nupkg", ".vsix", ".war", ".whl", ".xpi"}
)
# Entries of all kinds that a directory may list: only the wanted ones count towards the limit of files.
_DIRECTORY: Final = msgspec.structs.replace(ARCHIVE, entries=100_000)
# Slashes of both kinds, and a drive's letter before them.
_SEPARATORS = re.compile(r"(?:\A[A-Za-z]:)?[/\\]")
_UTF8_NAME: Final = 0x800  # General purpose bit 11 (APPNOTE 4.4.4).


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A file of an archive, unpacked."""

    # Name of the unpacked file in the folder: a number.
    file: str
    # Its path in the archive, for people: "docs/notes.zip/a.txt".
    path: str
    # Bytes.
    size: int
    content: ContentType


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A file, or folder, of an archive that becomes no document."""

    filename: str
    # Why, as a sentence for people.
    reason: str


class Unpacked(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive holds."""

    members: tuple[Member, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def unpack(
    path: Path, folder: Path, *, password: str | None = None, on_progress: ProgressCallback = ignore_progress
) -> Unpacked:
    """Unpack the archive at `path` into numbered files in `folder`; progress counts files.

    Raise BrokenFile (no ZIP file), TooLarge (1,000 files, 500 MB, 200 times its size, 5 archives deep: each names
    its limit), PasswordRequired, or Unavailable (the disk is full).
    """
    unpacking = _Unpacking(folder, password, on_progress)
    try:
        unpacking.archive(path, "", depth=1, tally=None)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise Unavailable("There is no room left on the disk to unpack the archive.") from None
        raise
    return unpacking.found()


class _Unpacking:
    """One archive, and those within it, on their way into a folder."""

    def __init__(self, folder: Path, password: str | None, on_progress: ProgressCallback) -> None:
        self._folder = folder
        self._password = password
        self._on_progress = on_progress
        self._members: list[Member] = []
        self._left_out: list[LeftOut] = []
        self._vendored: dict[str, int] = {}
        # Files taken out so far, and those that are known of.
        self._count = 0
        self._known = 0

    def found(self) -> Unpacked:
        vendored = [
            LeftOut(
                filename=path, reason=f"A folder of other people's code or of made files ({count:,} files)."
            )
            for path, count in self._vendored.items()
        ]
        return Unpacked(members=tuple(self._members), left_out=(*self._left_out, *vendored))

    def archive(self, path: Path, shown: str, *, depth: int, tally: Tally | None) -> None:
        """Unpack one archive; `shown` is its own path in the outermost one."""
        if depth > MAX_DEPTH:
            raise TooLarge(f"Archives in archives are read {MAX_DEPTH} deep.", limit_depth=MAX_DEPTH)
        with path.open("rb") as file, self._opened(file, tally) as package:
            wanted = list(self._wanted(package, shown))
            self._known += len(wanted)
            if self._known > ARCHIVE.entries:
                raise TooLarge(
                    f"The archive holds {self._known:,} files or more; the limit is {ARCHIVE.entries:,}.",
                    limit_files=ARCHIVE.entries,
                )
            for info, name in wanted:
                self._member(package, info, name, depth)

    def _opened(self, file: BinaryIO, tally: Tally | None) -> Package:
        try:
            return Package(file, limits=_DIRECTORY, password=self._password, tally=tally)
        except PasswordRequired:
            if self._password:
                raise
            raise PasswordRequired(
                "The archive is encrypted: submit it again with its password, or unpack it and submit what is in it."
            ) from None

    def _wanted(self, package: Package, shown: str) -> Iterator[tuple[zipfile.ZipInfo, str]]:
        """Yield the files of an archive that are people's own, with their paths for people."""
        for info in package.infos:
            parts = _parts(info)
            folders = [part.lower() for part in parts[:-1]]
            if not parts or parts[-1].lower() in _JUNK_NAMES or _JUNK_FOLDERS.intersection(folders):
                continue
            vendored = next((at for at, part in enumerate(folders) if part in VENDORED_FOLDERS), None)
            if vendored is None:
                yield info, _joined(shown, parts)
            else:
                name = _joined(shown, parts[: vendored + 1]) + "/"
                self._vendored[name] = self._vendored.get(name, 0) + 1

    def _member(self, package: Package, info: zipfile.ZipInfo, shown: str, depth: int) -> None:
        self._count += 1
        self._on_progress(self._count, self._known, f"file {self._count} of {self._known}")
        target = self._folder / f"{self._count:04}"
        try:
            size = _write(package, info, target)
            content = _type_of(target, shown, size)
            if content.kind == "zip" and extension(shown) not in _PROGRAMS:
                self.archive(target, shown, depth=depth + 1, tally=package.tally)
                target.unlink()
                return
        except (BrokenFile, PasswordRequired) as error:
            # The password that opens none of the first files opens none at all.
            if isinstance(error, PasswordRequired) and depth == 1 and not self._members:
                raise
            target.unlink(missing_ok=True)
            self._left_out.append(LeftOut(filename=shown, reason=error.message))
            return
        if reason := _refusal(content):
            target.unlink()
            self._left_out.append(LeftOut(filename=shown, reason=reason))
            return
        self._members.append(Member(file=target.name, path=shown, size=size, content=content))


def _write(package: Package, info: zipfile.ZipInfo, target: Path) -> int:
    """Unpack one entry into `target`; return its size."""
    with target.open("wb") as file:
        for chunk in package.chunks(info.filename):
            file.write(chunk)
        return file.tell()


def _type_of(path: Path, shown: str, size: int) -> ContentType:
    with path.open("rb") as file:
        return sniff(file.read(HEAD_BYTES), filename=shown.rpartition("/")[2], size=size)


def _refusal(content: ContentType) -> str:
    """Return why a file becomes no document, or ""."""
    row = FORMATS[content.kind]
    if content.kind == "empty":
        return "The file is empty."
    if content.kind == "zip" or not row.readable:
        return f"This file is {row.label}, which can't be read."
    return ""


def _parts(info: zipfile.ZipInfo) -> list[str]:
    """Return the segments of an entry's path, each fit to be shown; no "..", no drive, no root."""
    name = info.filename
    if not info.flag_bits & _UTF8_NAME:
        # zipfile reads such names as cp437; many programs write UTF-8 and don't say so.
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = info.filename
    segments = [part for part in _SEPARATORS.split(name) if part.strip(". ")]
    return [safe_filename(part) for part in segments]


def _joined(shown: str, parts: list[str]) -> str:
    path = "/".join([*([shown] if shown else []), *parts])
    return path if len(path) <= MAX_PATH_CHARACTERS else "…" + path[1 - MAX_PATH_CHARACTERS :]


def archive_name(filename: str) -> str:
    """Return what to call an archive in the titles of its documents: its name without ".zip"."""
    return stem(safe_filename(filename))
