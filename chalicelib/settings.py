"""The settings: the only place that reads the environment.

Every variable starts with `SYNCBOARD_` but the AWS SDK's own. The templates set them on AWS, `local/` on one
machine. A missing one that is needed is an error that names it, at first use.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal

import msgspec

MB: Final = 1024 * 1024

# The queues, in the order in which a worker looks at them. `intake` carries S3 events; the others carry jobs.
QUEUES: Final = ("intake", "uploads", "uploads-ocr", "uploads-media", "analysis", "low_priority")


class SettingsError(RuntimeError):
    """A setting is missing or malformed; the message names the variable."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Typed settings. Sizes in bytes, times in seconds."""

    # Deployment stage; part of every resource's name.
    stage: str = "dev"
    # Where this runs, for people: aws, embedded or localstack. Nothing decides by it.
    place: str = "aws"
    # DynamoDB table that holds jobs, library and counters.
    table: str = ""
    # S3 bucket that holds uploads, texts and large results.
    bucket: str = ""
    # Queue URL by queue name.
    queues: dict[str, str] = {}
    # Address of an emulator instead of AWS (the SDK's own variable), or None.
    endpoint_url: str | None = None
    # Where the JWT secret is: `file:PATH` or `secretsmanager:ARN`. Never the secret itself.
    jwt_secret: str = ""
    # `iss` and `aud` that a token must carry; several audiences by commas.
    jwt_issuer: str = "syncboard"
    jwt_audience: str = "syncboard-api"
    # Where an OpenID Connect provider publishes its keys, or its `…/.well-known/openid-configuration`: the tokens are
    # the provider's then, and the secret is not used. Empty: tokens are signed with the secret.
    jwt_jwks_url: str = ""
    # Path on the API's own port that forwards uploads to the bucket; None: browsers post to S3 itself.
    upload_path: str | None = None
    # Largest file by presigned upload, and by JSON body (after base64).
    max_upload_bytes: int = 2048 * MB
    max_inline_bytes: int = 4 * MB
    # How long a presigned upload may start, and how long a job waits for it.
    upload_seconds: int = 3600
    # A run's lease, on its row and on its message.
    lease_seconds: int = 60
    # Clocks of two machines may differ by this much before a lease is taken over too early.
    clock_skew_seconds: int = 5
    # How long a run may take on a worker, where that is longer than its task's own limit (0: it is not). On Lambda
    # a call ends after 15 minutes all the same.
    run_seconds: float = 0.0
    # Attempts before a transient error becomes FAILURE.
    max_attempts: int = 4
    # First backoff and its cap; doubled at each attempt, with full jitter.
    backoff_seconds: float = 2.0
    backoff_cap_seconds: float = 600.0
    # Jobs of one owner that may be in the queues, that may wait beside them, and that may run (0: no cap).
    max_dispatched: int = 50
    max_waiting: int = 10_000
    max_running: int = 0
    # Addresses inside the own network that links and webhooks may reach: `address:port`, comma-separated.
    network_allow: str | None = None
    # Queues that functions were deployed for, comma-separated; empty: workers say themselves what they can do.
    served_queues: str = ""
    # Memory of the function that works, and prices that differ from jobs.cost.Prices, as JSON: for the cost on jobs.
    function_memory_mb: int = 2048
    prices: str | None = None
    # Finished jobs expire after this (30 days).
    job_ttl_seconds: int = 30 * 24 * 3600
    # Address-space limit of the child process that parses a file.
    parser_memory_bytes: int = 1024 * MB
    # Wall and CPU limit of parsing one file.
    parser_seconds: int = 120
    # PDF pages beyond which a file is refused.
    max_pdf_pages: int = 2000
    # Languages of text in pictures and scans, as Tesseract names its models, joined by "+": eng+deu.
    ocr_languages: str = "eng"
    # Longest recording or film that is transcribed (4 h).
    max_media_seconds: int = 4 * 3600
    # Whisper's model: a name ("base", "small" …) or the path of a folder that holds one.
    whisper_model: str = "base"
    # Folder that models by name are kept in; empty: `~/.cache/syncboard/models`.
    model_folder: str | None = None
    # For sites of films: a proxy (`http://user:password@host:port`, its address allowed by `network_allow` where it
    # is not public), and the path of a file of cookies in Netscape's format.
    media_proxy: str | None = None
    media_cookies: str | None = None
    # Who finds concepts and writes suggestions: this service by itself, or a model of Amazon Bedrock.
    ai_provider: Literal["offline", "bedrock"] = "offline"
    # Model id, or id or ARN of an inference profile. It must be one that can be made to call a certain tool.
    ai_model: str = "amazon.nova-lite-v1:0"
    # Region, address and AWS profile for Bedrock alone, where they are not those of the other services.
    ai_region: str | None = None
    ai_endpoint_url: str | None = None
    ai_profile: str | None = None
    # Longest that one call of the model may take (twice that for suggestions), and calls at most for one answer.
    ai_seconds: float = 60.0
    ai_tries: int = 3
    # Longest answer in tokens; how much of a document or library a question shows, in characters (some 4 a token).
    ai_max_tokens: int = 4000
    ai_input_characters: int = 24_000
    # 0: as little chance as possible. `null`: not sent, for models that don't take it.
    ai_temperature: float | None = 0.0
    # How long an answer is kept for the same question of the same owner (7 days; 0: not at all).
    ai_cache_seconds: int = 7 * 24 * 3600
    # Origin allowed by CORS on AWS; the page itself is served from the API's own origin.
    cors_origin: str = ""
    # Lowest level that is logged.
    log_level: str = "INFO"
    # Whether metrics for CloudWatch are written into the log.
    metrics: bool = False

    @property
    def hidden_seconds(self) -> int:
        """How long a message is hidden at a time: until the lease of its run may be taken over by anybody's clock."""
        return self.lease_seconds + self.clock_skew_seconds

    def queue_url(self, queue: str) -> str:
        """Return the URL of `queue`, or raise SettingsError naming the variable."""
        url = self.queues.get(queue)
        if not url:
            raise SettingsError(f"{queue_variable(queue)} is not set")
        return url


def queue_variable(queue: str) -> str:
    """Return the name of the variable that holds a queue's URL: SYNCBOARD_QUEUE_UPLOADS_OCR."""
    return "SYNCBOARD_QUEUE_" + queue.replace("-", "_").upper()


def load(environ: Mapping[str, str]) -> Settings:
    """Read settings from `environ`; raise SettingsError naming a variable that does not parse."""
    values: dict[str, object] = {
        "endpoint_url": environ.get("AWS_ENDPOINT_URL") or None,
        "queues": {
            name: environ[queue_variable(name)] for name in QUEUES if environ.get(queue_variable(name))
        },
    }
    for field in msgspec.structs.fields(Settings):
        variable = f"SYNCBOARD_{field.name.upper()}"
        if field.name not in values and variable in environ:
            try:
                values[field.name] = msgspec.convert(environ[variable], field.type, strict=False)
            except msgspec.ValidationError as error:
                raise SettingsError(f"{variable}={environ[variable]!r}: {error}") from None
    return msgspec.convert(values, Settings)


def openmp_thread_limit() -> str | None:
    """Return the process's OMP_THREAD_LIMIT as it is now, or None: speech recognition must not run with it."""
    return os.environ.get("OMP_THREAD_LIMIT")


@lru_cache(maxsize=1)
def get() -> Settings:
    """Return the process's settings, read once."""
    return load(os.environ)
