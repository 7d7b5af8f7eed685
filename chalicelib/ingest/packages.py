"""ZIP files, looked at before anything in them is unpacked, and read with a count of what really comes out.

Office files, OpenDocument and EPUB are ZIP files too. What the central directory declares is checked first (it
costs nothing and stops honest bombs); what is read is counted again, because the directory may lie.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

import msgspec

from chalicelib.errors import BrokenFile, PasswordRequired, TooLarge

MB: Final = 1024 * 1024
_CHUNK_BYTES: Final = 64 * 1024
_ENCRYPTED: Final = 0x1  # General purpose bit 0 (APPNOTE 4.4.4).
_AES: Final = 99  # "Compression" of entries encrypted by AES (APPNOTE 4.4.5, appendix E).
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


class Tally:
    """Counts what comes out of one file of `size` bytes, and of the ZIP files within it."""

    def __init__(self, limits: PackageLimits, size: int) -> None:
        self._limits = limits
        self._most = max(limits.ratio_from_bytes, size * limits.ratio)
        self._read_bytes = 0

    def count(self, read: int) -> None:
        """Add bytes that were read; raise TooLarge when they are too many."""
        self._read_bytes += read
        self.check(self._read_bytes)

    def check(self, unpacked: int) -> None:
        """Raise TooLarge where `unpacked` bytes are more than the file may unpack to."""
        limits = self._limits
        if unpacked > limits.unpacked_bytes:
            limit = limits.unpacked_bytes // MB
            raise TooLarge(f"The file unpacks to more than {limit:,} MB.", limit_mb=limit)
        if unpacked > self._most:
            raise TooLarge(
                f"The file unpacks to more than {limits.ratio} times its size: it looks like a ZIP bomb.",
                limit_ratio=limits.ratio,
            )


class Package:
    """An open ZIP file that passed the checks. Entries are only ever read, never extracted to a path.

    Raise BrokenFile (no ZIP, damaged), TooLarge (over a limit, or lying about it) or PasswordRequired. Use as a
    context manager; `file` stays the caller's to close. `tally` counts for a ZIP file within another one.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        limits: PackageLimits = OFFICE,
        password: str | None = None,
        tally: Tally | None = None,
    ) -> None:
        self._limits = limits
        self._password = password.encode() if password else None
        self.tally = tally or Tally(limits, file.seek(0, 2))
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
            with self._zip.open(info, pwd=self._password) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    self.tally.count(len(chunk))
                    yield chunk
        except NotImplementedError as error:
            raise BrokenFile(f"The file's part {name!r} can't be unpacked: {error}.") from None
        except RuntimeError as error:
            # zipfile's only RuntimeErrors: a wrong password, or encrypted after all (local header).
            if self._password:
                raise _wrong_password() from None
            raise PasswordRequired(f"The file is encrypted: {error}.") from None
        except _DAMAGE as error:
            if info.flag_bits & _ENCRYPTED and not isinstance(error, OSError):
                raise _wrong_password() from None  # one wrong password in 256 passes zipfile's own check
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
            self._check_encryption(infos)
        self.tally.check(sum(info.file_size for info in infos))

    def _check_encryption(self, infos: Sequence[zipfile.ZipInfo]) -> None:
        if self._password is None:
            raise PasswordRequired("The file is encrypted: unpack it and submit what is in it.")
        if any(info.compress_type == _AES for info in infos):
            raise PasswordRequired(
                "The file is encrypted in a way (AES) that is not opened here: unpack it and submit what is in it."
            )


def _wrong_password() -> PasswordRequired:
    return PasswordRequired("The file is encrypted, and the password is wrong.")


def is_regular(info: zipfile.ZipInfo) -> bool:
    """Say whether an entry is a plain file: no folder, no symbolic link, no device."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    # ZipInfo.is_dir fails on an empty name.
    return bool(info.filename) and not info.is_dir() and kind in (0, stat.S_IFREG)
