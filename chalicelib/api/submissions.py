"""What all submissions have in common: their wishes, their ids, their answer."""

from __future__ import annotations

from typing import Final

import msgspec
from chalice import Response
from chalice.app import Request

from chalicelib import services
from chalicelib.api import answers, requests
from chalicelib.api.contract import IDEMPOTENCY_KEY, Answer, Contract
from chalicelib.api.envelopes import job_envelope
from chalicelib.errors import InvalidRequest
from chalicelib.jobs import idempotency
from chalicelib.jobs.idempotency import NewId
from chalicelib.jobs.job import Job, new_id
from chalicelib.jobs.submission import Submission, Wishes
from chalicelib.jobs.webhooks import Webhooks

_MAX_NAME = 1024
_HEADER = IDEMPOTENCY_KEY.lower()
# What `accepted` answers.
ACCEPTED: Final = Answer(shape=answers.AcceptedJob, headers=("Location", "Retry-After"))


class Wish(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Fields that every submission's body may have."""

    # Make a document even of bytes that the owner has one of already.
    force: bool = False
    # Where to report the end; else the owner's default.
    webhook: str | None = None


class FileWish(Wish, forbid_unknown_fields=True, kw_only=True):
    """Fields that a submission of a file or link may have."""

    # Opens an encrypted file.
    password: str | None = None


def submits(
    tag: str,
    body: type[Wish],
    shape: type[msgspec.Struct] = answers.AcceptedJob,
    *,
    body_optional: bool = False,
) -> Contract:
    """Return the contract of a route that takes a submission and answers 202 with its job, or its batch."""
    return Contract(
        tag=tag,
        body=body,
        body_optional=body_optional,
        headers=(IDEMPOTENCY_KEY,),
        answers={202: Answer(shape=shape, headers=("Location", "Retry-After"))},
        fails=(409, 422, 429),
    )


def ids(request: Request, owner: str) -> NewId:
    """Return the source of ids for a request: the same ones when it comes again with its `Idempotency-Key`."""
    return idempotency.claim(
        services.table(),
        owner,
        route=request.path,
        key=request.headers.get(_HEADER),
        body=request.raw_body or b"",
    )


def request_id(request: Request, owner: str) -> str:
    """Return what names a request that may come again; empty for one without a key."""
    source = ids(request, owner)
    return "" if source is new_id else source()


def submission(owner: str, source: NewId) -> Submission:
    """Return what makes an owner's jobs, with ids from `source`."""
    return Submission(services.table(), services.queues(), services.objects(), owner=owner, ids=source)


def wishes(given: Wish, owner: str, *, batch_id: str = "") -> Wishes:
    """Return what a body asks for; raise InvalidRequest for a webhook that is no address."""
    return Wishes(
        password=given.password if isinstance(given, FileWish) else None,
        force=given.force,
        webhook=webhook(given.webhook, owner),
        batch_id=batch_id,
    )


def webhook(given: str | None, owner: str) -> str:
    """Return where to report a job's end: where the request says, else the owner's default, else nowhere."""
    if given is not None:
        return requests.webhook(given)
    default = Webhooks(services.table(), owner).get()
    return default.url if default else ""


def filename(given: str) -> str:
    """Return a file name that a job can have; raise InvalidRequest."""
    if not given.strip():
        raise InvalidRequest("filename is empty.", field="filename")
    if len(given) > _MAX_NAME:
        raise InvalidRequest(f"filename has more than {_MAX_NAME} characters.", field="filename")
    return given


def accepted(request: Request, job: Job, **more: object) -> Response:
    """Answer 202 with a job that is going to be worked on, and where to ask how it stands."""
    location = f"{requests.base_path(request)}/jobs/{job.job_id}/status"
    return Response(
        body={**job_envelope(job), "status_url": location, **more},
        status_code=202,
        headers={"Location": location, "Retry-After": "1", "Content-Type": "application/json"},
    )
