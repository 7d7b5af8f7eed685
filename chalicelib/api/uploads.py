"""`POST /upload_file`, `POST /upload_image`, `POST /uploads`, `POST /upload`: files and links come in."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from chalice import Response
from msgspec import Meta

from chalicelib.api import answers, requests, submissions
from chalicelib.api.routing import Routes
from chalicelib.api.submissions import FileWish, accepted, submission, submits, wishes
from chalicelib.errors import InvalidRequest
from chalicelib.jobs.job import isoformat

routes = Routes(__name__)

_MAX_DESCRIPTION: Final = 5_000
_MIME = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w.=\"+-]+)*")


class UploadFile(FileWish, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /upload_file`."""

    # Up to 1,024 characters; folders in it are dropped.
    filename: Annotated[str, Meta(examples=["notes.md"])]
    # The file's bytes in base64.
    content: Annotated[str, Meta(examples=["IyBOb3RlcwoKU29tZSB3b3Jkcy4="])]


class UploadImage(UploadFile, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /upload_image`."""

    # What the picture shows, in the owner's words.
    description: str = ""


class CreateUpload(FileWish, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /uploads`."""

    # Up to 1,024 characters; folders in it are dropped.
    filename: Annotated[str, Meta(examples=["talk.pdf"])]
    # Size of the file in bytes; the form takes no more than this.
    size: Annotated[int, Meta(examples=[734003], extra_json_schema={"minimum": 1})]
    # Media type that the file will be posted with.
    content_type: Annotated[str, Meta(examples=["application/pdf"])] = "application/octet-stream"


class UploadLink(FileWish, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /upload`."""

    # http or https.
    url: Annotated[str, Meta(examples=["https://example.com/article"])]


@routes.route("/upload_file", methods=["POST"], contract=submits("Submit", UploadFile))
def upload_file() -> Response:
    """Take a small file in the body; answer with its job."""
    request, owner = routes.current_request, routes.owner
    given = requests.body(request, UploadFile)
    name, content = submissions.filename(given.filename), requests.decode_base64(given.content)
    wished = wishes(given, owner)
    job = submission(owner, submissions.ids(request, owner)).inline(name, content, wished)
    return accepted(request, job)


@routes.route("/upload_image", methods=["POST"], contract=submits("Submit", UploadImage))
def upload_image() -> Response:
    """Take a small picture in the body, with its description; answer with its job."""
    request, owner = routes.current_request, routes.owner
    given = requests.body(request, UploadImage)
    if len(given.description) > _MAX_DESCRIPTION:
        raise InvalidRequest(f"description has more than {_MAX_DESCRIPTION} characters.", field="description")
    name, content = submissions.filename(given.filename), requests.decode_base64(given.content)
    wished = msgspec.structs.replace(wishes(given, owner), description=given.description.strip())
    job = submission(owner, submissions.ids(request, owner)).inline(name, content, wished)
    return accepted(request, job)


@routes.route("/uploads", methods=["POST"], contract=submits("Submit", CreateUpload, answers.AcceptedUpload))
def create_upload() -> Response:
    """Answer with a job that waits for its file and a form to post the file with."""
    request, owner = routes.current_request, routes.owner
    given = requests.body(request, CreateUpload)
    if given.size < 1:
        raise InvalidRequest(
            "size is the file's size in bytes; an empty file can't be uploaded.", field="size"
        )
    if not _MIME.fullmatch(given.content_type):
        raise InvalidRequest("content_type is a MIME type such as text/plain.", field="content_type")
    name, wished = submissions.filename(given.filename), wishes(given, owner)
    upload = submission(owner, submissions.ids(request, owner)).upload(
        name, given.size, content_type=given.content_type, wishes=wished
    )
    form = {
        "url": requests.bucket_url(request, upload.form.url),
        "fields": upload.form.fields,
        "max_bytes": given.size,
        "expires_at": isoformat(upload.expires_at),
    }
    return accepted(request, upload.job, upload=form)


@routes.route("/upload", methods=["POST"], contract=submits("Submit", UploadLink))
def upload_link() -> Response:
    """Take a link; answer with the job that fetches what it leads to."""
    request, owner = routes.current_request, routes.owner
    given = requests.body(request, UploadLink)
    url, wished = requests.link(given.url), wishes(given, owner)
    return accepted(request, submission(owner, submissions.ids(request, owner)).link(url, wished))
