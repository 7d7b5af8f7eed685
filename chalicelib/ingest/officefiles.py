"""Office files as their parsers want them: open, decrypted, and looked at as a package.

An encrypted docx, pptx or xlsx is an OLE file around the encrypted package ([MS-OFFCRYPTO] 2.3.4). Old files are
OLE files anyway and encrypt their streams.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final
from xml.parsers.expat import ExpatError

from chalicelib.errors import BrokenFile, PasswordRequired
from chalicelib.ingest.document import Source
from chalicelib.ingest.packages import Package

OLE_MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Excel encrypts a workbook that is only protected against changes with this ([MS-OFFCRYPTO] 2.4.2.3).
_DEFAULT_PASSWORD: Final = "VelvetSweatshop"  # noqa: S105  (a constant of the format, no secret)
# What msoffcrypto raises for an OLE file or a description of the encryption that is damaged.
_DAMAGE: Final = (
    AssertionError,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    struct.error,
    ExpatError,
)


@contextmanager
def opened_package(source: Source) -> Iterator[Package]:
    """Open an office file that is a ZIP package, decrypting it where it must be.

    Raise PasswordRequired, BrokenFile or TooLarge.
    """
    with opened(source) as file, Package(file) as package:
        yield package


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """Open an office file, decrypted; raise PasswordRequired or BrokenFile."""
    with Path(source.path).open("rb") as file:
        is_ole = file.read(len(OLE_MAGIC)) == OLE_MAGIC
        file.seek(0)
        yield (_decrypted(file, source.password) if is_ole else None) or file


def _decrypted(file: BinaryIO, password: str | None) -> BinaryIO | None:
    """Return the plain file, or None for one that is not encrypted."""
    # Imported here: few files are encrypted, and it brings the cryptography package.
    import msoffcrypto
    from msoffcrypto.exceptions import (
        DecryptionError,
        FileFormatError,
        InvalidKeyError,
        ParseError,
    )

    try:
        office: Any = msoffcrypto.OfficeFile(file)
        if office.is_encrypted():
            return _plain(office, password)
    except FileFormatError:
        # An OLE file of another kind, as a message: nothing to decrypt.
        pass
    except InvalidKeyError:
        given = "The password is wrong" if password else "The file is encrypted"
        raise PasswordRequired(f"{given}: submit it again with its password.") from None
    except (DecryptionError, ParseError, *_DAMAGE) as error:
        raise BrokenFile(
            f"The file is damaged, or encrypted in a way that can't be read ({error})."
        ) from None
    file.seek(0)
    return None


def _plain(office: Any, password: str | None) -> BinaryIO:
    office.load_key(password=password or _DEFAULT_PASSWORD, verify_password=True)
    plain = io.BytesIO()
    office.decrypt(plain)
    plain.seek(0)
    return plain
