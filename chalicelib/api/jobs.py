"""`/jobs`: how jobs stand and how they came to it; cancelled, retried, submitted by task."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from chalice import Response
from msgspec import Meta

from chalicelib import services
from chalicelib.api import answers, queries, requests, submissions
from chalicelib.api.contract import IDEMPOTENCY_KEY, Answer, Contract, ok
from chalicelib.api.envelopes import etag, job_details, job_envelope, retry_after
from chalicelib.api.preparing import as_shown
from chalicelib.api.routing import Routes
from chalicelib.api.submissions import ACCEPTED, Wish, accepted, submission, submits, wishes
from chalicelib.errors import InvalidRequest
from chalicelib.jobs.control import Control
from chalicelib.jobs.ending import Ending
from chalicelib.jobs.history import History
from chalicelib.jobs.retries import Retries
from chalicelib.jobs.states import State
from chalicelib.jobs.store import JobStore
from chalicelib.tasks.registry import TASKS

routes = Routes(__name__)

_MAX_PARAMS_BYTES = 16 * 1024


class SubmitTask(Wish, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /jobs`."""

    # A task that may be asked for by name.
    task: Annotated[str, Meta(examples=["noop"])]
    # What the task takes.
    params: dict[str, Any] = msgspec.field(default_factory=dict)


class RetryOne(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /jobs/{id}/retry`."""

    # Opens an encrypted file; else the one of the submission is tried again.
    password: str | None = None


class RetryMany(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /jobs/retry`: the parameters of `GET /jobs`."""

    # Only failed jobs can be retried.
    state: Annotated[str, Meta(extra_json_schema={"enum": ["FAILURE"]}, examples=["FAILURE"])]
    task: str | None = None
    queue: str | None = None
    since: str | None = None
    until: str | None = None
    q: str | None = None
    batch: str | None = None
    # Jobs, at most.
    limit: Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": requests.MAX_PAGE})] = (
        requests.MAX_PAGE
    )
    cursor: str | None = None


@routes.route(
    "/jobs", methods=["GET"], contract=ok("Follow", answers.JobPage, query=queries.Jobs, fails=(404,))
)
def list_jobs() -> dict[str, Any]:
    """Answer with the caller's jobs that the parameters choose, newest first."""
    given = requests.parameters(routes.current_request, *requests.FILTERS, "limit", "cursor")
    wanted = requests.job_filter(given)
    scope = requests.jobs_scope(routes.owner, wanted)
    page = History(services.table(), routes.owner).page(
        wanted, limit=requests.limit(given), after=requests.decode_cursor(scope, given.get("cursor"))
    )
    return {
        "jobs": [job_envelope(as_shown(job)) for job in page.jobs],
        "next_cursor": requests.encode_cursor(scope, page.last),
    }


@routes.route("/jobs", methods=["POST"], contract=submits("Submit", SubmitTask))
def submit_task() -> Response:
    """Take a task that may be asked for by name; answer with its job."""
    request, owner = routes.current_request, routes.owner
    given = requests.body(request, SubmitTask)
    known = [name for name, task in TASKS.items() if task.submittable]
    if given.task not in known:
        raise InvalidRequest(
            f"There is no task {given.task!r:.100} to submit; there are: {', '.join(known)}.", field="task"
        )
    requests.check_depth(given.params, "params")
    if len(msgspec.json.encode(given.params)) > _MAX_PARAMS_BYTES:
        raise InvalidRequest(f"params has more than {_MAX_PARAMS_BYTES:,} bytes.", field="params")
    wished = wishes(given, owner)
    source = submissions.ids(request, owner)
    return accepted(request, submission(owner, source).task(given.task, params=given.params, wishes=wished))


@routes.route(
    "/jobs/retry",
    methods=["POST"],
    contract=Contract(
        tag="Steer",
        body=RetryMany,
        headers=(IDEMPOTENCY_KEY,),
        answers={200: Answer(shape=answers.RetriedJobs)},
        fails=(404, 409),
    ),
)
def retry_jobs() -> dict[str, Any]:
    """Start over the caller's failed jobs that the body chooses, newest first, at most 100 at a time."""
    request, owner = routes.current_request, routes.owner
    given = requests.body(request, RetryMany)
    if given.state != State.FAILURE:
        raise InvalidRequest("state must be FAILURE: only failed jobs can be retried.", field="state")
    if not 1 <= given.limit <= requests.MAX_PAGE:
        raise InvalidRequest(f"limit is a whole number from 1 to {requests.MAX_PAGE}.", field="limit")
    wanted = requests.job_filter(msgspec.to_builtins(given))
    scope = requests.jobs_scope(owner, wanted)
    after = requests.decode_cursor(scope, given.cursor)
    retries = Retries(services.table(), control(), owner, request=submissions.request_id(request, owner))
    done = retries.many(lambda: History(services.table(), owner).page(wanted, limit=given.limit, after=after))
    return {
        "retried": done.retried,
        "errors": done.errors,
        "next_cursor": requests.encode_cursor(scope, done.last),
    }


@routes.route("/jobs/{job_id}", methods=["GET"], contract=ok("Follow", answers.JobDetails))
def get_job(job_id: str) -> dict[str, Any]:
    """Answer with everything that is told of one job."""
    return job_details(as_shown(JobStore(services.table()).require(job_id, routes.owner)))


@routes.route(
    "/jobs/{job_id}",
    methods=["DELETE"],
    contract=Contract(
        tag="Steer", answers={200: Answer(shape=answers.JobStatus), 202: ACCEPTED}, fails=(409,)
    ),
)
def cancel_job(job_id: str) -> Response:
    """Cancel a job: 200 if it has ended so, 202 if its run was asked to stop, 409 if it had ended before."""
    job = control().cancel(JobStore(services.table()).require(job_id, routes.owner))
    if job.state is State.REVOKED:
        return Response(body=job_envelope(job))
    return accepted(routes.current_request, job)


@routes.route(
    "/jobs/{job_id}/retry",
    methods=["POST"],
    contract=Contract(
        tag="Steer",
        body=RetryOne,
        body_optional=True,
        headers=(IDEMPOTENCY_KEY,),
        answers={202: ACCEPTED},
        fails=(409, 429),
    ),
)
def retry_job(job_id: str) -> Response:
    """Start a failed job over, with a password if its file wants one; 409 for any other."""
    request, owner = routes.current_request, routes.owner
    given = requests.body(request, RetryOne) if request.raw_body else RetryOne()
    job = JobStore(services.table()).require(job_id, owner)
    retries = Retries(services.table(), control(), owner, request=submissions.request_id(request, owner))
    return accepted(request, retries.one(job, password=given.password))


@routes.route(
    "/jobs/{job_id}/status",
    methods=["GET"],
    contract=Contract(
        tag="Follow",
        headers=("If-None-Match",),
        answers={
            200: Answer(shape=answers.JobStatus, headers=("ETag",), may_have=("Retry-After",)),
            304: Answer(headers=("ETag",), may_have=("Retry-After",)),
        },
    ),
)
def job_status(job_id: str) -> Response:
    """Answer with one job's state, progress and result; 304 where nothing changed."""
    job = as_shown(JobStore(services.table()).require(job_id, routes.owner))
    headers = {"ETag": etag(job), "Content-Type": "application/json", "Cache-Control": "no-cache"}
    seconds = retry_after(job)
    if seconds:
        headers["Retry-After"] = str(seconds)
    if routes.current_request.headers.get("if-none-match") == headers["ETag"]:
        return Response(body="", status_code=304, headers=headers)
    return Response(body=job_envelope(job), headers=headers)


def control() -> Control:
    """Return what cancels and retries jobs."""
    ending = Ending(services.table(), services.queues(), services.objects())
    return Control(services.table(), services.queues(), ending)
