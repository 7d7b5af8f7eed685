"""The bucket through the API's own port: signed forms in, signed links out, nothing else.

Nothing that a client wrote goes on as it is. A request is taken apart, checked, and written anew from the parts that
passed: the emulator behind it believes everything, and whoever reaches all of it can do all that it can do.
"""

from __future__ import annotations

import http.client
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final
from urllib.parse import SplitResult, urlsplit

from chalicelib import settings
from chalicelib.errors import NotFound, TooLarge, Unavailable
from chalicelib.settings import MB
from local import forms, signatures
from local.framing import Forbidden

# Names that the service gives: no percent signs, no dots that mean a folder.
_TEXT_KEY: Final = re.compile(r"texts(/\w[\w.-]{0,127}){2,6}", re.ASCII)
_UPLOAD_KEY: Final = re.compile(r"uploads(/\w[\w.-]{0,127}){2}", re.ASCII)
_ANSWER_SECONDS: Final = 120.0

Answers = Iterator[http.client.HTTPResponse]


@contextmanager
def get_object(target: str) -> Answers:
    """Answer a presigned link; `target` begins with the bucket. Raise NotFound, Forbidden, Unavailable."""
    path, _, query = target.partition("?")
    bucket, _, key = path.partition("/")
    if bucket != settings.get().bucket or not _TEXT_KEY.fullmatch(key):
        raise NotFound("There is no such address.")
    url = signatures.signed_link(f"{_endpoint()}/{bucket}/{key}", query)
    with _exchange("GET", urlsplit(url), {}, ()) as answer:
        yield answer


@contextmanager
def post_form(
    target: str, content_type: str, length: int, source: BinaryIO, on_signed: Callable[[], None]
) -> Answers:
    """Pass a presigned form on. Call `on_signed` when its signature is good and the file is about to come.

    Raise NotFound, InvalidRequest, TooLarge, Forbidden, Unavailable.
    """
    bucket = settings.get().bucket
    if target != bucket:
        raise NotFound("There is no such address.")
    limit = settings.get().max_upload_bytes
    if length > limit + forms.FIELDS_LIMIT_BYTES:
        raise TooLarge(f"A file may have at most {limit // MB} MB here.", limit_bytes=limit)
    form = forms.read_form(source, content_type, length)
    if not _UPLOAD_KEY.fullmatch(form.fields["key"]):
        raise Forbidden("The form is not for an upload.")
    fields = signatures.signed_fields(form.fields, bucket)
    on_signed()
    boundary = secrets.token_hex(24)
    head, closing = _head(fields, boundary), f"\r\n--{boundary}--".encode()
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(head) + form.rest - len(form.closing) + len(closing)),
    }

    def body() -> Iterator[bytes]:
        yield head
        yield from forms.file_chunks(source, form, closing)

    with _exchange("POST", urlsplit(f"{_endpoint()}/{bucket}"), headers, body()) as answer:
        yield answer


def _head(fields: dict[str, str], boundary: str) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\n')
    return "".join(parts).encode()


def _endpoint() -> str:
    return (settings.get().endpoint_url or "").rstrip("/")


@contextmanager
def _exchange(method: str, url: SplitResult, headers: dict[str, str], body: Iterable[bytes]) -> Answers:
    """Send a request to the emulator; whatever fails on that side is Unavailable."""
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=_ANSWER_SECONDS)
    try:
        with _emulator_errors():
            connection.putrequest(method, f"{url.path}?{url.query}" if url.query else url.path)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
        for chunk in body:
            with _emulator_errors():
                connection.send(chunk)
        with _emulator_errors():
            answer = connection.getresponse()
        yield answer
    finally:
        # An unfinished form is dropped with its connection: nothing of it is stored.
        connection.close()


@contextmanager
def _emulator_errors() -> Iterator[None]:
    try:
        yield
    except (http.client.HTTPException, OSError) as error:
        raise Unavailable("The storage does not answer.") from error
