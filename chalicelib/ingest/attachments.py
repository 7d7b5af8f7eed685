"""What hangs on a message, read by the parser of its kind, within limits for the message as a whole."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Final, cast

from chalicelib.errors import PermanentError
from chalicelib.ingest.content import HEAD_BYTES, sniff
from chalicelib.ingest.document import Extracted, Source
from chalicelib.ingest.filename import safe_filename
from chalicelib.ingest.formats import FORMATS
from chalicelib.ingest.markdown import Blocks, heading

MB: Final = 1024 * 1024
# Messages in messages.
MAX_DEPTH: Final = 5
MAX_COUNT: Final = 200
MAX_BYTES: Final = 200 * MB
# Warnings beyond this are summed up.
_MAX_WARNINGS: Final = 20


class _Budget:
    """What the outermost message may still spend."""

    def __init__(self) -> None:
        self.depth = 0
        self.count = MAX_COUNT
        self.bytes = MAX_BYTES


_budget: ContextVar[_Budget | None] = ContextVar("attachments", default=None)


@contextmanager
def message() -> Iterator[bool]:
    """Enter a message; yield whether what hangs on it is still to be read (False: nested too deeply)."""
    budget = _budget.get()
    token = None
    if budget is None:
        budget = _Budget()
        token = _budget.set(budget)
    budget.depth += 1
    try:
        yield budget.depth <= MAX_DEPTH
    finally:
        budget.depth -= 1
        if token is not None:
            _budget.reset(token)


class Attachments:
    """The attachments of one message: those that can be read go into its text, the others into its warnings."""

    def __init__(self, source: Source, blocks: Blocks, *, readable: bool) -> None:
        self._source = source
        self._blocks = blocks
        self._readable = readable
        self._warnings: list[str] = []

    def add(self, name: str, data: bytes) -> None:
        """Append what the attachment says under a heading, or a warning that names it."""
        name = safe_filename(name)
        try:
            refusal = self._refusal(data)
            found = None if refusal else self._read(name, data)
        except PermanentError as error:
            refusal, found = error.message, None
        if found is None or not found.text.strip():
            self._warnings.append(
                f"The attachment {name!r} was not read: {refusal or 'there is no text in it.'}"
            )
            return
        self.append(name, found.text, found.warnings)

    def append(self, name: str, text: str, warnings: tuple[str, ...] = ()) -> None:
        """Append an attachment that was read."""
        self._blocks.add(heading(2, f"Attachment: {name}"))
        self._blocks.add(text)
        self._warnings += [f"Attachment {name!r}: {warning}" for warning in warnings]

    def warnings(self) -> tuple[str, ...]:
        """Return a sentence for each attachment that was not read, and what was said about the others."""
        more = len(self._warnings) - _MAX_WARNINGS
        rest = (f"… and {more} more about attachments.",) if more > 0 else ()
        return (*self._warnings[:_MAX_WARNINGS], *rest)

    def _refusal(self, data: bytes) -> str:
        budget = _budget.get()
        if budget is None or not self._readable:
            return f"messages in messages are read {MAX_DEPTH} deep."
        budget.count -= 1
        budget.bytes -= len(data)
        if budget.count < 0:
            return f"the limit is {MAX_COUNT} attachments."
        if budget.bytes < 0:
            return f"the limit is {MAX_BYTES // MB} MB of attachments."
        return ""

    def _read(self, name: str, data: bytes) -> Extracted:
        content = sniff(data[:HEAD_BYTES], filename=name, size=len(data))
        row = FORMATS[content.kind]
        if row.parser is None:
            raise _not_read(row.label)
        module, _, function = row.parser.partition(":")
        parse = getattr(importlib.import_module(module), function)
        # In the sandbox this is the child's private folder, which the caller removes.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "attachment"
            path.write_bytes(data)
            source = Source(
                path=str(path),
                filename=name,
                kind=content.kind,
                language=content.language,
                password=self._source.password,
                max_pages=self._source.max_pages,
            )
            return cast(Extracted, parse(source))


def _not_read(label: str) -> PermanentError:
    return PermanentError(f"it is {label}; submit it by itself.")
