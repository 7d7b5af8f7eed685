"""ZIP files, looked at before anything in them is unpacked, and read with a count of what really comes out.

Office files, OpenDocument and EPUB are ZIP files too. What the central directory declares is checked first (it
costs nothing and stops honest bombs); what is read is counted again, because the directory may lie.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from chalicelib.errors import BrokenFile, PasswordRequired, TooLarge

MB: Final = 1024 * 1024
_CHUNK_BYTES: Final = 64 * 1024
_ENCRYPTED: Final = 0x1  # General purpose bit 0 (APPNOTE 4.4.4).
# What zipfile raises for damage: NotImplementedError for a compression that it lacks.
_DAMAGE: Final = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


class PackageLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a ZIP file may hold."""

    # Bytes of all entries together, unpacked.
    unpacked_bytes: int = 500 * MB
    # Entries, folders included.
    entries: int = 1000
    # Unpacked bytes for each byte of the file. Honest office XML reaches 50.
    ratio: int = 200
    # The ratio counts from this many unpacked bytes on: small files may be all zeros.
    ratio_from_bytes: int = 10 * MB


ARCHIVE: Final = PackageLimits()
# One picture, note or slide is a part, so a long document has thousands.
OFFICE: Final = PackageLimits(entries=10_000)


class Package:
    """An open ZIP file that passed the checks. Entries are only ever read, never extracted to a path.

    Raise BrokenFile (no ZIP, damaged), TooLarge (over a limit, or lying about it) or PasswordRequired. Use as a
    context manager; `file` stays the caller's to close.
    """

    def __init__(self, file: BinaryIO, *, limits: PackageLimits = OFFICE) -> None:
        self._limits = limits
        self._size = file.seek(0, 2)
        self._read_bytes = 0
        file.seek(0)
        try:
            self._zip = zipfile.ZipFile(file)
        except _DAMAGE as error:
            raise BrokenFile(f"The file is damaged: it can't be opened as a ZIP file ({error}).") from None
        self._entries = {info.filename: info for info in self._zip.infolist()}
        self._check()

    def __enter__(self) -> Package:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @property
    def names(self) -> list[str]:
        """Return the names of all regular entries (no folders, no links), in the directory's order."""
        return [name for name, info in self._entries.items() if is_regular(info)]

    @property
    def infos(self) -> list[zipfile.ZipInfo]:
        """Return the regular entries, in the directory's order."""
        return [info for info in self._entries.values() if is_regular(info)]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the entry `name` piece by piece; what is read counts towards the package's limits.

        Raise BrokenFile when it is missing or damaged, TooLarge as soon as more comes out than is allowed.
        """
        info = self._entries.get(name)
        if info is None:
            raise BrokenFile(f"The file is damaged: its part {name!r} is missing.")
        try:
            with self._zip.open(info) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    self._count(len(chunk))
                    yield chunk
        except RuntimeError as error:
            # zipfile's only RuntimeError: the entry is encrypted after all (local header).
            raise PasswordRequired(f"The file is encrypted: {error}.") from None
        except _DAMAGE as error:
            raise BrokenFile(f"The file is damaged: its part {name!r} can't be read ({error}).") from None

    def read(self, name: str) -> bytes:
        """Return the entry `name` whole; raise as `chunks` does."""
        return b"".join(self.chunks(name))

    def verify(self) -> None:
        """Unpack every entry once and throw it away, for a reader that opens the file itself.

        Costs about a second for 300 MB. Raise as `chunks` does.
        """
        for name in self.names:
            for _ in self.chunks(name):
                pass

    def _check(self) -> None:
        limits = self._limits
        infos = self._zip.infolist()
        if len(infos) > limits.entries:
            raise TooLarge(
                f"The file holds {len(infos):,} files; the limit is {limits.entries:,}.",
                limit_files=limits.entries,
            )
        if any(info.flag_bits & _ENCRYPTED for info in infos):
            raise PasswordRequired("The file is encrypted: unpack it and submit what is in it.")
        self._check_size(sum(info.file_size for info in infos))

    def _count(self, read: int) -> None:
        self._read_bytes += read
        self._check_size(self._read_bytes)

    def _check_size(self, unpacked: int) -> None:
        limits = self._limits
        if unpacked > limits.unpacked_bytes:
            limit = limits.unpacked_bytes // MB
            raise TooLarge(f"The file unpacks to more than {limit:,} MB.", limit_mb=limit)
        if unpacked > max(limits.ratio_from_bytes, self._size * limits.ratio):
            raise TooLarge(
                f"The file unpacks to more than {limits.ratio} times its size: it looks like a ZIP bomb.",
                limit_ratio=limits.ratio,
            )


def is_regular(info: zipfile.ZipInfo) -> bool:
    """Say whether an entry is a plain file: no folder, no symbolic link, no device."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    return not info.is_dir() and kind in (0, stat.S_IFREG)
