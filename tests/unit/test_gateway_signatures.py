"""Which links and forms the gateway passes on to the bucket, and what it makes of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import boto3
import pytest
from botocore.credentials import Credentials

from chalicelib import settings
from chalicelib.aws import clients
from chalicelib.aws.objects import Objects
from chalicelib.errors import InvalidRequest, NotFound, SyncBoardError, TooLarge
from local import forms, forwarding, signatures
from local.framing import Forbidden

ENDPOINT = "http://127.0.0.1:4566"
BUCKET = "unit-bucket"
TEXT_KEY = "texts/01JOB/1/text"
UPLOAD_KEY = "uploads/01JOB/01RANDOM"
BOUNDARY = "a-boundary"


@pytest.fixture(scope="module")
def storage() -> Any:
    """The storage's client of an installation with a secret of its own."""
    return boto3.session.Session("test", "its own", region_name="us-east-1").client(
        "s3", endpoint_url=ENDPOINT, config=clients._S3_LOCAL_CONFIG
    )


@pytest.fixture(autouse=True)
def installation(monkeypatch: pytest.MonkeyPatch, storage: Any) -> Iterator[None]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", ENDPOINT)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "its own")
    monkeypatch.setattr(clients, "s3", lambda: storage)
    settings.get.cache_clear()
    yield
    monkeypatch.undo()
    settings.get.cache_clear()


def link(key: str = TEXT_KEY, seconds: int = 60) -> str:
    """A presigned link as the gateway gets it, from the bucket on."""
    return Objects(BUCKET, "unit-table").presign_get(key, seconds=seconds).removeprefix(f"{ENDPOINT}/")


def changed(target: str, **values: str | None) -> str:
    path, _, query = target.partition("?")
    pairs = {name.replace("-", "_"): (name, value) for name, value in parse_qsl(query)}
    for name, value in values.items():
        pairs[name] = (pairs[name][0], value or "")
        if value is None:
            del pairs[name]
    return f"{path}?{urlencode(list(pairs.values()))}"


class Sent(Exception):
    """What would have gone to the emulator."""

    def __init__(self, url: str, headers: dict[str, str], body: bytes) -> None:
        super().__init__(url)
        self.url, self.headers, self.body = url, headers, body


@pytest.fixture(autouse=True)
def no_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    def exchange(method: str, url: object, headers: dict[str, str], body: Iterator[bytes]) -> None:
        raise Sent(url.geturl(), headers, b"".join(body))  # type: ignore[attr-defined]

    monkeypatch.setattr(forwarding, "_exchange", exchange)


def get(target: str) -> str:
    with pytest.raises(Sent) as sent, forwarding.get_object(target):
        pass
    return sent.value.url


def refused_link(target: str) -> type[SyncBoardError]:
    with pytest.raises(SyncBoardError) as refused, forwarding.get_object(target):
        pass
    return refused.type


def test_a_link_of_ours_goes_on_signed_anew_for_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    target = link()
    sent = get(target)
    assert sent.startswith(f"{ENDPOINT}/{BUCKET}/{TEXT_KEY}?")
    assert refused_link(sent.removeprefix(f"{ENDPOINT}/")) is Forbidden
    monkeypatch.setattr(signatures, "own_credentials", lambda: signatures.EMULATOR)
    assert refused_link(target) is Forbidden
    assert get(sent.removeprefix(f"{ENDPOINT}/")) == sent


def test_a_link_signed_with_the_emulators_well_known_secret_is_refused() -> None:
    values = {"X-Amz-Date": f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"}
    assert refused_link(signed(values, signatures.EMULATOR)) is Forbidden


def test_a_signature_and_everything_it_signs_must_be_right() -> None:
    target = link()
    assert refused_link(changed(target, X_Amz_Signature="0" * 64)) is Forbidden
    assert refused_link(changed(target, X_Amz_Signature="1")) is Forbidden
    assert refused_link(changed(target, X_Amz_Expires="61")) is Forbidden
    assert refused_link(changed(target, X_Amz_Algorithm="AWS4-ECDSA-P256-SHA256")) is Forbidden
    assert refused_link(changed(target, X_Amz_SignedHeaders="host;x")) is Forbidden
    sqs = "test/20260101/us-east-1/sqs/aws4_request"
    assert refused_link(changed(target, X_Amz_Credential=sqs)) is Forbidden
    assert refused_link(target.replace("/1/text", "/2/text")) is Forbidden


def test_every_name_of_a_link_is_needed_once_and_no_other_is_taken() -> None:
    target = link()
    for name in ("X_Amz_Algorithm", "X_Amz_Credential", "X_Amz_Date", "X_Amz_Expires", "X_Amz_Signature"):
        assert refused_link(changed(target, **{name: None})) is NotFound
    for more in ("&X-Amz-Expires=60", "&list-type=2", "&x-amz-signature=1", "&tagging"):
        assert refused_link(target + more) in (NotFound, Forbidden)
    assert refused_link(f"{BUCKET}/{TEXT_KEY}?X-Amz-Signature=1") is NotFound
    assert refused_link(f"{BUCKET}/{TEXT_KEY}") is NotFound


@pytest.mark.parametrize(
    "key", ["uploads/a/b", "inline/01JOB/source", "texts/../inline/a/b", "texts//a/b", "texts/%2e%2e/a/b", ""]
)
def test_a_link_reads_texts_only(key: str) -> None:
    assert refused_link(f"{BUCKET}/{key}?{link().partition('?')[2]}") is NotFound


def test_a_link_of_another_bucket_is_not_there() -> None:
    assert refused_link(link().replace(BUCKET, "other")) is NotFound


def signed(values: dict[str, str], credentials: Credentials | None = None) -> str:
    """A link with a good signature over any values."""
    path, _, query = link().partition("?")
    given = {**dict(parse_qsl(query)), **values}
    del given["X-Amz-Signature"]
    given["X-Amz-Credential"] = f"test/{given['X-Amz-Date'][:8]}/us-east-1/s3/aws4_request"
    given["X-Amz-Signature"] = signatures._link_signature(
        f"{ENDPOINT}/{path}", given, credentials or signatures.own_credentials()
    )
    return f"{path}?{urlencode(given)}"


def test_a_link_is_good_in_its_time_only() -> None:
    now = datetime.now(UTC)

    def signed_at(minutes: int, seconds: int) -> str:
        at = now + timedelta(minutes=minutes)
        return signed({"X-Amz-Date": f"{at:%Y%m%dT%H%M%SZ}", "X-Amz-Expires": str(seconds)})

    assert get(signed_at(-1, 600))
    assert refused_link(signed_at(-1, 30)) is Forbidden
    assert refused_link(signed_at(60, 600)) is Forbidden
    assert refused_link(signed_at(-1, 8 * 24 * 3600)) is Forbidden
    assert refused_link(signed({"X-Amz-Date": "20269999T999999Z"})) is Forbidden


def presigned(key: str = UPLOAD_KEY, seconds: int = 60) -> dict[str, str]:
    form = Objects(BUCKET, "unit-table").presign_post(
        key, content_type="text/plain", max_bytes=100, seconds=seconds
    )
    return dict(form.fields)


def multipart(fields: list[tuple[str, str]], file: bytes = b"some words", end: str = "--\r\n") -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a b.txt"\r\n'
    kind = "Content-Type: text/plain\r\n\r\n"
    return "".join((*parts, head, kind)).encode() + file + f"\r\n--{BOUNDARY}{end}".encode()


def post(body: bytes, *, content_type: str = f"multipart/form-data; boundary={BOUNDARY}") -> Sent:
    with (
        pytest.raises(Sent) as sent,
        forwarding.post_form(BUCKET, content_type, len(body), io.BytesIO(body), lambda: None),
    ):
        pass
    return sent.value


def refused_form(body: bytes, **options: str) -> type[SyncBoardError]:
    with pytest.raises(SyncBoardError) as refused:
        post(body, **options)
    return refused.type


@pytest.mark.parametrize("end", ["--", "--\r\n"])
@pytest.mark.parametrize("size", [0, 1, 2, 77, 256 * 1024 - 40, 256 * 1024, 600_000])
def test_a_form_of_ours_goes_on_written_anew(size: int, end: str) -> None:
    file = (b"\r\n--a-bound\r\n" * (size // 12 + 1))[:size]
    sent = post(multipart(list(presigned().items()), file, end))
    assert sent.url == f"{ENDPOINT}/{BUCKET}"
    assert sent.headers["Content-Length"] == str(len(sent.body))
    _, _, boundary = sent.headers["Content-Type"].partition("boundary=")
    assert BOUNDARY.encode() + b"\r\n" not in sent.body
    *heads, last = sent.body.split(f"--{boundary}".encode())
    assert last.rstrip() == b"--"
    assert heads[-1].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") == file
    assert b'name="key"\r\n\r\n' + UPLOAD_KEY.encode() in sent.body


def test_a_form_that_nobody_signed_is_refused() -> None:
    fields = presigned()
    assert refused_form(multipart([("key", "texts/evil/1.txt")])) is InvalidRequest
    for name in fields:
        missing = [(key, value) for key, value in fields.items() if key != name]
        assert refused_form(multipart(missing)) is InvalidRequest
    forged = {**fields, "x-amz-signature": "0" * 64}
    assert refused_form(multipart(list(forged.items()))) is Forbidden
    other = {**fields, "policy": presigned("uploads/other/x")["policy"]}
    assert refused_form(multipart(list(other.items()))) is Forbidden


def test_every_field_is_what_the_policy_says() -> None:
    fields = presigned()
    for name, value in {"key": "uploads/01JOB/other", "Content-Type": "text/html"}.items():
        assert refused_form(multipart(list({**fields, name: value}.items()))) is Forbidden
    assert refused_form(multipart(list(presigned("texts/01JOB/1").items()))) is Forbidden
    assert refused_form(multipart(list(presigned("uploads/a/${filename}").items()))) is Forbidden


def test_a_form_ends_with_its_time() -> None:
    assert refused_form(multipart(list(presigned(seconds=-5).items()))) is Forbidden


def test_a_form_with_a_field_too_many_or_two_of_a_name_is_refused() -> None:
    fields = list(presigned().items())
    for more in (("acl", "public-read"), ("KEY", UPLOAD_KEY), ("success_action_redirect", "https://evil")):
        assert refused_form(multipart([*fields, more])) is InvalidRequest


def test_nothing_may_follow_the_file() -> None:
    fields = list(presigned().items())
    after = f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="key"\r\n\r\nelsewhere'.encode()
    for file in (b"x" + after, b"x" * 300_000 + after, b"x" + after + b"y" * 300_000):
        assert refused_form(multipart(fields, file)) is InvalidRequest
    assert refused_form(multipart(fields) + b"epilogue") is InvalidRequest


@pytest.mark.parametrize(
    "content_type",
    [
        *("application/x-www-form-urlencoded", "application/xml", "", "multipart/form-data"),
        *("multipart/form-data; boundary=a; boundary=b", "multipart/mixed; boundary=a"),
    ],
)
def test_only_a_multipart_form_is_taken(content_type: str) -> None:
    assert refused_form(b"Action=CreateStack", content_type=content_type) is InvalidRequest


def test_a_form_that_says_action_in_its_preamble_is_refused() -> None:
    assert refused_form(b"Action=ListQueues\r\n" + multipart(list(presigned().items()))) is InvalidRequest


def test_the_fields_of_a_form_are_bounded() -> None:
    endless = multipart([("policy", "x" * forms.FIELDS_LIMIT_BYTES)])
    assert refused_form(endless) is InvalidRequest
    many = f"--{BOUNDARY}\r\n".encode() + b"A: b\r\n" * 100
    assert refused_form(many) is InvalidRequest


def test_a_form_longer_than_any_upload_is_refused_unread() -> None:
    with (
        pytest.raises(TooLarge),
        forwarding.post_form(BUCKET, "multipart/form-data; boundary=x", 2**33, io.BytesIO(), lambda: None),
    ):
        pass


def test_a_form_that_breaks_off_is_no_upload() -> None:
    body = multipart(list(presigned().items()), b"x" * 1000)
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    short = io.BytesIO(body[:-500])
    with (
        pytest.raises(ConnectionError),
        forwarding.post_form(BUCKET, kind, len(body) + 300_000, short, lambda: None),
    ):
        pass
