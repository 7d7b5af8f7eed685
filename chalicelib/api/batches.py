"""`POST /upload_batch`, `POST /upload_batch_urls`, `GET` and `DELETE /batches/{batch_id}`: many at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from chalice import Response
from msgspec import Meta

from chalicelib import services
from chalicelib.api import answers, requests, submissions
from chalicelib.api.contract import Answer, Contract, ok
from chalicelib.api.envelopes import batch_envelope, retry_after
from chalicelib.api.jobs import control
from chalicelib.api.routing import Routes
from chalicelib.api.submissions import FileWish, Wish, submission, submits, wishes
from chalicelib.api.uploads import UploadFile
from chalicelib.errors import InvalidRequest, SyncBoardError
from chalicelib.jobs.batches import MAX_ITEMS, Batch, Batches
from chalicelib.jobs.idempotency import NewId
from chalicelib.jobs.job import Job, now_ms
from chalicelib.jobs.search import lifetime
from chalicelib.jobs.submission import Submission, Wishes

routes = Routes(__name__)

# Of an item's name in an answer, in characters.
_MAX_NAME = 300

# For openapi.json: what `_submit` checks.
_ITEMS: Final = {"minItems": 1, "maxItems": MAX_ITEMS}

# Makes the job of one item, as it came, with the wishes of the whole batch; raises what is wrong with it.
Take = Callable[[Submission, Any, Wishes], Job]


class UploadBatch(Wish, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /upload_batch`. Each file is a body of `POST /upload_file`, and read by itself."""

    # 1 to 100, each as in the body of `POST /upload_file`.
    files: Annotated[
        list[Any], Meta(examples=[[{"filename": "a.md", "content": "IyBB"}]], extra_json_schema=_ITEMS)
    ]


class UploadBatchLinks(FileWish, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /upload_batch_urls`. Each link is a text, and read by itself."""

    # 1 to 100 links.
    urls: Annotated[
        list[Any],
        Meta(examples=[["https://example.com/a", "https://example.com/b"]], extra_json_schema=_ITEMS),
    ]


@routes.route(
    "/upload_batch", methods=["POST"], contract=submits("Submit", UploadBatch, answers.AcceptedBatch)
)
def upload_batch() -> Response:
    """Take up to 100 small files; answer with their jobs, and with what is wrong with the others."""
    given = requests.body(routes.current_request, UploadBatch)
    return _submit(given, "filename", given.files, _take_file)


@routes.route(
    "/upload_batch_urls",
    methods=["POST"],
    contract=submits("Submit", UploadBatchLinks, answers.AcceptedBatch),
)
def upload_batch_links() -> Response:
    """Take up to 100 links; answer with their jobs, and with what is wrong with the others."""
    given = requests.body(routes.current_request, UploadBatchLinks)
    return _submit(given, "url", given.urls, _take_link)


@routes.route(
    "/batches/{batch_id}",
    methods=["GET"],
    contract=ok("Follow", answers.BatchStatus, may_have=("Retry-After",)),
)
def get_batch(batch_id: str) -> Response:
    """Answer with a batch's progress in one figure, its counts and its jobs."""
    batches = Batches(services.table(), routes.owner)
    batch = batches.require(batch_id)
    standing = batches.standing(batch)
    headers = {"Content-Type": "application/json", "Cache-Control": "no-cache"}
    if seconds := [retry_after(job) for job in standing.jobs if retry_after(job)]:
        headers["Retry-After"] = str(min(seconds))
    return Response(body=batch_envelope(batch, standing), headers=headers)


@routes.route(
    "/batches/{batch_id}",
    methods=["DELETE"],
    contract=Contract(
        tag="Steer",
        answers={200: Answer(shape=answers.CancelledBatch), 202: Answer(shape=answers.CancelledBatch)},
    ),
)
def cancel_batch(batch_id: str) -> Response:
    """Cancel what has not ended; say how many. 202 while some are still stopping."""
    batches = Batches(services.table(), routes.owner)
    done = batches.cancel(batches.require(batch_id), control())
    return Response(
        body={"batch_id": batch_id, **msgspec.to_builtins(done)}, status_code=202 if done.stopping else 200
    )


def _submit(given: Wish, label: str, items: list[Any], take: Take) -> Response:
    """Write the batch's row with the ids that its jobs will have, then the jobs, then what was refused."""
    if not 1 <= len(items) <= MAX_ITEMS:
        raise InvalidRequest(
            f"A batch has 1 to {MAX_ITEMS} items; this one has {len(items)}.", limit=MAX_ITEMS
        )
    request, owner = routes.current_request, routes.owner
    wished = wishes(given, owner)
    batch = _planned(owner, submissions.ids(request, owner), len(items))
    batches = Batches(services.table(), owner)
    batches.save(batch)
    wished = msgspec.structs.replace(wished, batch_id=batch.batch_id)
    jobs, errors = _take_all(batch, items, label, lambda to, item: take(to, item, wished))
    if errors:
        batches.save(
            msgspec.structs.replace(batch, job_ids=[entry["job_id"] for entry in jobs], errors=errors)
        )
    location = f"{requests.base_path(request)}/batches/{batch.batch_id}"
    return Response(
        body={"batch_id": batch.batch_id, "jobs": jobs, "errors": errors, "batch_url": location},
        status_code=202,
        headers={"Location": location, "Retry-After": "1", "Content-Type": "application/json"},
    )


def _planned(owner: str, ids: NewId, number: int) -> Batch:
    now = now_ms()
    return Batch(
        batch_id=ids(),
        owner=owner,
        job_ids=[ids() for _ in range(number)],
        created_at=now,
        expires_at=lifetime(now),
    )


def _take_all(
    batch: Batch, items: list[Any], label: str, take: Callable[[Submission, Any], Job]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Make each item's job; return the jobs, and what is wrong with the other items."""
    jobs: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for index, (job_id, item) in enumerate(zip(batch.job_ids, items, strict=True)):
        named = {label: _name(item)}
        try:
            job = take(submission(batch.owner, partial(str, job_id)), item)
        except SyncBoardError as error:
            errors.append({"index": index, **named, "error": error.as_dict()})
        else:
            jobs.append({**named, "job_id": job.job_id})
    return jobs, errors


def _take_file(to: Submission, item: Any, wished: Wishes) -> Job:
    given = requests.part(item, UploadFile)
    own = msgspec.structs.replace(
        wished,
        password=given.password,
        force=given.force or wished.force,
        webhook=wished.webhook if given.webhook is None else requests.webhook(given.webhook),
    )
    return to.inline(submissions.filename(given.filename), requests.decode_base64(given.content), own)


def _take_link(to: Submission, item: Any, wished: Wishes) -> Job:
    if not isinstance(item, str):
        raise InvalidRequest("A link is a text.")
    return to.link(requests.link(item), wished)


def _name(item: Any) -> str | None:
    """Return what an item calls itself, as far as that can be told."""
    name = item.get("filename") if isinstance(item, dict) else item
    return name[:_MAX_NAME] if isinstance(name, str) else None
