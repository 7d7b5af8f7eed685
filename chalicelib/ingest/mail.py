"""E-mails (RFC 5322 and MIME) by the standard library: head, text and attachments."""

from __future__ import annotations

import contextlib
import email
import email.utils
from collections.abc import Iterator
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path
from typing import Final

from chalicelib.errors import BrokenFile, TooLarge
from chalicelib.ingest import hypertext
from chalicelib.ingest.attachments import Attachments, message
from chalicelib.ingest.document import Extracted, ProgressCallback, Source, ignore_progress
from chalicelib.ingest.filename import stem
from chalicelib.ingest.markdown import Blocks, heading, squeeze, tidy
from chalicelib.ingest.text import MAX_TITLE_CHARACTERS, clean, decode

MB: Final = 1024 * 1024
# The standard library holds a message in memory, three times over while it decodes.
MAX_MESSAGE_BYTES: Final = 100 * MB
_HEAD: Final = ("From", "To", "Cc", "Date")
_MAX_HEADER_CHARACTERS: Final = 500
# Of a header, in characters as they are sent: the standard library's time to decode one grows with its square.
_MAX_RAW_HEADER: Final = 20_000


def parse(source: Source, *, on_progress: ProgressCallback = ignore_progress) -> Extracted:
    """Read an e-mail; progress has one step. Raise TooLarge (100 MB) or BrokenFile (nested without end)."""
    path = Path(source.path)
    if path.stat().st_size > MAX_MESSAGE_BYTES:
        limit = MAX_MESSAGE_BYTES // MB
        raise TooLarge(f"E-mails are read up to {limit} MB.", limit_mb=limit)
    try:
        extracted = _read(email.message_from_bytes(path.read_bytes()), source)
    except RecursionError:
        raise BrokenFile("The e-mail's parts are nested too deeply.") from None
    on_progress(1, 1, "read")
    return extracted


def letter(subject: str, head: dict[str, str], body: str) -> Blocks:
    """Return the start of a message's text: its subject as a heading, a short head, the body."""
    blocks = Blocks()
    blocks.add(heading(1, subject))
    blocks.add("\n".join(f"{name}: {value}" for name, value in head.items() if value))
    blocks.add(body)
    return blocks


def _read(mail: Message, source: Source) -> Extracted:
    subject = squeeze(_header(mail, "Subject"))
    head = {name: _header(mail, name)[:_MAX_HEADER_CHARACTERS] for name in _HEAD}
    head["Date"] = _date(head["Date"])
    with message() as readable:
        parts = _Parts(mail)
        blocks = letter(subject, head, "\n\n".join(filter(None, parts.texts)))
        attachments = Attachments(source, blocks, readable=readable)
        for part in parts.attached:
            _attach(part, attachments, source, readable=readable)
    metadata = {"subject": subject, **{name.lower(): value for name, value in head.items()}}
    return Extracted(
        text=blocks.text(),
        title=subject[:MAX_TITLE_CHARACTERS] or stem(source.filename),
        source_type="email",
        metadata={key: value for key, value in metadata.items() if value},
        warnings=attachments.warnings(),
    )


def _attach(part: Message, attachments: Attachments, source: Source, *, readable: bool) -> None:
    if part.get_content_type() == "message/rfc822" and readable:
        inner = part.get_payload(0) if part.is_multipart() else None
        if isinstance(inner, Message):
            found = _read(inner, source)
            attachments.append(_filename(part) or found.title, found.text, found.warnings)
        return
    attachments.add(_filename(part) or _nameless(part), _payload(part))


class _Parts:
    """The texts and attachments of a message, in order."""

    def __init__(self, mail: Message) -> None:
        # What is read as the message itself.
        self.texts: list[str] = []
        self.attached: list[Message] = []
        self._add(mail)

    def _add(self, part: Message) -> None:
        kind = part.get_content_type()
        if kind == "multipart/alternative":
            self._add_best(list(_children(part)))
        elif part.is_multipart() and kind != "message/rfc822":
            for item in _children(part):
                self._add(item)
        elif kind in ("text/plain", "text/html") and not _is_attachment(part):
            self.texts.append(_text(part))
        elif kind not in (
            "message/delivery-status",
            "application/pgp-signature",
            "application/pkcs7-signature",
        ):
            self.attached.append(part)

    def _add_best(self, choices: list[Message]) -> None:
        """Take plain text unless it is blank, else the richest that there is (RFC 2046, 5.1.4: the last)."""
        plain = (part for part in choices if part.get_content_type() == "text/plain")
        best = next((part for part in plain if _text(part)), choices[-1] if choices else None)
        if best is not None:
            self._add(best)


def _children(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (item for item in payload if isinstance(item, Message))


def _is_attachment(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_filename() is not None


def _payload(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _text(part: Message) -> str:
    data = _payload(part)
    if part.get_content_type() == "text/html":
        page = _decoded(data, part) or hypertext.decoded(data)[0]
        return hypertext.markdown(hypertext.tree(page)) if page.strip() else ""
    return tidy(clean(_decoded(data, part) or decode(data)[0])).strip()


def _decoded(data: bytes, part: Message) -> str:
    """Return the text in the charset that the part states, or "" when it states none or a wrong one."""
    try:
        return data.decode(part.get_content_charset() or "utf-8")
    except (LookupError, UnicodeError):
        return ""


def _header(mail: Message, name: str) -> str:
    """Return a header's text, decoded (RFC 2047); as it stands when it is malformed."""
    return clean(_unfolded(mail.get(name, ""))).strip()


def _unfolded(value: object) -> str:
    text = str(value)[:_MAX_RAW_HEADER]
    # Malformed: it stays as it is.
    with contextlib.suppress(MessageError, LookupError, ValueError):
        text = str(make_header(decode_header(text)))
    return squeeze(text)


def _filename(part: Message) -> str:
    return _unfolded(part.get_filename() or "")


def _nameless(part: Message) -> str:
    return f"unnamed.{part.get_content_subtype()}"


def _date(stated: str) -> str:
    """Return a date header as ISO 8601; as it stands when it is none."""
    try:
        return email.utils.parsedate_to_datetime(stated).isoformat(sep=" ") if stated else ""
    except (ValueError, OverflowError):
        return stated
