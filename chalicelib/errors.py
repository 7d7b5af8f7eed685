"""One exception tree. The type says whether a retry can help; the message says what to do about it.

Every error that a user can meet is one of these. Its `type` is part of the API and never changes.
"""

from __future__ import annotations

from typing import Any, ClassVar


class SyncBoardError(Exception):
    """Base of all errors with a meaning for the user.

    `details` are extra keys for the JSON error (numbers and strings only): a limit, an address to use instead.
    """

    type: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def as_dict(self) -> dict[str, Any]:
        """Return the value of `error` in an API answer and on a failed job."""
        return {"type": self.type, "message": self.message, "retryable": self.retryable, **self.details}


# --- Permanent: the same input fails again -----------------------------------------------------------------


class PermanentError(SyncBoardError):
    """The same input would fail again: FAILURE at once, no retry."""

    type = "permanent_error"
    status = 422


class InvalidRequest(PermanentError):
    """The request is not what the route takes: wrong JSON, an unknown field, a value out of range."""

    type = "invalid_request"
    status = 400


class Unauthorized(PermanentError):
    """The bearer token is missing, expired, forged or for somebody else."""

    type = "unauthorized"
    status = 401


class NotFound(PermanentError):
    """No such thing, or not yours: both answer alike."""

    type = "not_found"
    status = 404


class MethodNotAllowed(PermanentError):
    """The address exists, but not with this method."""

    type = "method_not_allowed"
    status = 405


class Conflict(PermanentError):
    """The thing is in a state in which this can't be done."""

    type = "conflict"
    status = 409


class TooLarge(PermanentError):
    """Over a limit; the message names the limit and, where there is one, the way round it."""

    type = "too_large"
    status = 413


class UnsupportedType(PermanentError):
    """The bytes are of a kind that nothing here can read."""

    type = "unsupported_type"
    status = 415


class EmptyFile(PermanentError):
    """There is nothing in the file, or no text in it."""

    type = "empty_file"


class BrokenFile(PermanentError):
    """The file is damaged, or is not what it says it is."""

    type = "broken_file"


class NothingRead(PermanentError):
    """Not one of an archive's files could be read; the message gives the first one's reason."""

    type = "nothing_read"


class NoSound(PermanentError):
    """The recording or film has no audio track, or nobody speaks in it."""

    type = "no_speech"


class SourceBlocked(PermanentError):
    """The site of a link does not serve machines like this one (it wants a person, a cookie, another address)."""

    type = "source_blocked"


class NeedsLogin(PermanentError):
    """What the link names is for members or grown-ups only."""

    type = "needs_login"


class TooLong(PermanentError):
    """A recording, film or playlist over the limit; the message names it."""

    type = "too_long"
    status = 413


class PasswordRequired(PermanentError):
    """The file is encrypted and no (or a wrong) password was given."""

    type = "password_required"


class ParserCrashed(PermanentError):
    """The file made its parser crash or outgrow its limits; the worker lives on."""

    type = "parser_crashed"


class SoftTimeLimit(PermanentError):
    """The work outlived its soft limit and was told to stop."""

    type = "soft_time_limit"


class HardTimeLimit(PermanentError):
    """The work outlived its hard limit and was killed."""

    type = "hard_time_limit"


class WorkerLost(PermanentError):
    """Every attempt's process died at work (killed, out of memory, machine gone)."""

    type = "worker_lost"


class DeadLetter(PermanentError):
    """The job's message was received again and again and no run came of it: SQS gave it up."""

    type = "dead_letter"


class AttemptsExhausted(PermanentError):
    """A transient error came back on every attempt."""

    type = "attempts_exhausted"


class UploadMissing(PermanentError):
    """The upload that the job waits for never came, or is gone."""

    type = "upload_missing"


class UnsupportedUrl(PermanentError):
    """The link is none that can be followed: not http or https, no host, a password in it."""

    type = "unsupported_url"


class BlockedAddress(PermanentError):
    """A link, or what it redirects to, leads to an address that this service never connects to."""

    type = "blocked_address"


class SourceNotFound(PermanentError):
    """What the link names is not there (404 or 410)."""

    type = "source_not_found"


class SourceRefused(PermanentError):
    """The server of a link does not give it out: it wants a login, forbids it, or redirects without end."""

    type = "source_refused"


class InsecureConnection(PermanentError):
    """The certificate of the server that a link or webhook names does not prove that it is that server."""

    type = "insecure_connection"


class WebhookRefused(PermanentError):
    """The receiver of a webhook answered that it does not want it (a redirect, or 4xx)."""

    type = "webhook_refused"


class Cancelled(PermanentError):
    """The job was cancelled by its owner. Raised inside the work to stop it."""

    type = "cancelled"


# --- Transient: the same input may succeed later ------------------------------------------------------------


class TransientError(SyncBoardError):
    """A later attempt may succeed: RETRY with backoff."""

    type = "transient_error"
    status = 503
    retryable = True


class Unavailable(TransientError):
    """A service that this one needs (queue, table, bucket) does not answer or throttles."""

    type = "unavailable"


class Unreachable(TransientError):
    """The server that a link or webhook names does not answer, or answers that it can't just now."""

    type = "unreachable"


class TooManyRequests(TransientError):
    """The caller has more waiting than one owner may have; come back later."""

    type = "too_many_requests"
    status = 429


class RetryAfter(TransientError):
    """Not now, but then: the job is deferred and no attempt is spent."""

    type = "retry_after"

    def __init__(self, message: str, seconds: float, **details: Any) -> None:
        super().__init__(message, **details)
        self.seconds = seconds


class HandOver(TransientError):
    """No end at all: the job goes on in the queue `queue`, in the same attempt (a scan goes to text recognition).

    Raised inside the work; `message` says what happens next.
    """

    type = "hand_over"

    def __init__(self, message: str, *, queue: str) -> None:
        super().__init__(message, queue=queue)
        self.queue = queue


# --- Never shown to a user ----------------------------------------------------------------------------------


class ModelBusy(TransientError):
    """The language model does not answer just now; the message says why in a few words.

    What was asked of it is then done without it, and a warning says so.
    """

    type = "model_busy"


class ModelRefused(PermanentError):
    """The language model will not answer until somebody changes something: access, its name, the settings."""

    type = "model_refused"


class ModelUnclear(PermanentError):
    """The language model answered, and the answer is not what was asked for."""

    type = "model_unclear"


class StaleRun(SyncBoardError):
    """This run no longer holds its job (lease lost, job cancelled or finished elsewhere): stop, write nothing.

    Never shown to a user: the run that does hold the job says how it ended.
    """

    type = "stale_run"
