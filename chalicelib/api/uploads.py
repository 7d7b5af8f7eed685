"""`POST /upload_file`, `POST /uploads`: files come in."""

from __future__ import annotations

import re

import msgspec
from chalice import Response

from chalicelib import services
from chalicelib.api import requests
from chalicelib.api.envelopes import job_envelope
from chalicelib.api.routing import Routes
from chalicelib.errors import InvalidRequest
from chalicelib.jobs.job import Job, isoformat
from chalicelib.jobs.submission import Submission, Wishes

routes = Routes(__name__)

_MIME = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w.=\"+-]+)*")
_MAX_NAME = 1024


class UploadFile(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /upload_file`."""

    filename: str
    # The file's bytes in base64.
    content: str
    # Opens an encrypted file.
    password: str | None = None


class CreateUpload(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /uploads`."""

    filename: str
    # Size of the file in bytes; the form takes no more than this.
    size: int
    content_type: str = "application/octet-stream"
    password: str | None = None


@routes.route("/upload_file", methods=["POST"])
def upload_file() -> Response:
    """Take a small file in the body; answer with its job."""
    given = requests.body(routes.current_request, UploadFile)
    job = _submission().inline(
        _name(given.filename), requests.decode_base64(given.content), Wishes(password=given.password)
    )
    return _accepted(job)


@routes.route("/uploads", methods=["POST"])
def create_upload() -> Response:
    """Answer with a job that waits for its file and a form to post the file with."""
    given = requests.body(routes.current_request, CreateUpload)
    if given.size < 1:
        raise InvalidRequest(
            "size is the file's size in bytes; an empty file can't be uploaded.", field="size"
        )
    if not _MIME.fullmatch(given.content_type):
        raise InvalidRequest("content_type is a MIME type such as text/plain.", field="content_type")
    upload = _submission().upload(
        _name(given.filename),
        given.size,
        content_type=given.content_type,
        wishes=Wishes(password=given.password),
    )
    form = {
        "url": requests.bucket_url(routes.current_request, upload.form.url),
        "fields": upload.form.fields,
        "max_bytes": given.size,
        "expires_at": isoformat(upload.expires_at),
    }
    return _accepted(upload.job, upload=form)


def _submission() -> Submission:
    return Submission(services.table(), services.queues(), services.objects(), owner=routes.owner)


def _name(filename: str) -> str:
    if not filename.strip():
        raise InvalidRequest("filename is empty.", field="filename")
    if len(filename) > _MAX_NAME:
        raise InvalidRequest(f"filename has more than {_MAX_NAME} characters.", field="filename")
    return filename


def _accepted(job: Job, **more: object) -> Response:
    location = f"{requests.base_path(routes.current_request)}/jobs/{job.job_id}/status"
    return Response(
        body={**job_envelope(job), "status_url": location, **more},
        status_code=202,
        headers={"Location": location, "Retry-After": "1", "Content-Type": "application/json"},
    )
