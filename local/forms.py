"""An upload form (multipart/form-data, RFC 7578) read as a stream, strictly: fields first, one file, nothing after.

Stricter than the RFC on purpose: a form that two parsers read in two ways could show one parser a good signature and
the other one none. Browsers, curl and the usual HTTP libraries write what is taken here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from chalicelib.errors import InvalidRequest

# All fields of a form with their headers; a policy has about a kilobyte.
FIELDS_LIMIT_BYTES: Final = 64 * 1024
FIELDS: Final = frozenset(
    {
        *("key", "policy", "content-type"),
        *("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"),
    }
)

_CHUNK: Final = 256 * 1024
_PART_HEADERS: Final = 8
_CONTENT_TYPE: Final = re.compile(
    r"multipart/form-data; ?boundary=(?P<q>\"?)(?P<boundary>[\w'()+,./:=?-]{1,70})(?P=q)", re.I | re.A
)
_DISPOSITION: Final = re.compile(rb'content-disposition: ?form-data; ?name="?([\w-]{1,64})"?(;.*)?', re.I)


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """A form up to the first byte of its file."""

    # Value by lower-case name; exactly the names in `FIELDS`.
    fields: dict[str, str]
    # Bytes from the file's first one to the end of the body.
    rest: int
    # What follows the file, without the line break that may end the body.
    closing: bytes


def read_form(source: BinaryIO, content_type: str, length: int) -> Form:
    """Read a form of `length` bytes up to its file. Raise InvalidRequest."""
    match = _CONTENT_TYPE.fullmatch(content_type)
    if not match:
        raise InvalidRequest("Send the file as multipart/form-data.")
    delimiter = b"--" + match["boundary"].encode()
    lines = _Lines(source, min(length, FIELDS_LIMIT_BYTES))
    fields: dict[str, str] = {}
    lines.expect(delimiter)
    while (name := lines.part_name()) != "file":
        if name not in FIELDS or name in fields:
            raise InvalidRequest(f"The form has a field too many: {name}.")
        fields[name] = lines.text()
        lines.expect(delimiter)
    if missing := FIELDS - fields.keys():
        raise InvalidRequest(
            f"The form lacks {', '.join(sorted(missing))}, or the file is not its last field."
        )
    return Form(fields=fields, rest=length - lines.used, closing=b"\r\n" + delimiter + b"--")


class _Lines:
    """Lines of the form's head, at most `limit` bytes of them."""

    def __init__(self, source: BinaryIO, limit: int) -> None:
        self._source = source
        self._limit = limit
        self.used = 0

    def next(self) -> bytes:
        line = self._source.readline(self._limit - self.used)
        self.used += len(line)
        if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line:
            raise InvalidRequest("The form is malformed, or its fields are too long.")
        return line[:-2]

    def expect(self, line: bytes) -> None:
        if self.next() != line:
            raise InvalidRequest("The form is malformed: a field's value is one line.")

    def text(self) -> str:
        try:
            return self.next().decode("ascii")
        except UnicodeDecodeError:
            raise InvalidRequest("A field of the form is not ASCII.") from None

    def part_name(self) -> str:
        """Return the name of the part that begins here, in lower case, and pass its headers."""
        names: list[str] = []
        for _ in range(_PART_HEADERS):
            line = self.next()
            if not line:
                break
            if match := _DISPOSITION.fullmatch(line):
                names.append(match[1].decode().lower())
        else:
            raise InvalidRequest("A part of the form has too many headers.")
        if len(names) != 1:
            raise InvalidRequest("A part of the form has no name, or two.")
        return names[0]


def file_chunks(source: BinaryIO, form: Form, closing: bytes) -> Iterator[bytes]:
    """Yield the form's file in chunks, and `closing` in place of the form's own.

    The bytes yielded are `form.rest - len(form.closing) + len(closing)`. Raise InvalidRequest, after some chunks, if
    anything but the form's end follows the file; ConnectionError if the client stops sending.
    """
    mark = form.closing[:-2]
    left = form.rest
    held = b""
    while left > 0:
        chunk = source.read(min(_CHUNK, left))
        if not chunk:
            raise ConnectionError("the client stopped sending")
        left -= len(chunk)
        held += chunk
        if left:
            # The end of the form is never given out before it was looked at.
            ready = max(0, len(held) - len(form.closing) - len(b"\r\n"))
            if -1 < held.find(mark) < ready:
                break
            yield held[:ready]
            held = held[ready:]
    end = b"\r\n" if held.endswith(form.closing + b"\r\n") else b""
    size = len(held) - len(form.closing) - len(end)
    if left or not held.endswith(form.closing + end) or held.find(mark) != size:
        raise InvalidRequest("The file must be the form's last field.")
    yield held[:size] + closing + end
