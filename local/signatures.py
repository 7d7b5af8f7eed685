"""Signatures of presigned links and forms, checked and made anew for the emulator.

The rules are S3's: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html and
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html. The arithmetic is botocore's.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from botocore.auth import S3SigV4PostAuth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from chalicelib.errors import NotFound
from local.framing import Forbidden

ALGORITHM: Final = "AWS4-HMAC-SHA256"
# What the emulators take as their root's credentials.
EMULATOR: Final = Credentials("test", "test")

_TIME: Final = "%Y%m%dT%H%M%SZ"
_CREDENTIAL: Final = re.compile(
    r"(?P<key>[\w-]{1,128})/(?P<date>\d{8})/(?P<region>[a-z0-9-]{1,32})/s3/aws4_request", re.ASCII
)
_LINK_VALUES: Final = {
    "X-Amz-Algorithm": re.compile(re.escape(ALGORITHM)),
    "X-Amz-Credential": _CREDENTIAL,
    "X-Amz-Date": re.compile(r"[0-9]{8}T[0-9]{6}Z"),
    "X-Amz-Expires": re.compile(r"[0-9]{1,6}"),
    "X-Amz-SignedHeaders": re.compile("host"),
    "X-Amz-Signature": re.compile(r"[0-9a-f]{64}"),
}
# S3's own limits: a link lasts a week at most; clocks may differ by a quarter of an hour.
_LONGEST_SECONDS: Final = 7 * 24 * 3600
_SKEW: Final = timedelta(minutes=15)
# Conditions of a policy that are not about one field.
_LENGTH_RANGE: Final = "content-length-range"


def own_credentials() -> Credentials:
    """Return the credentials that this process signs links and forms with."""
    return Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])


def signed_link(base: str, query: str) -> str:
    """Check a presigned link's `query` for a GET of the address `base`; return the link for the emulator.

    Raise NotFound if it is no presigned link, Forbidden if its signature is wrong or its time is over.
    """
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=len(_LINK_VALUES) + 1)
    values = dict(pairs)
    if values.keys() != _LINK_VALUES.keys() or len(pairs) != len(values):
        raise NotFound("There is no such address.")
    if not all(rule.fullmatch(values[name]) for name, rule in _LINK_VALUES.items()):
        raise Forbidden("The link is malformed.")
    signature = values.pop("X-Amz-Signature")
    if not hmac.compare_digest(signature, _link_signature(base, values, own_credentials())):
        raise Forbidden("The link is not signed by this service.")
    _check_time(values["X-Amz-Date"], int(values["X-Amz-Expires"]))
    values["X-Amz-Credential"] = _for_emulator(values["X-Amz-Credential"])
    values["X-Amz-Signature"] = _link_signature(base, values, EMULATOR)
    return f"{base}?{urlencode(values)}"


def signed_fields(fields: Mapping[str, str], bucket: str) -> dict[str, str]:
    """Check the signature of a form's fields and that they are what its policy says; return them for the emulator.

    Names are lower-case. Raise Forbidden. The size of the file is for the storage to check: it counts the bytes.
    """
    credential, date = fields["x-amz-credential"], fields["x-amz-date"]
    well_formed = (
        fields["x-amz-algorithm"] == ALGORITHM
        and _LINK_VALUES["X-Amz-Date"].fullmatch(date)
        and _LINK_VALUES["X-Amz-Signature"].fullmatch(fields["x-amz-signature"])
        and fields["policy"].isascii()
    )
    if not (well_formed and _CREDENTIAL.fullmatch(credential)):
        raise Forbidden("The form's signature is malformed.")
    expected = _form_signature(fields, own_credentials())
    if not hmac.compare_digest(fields["x-amz-signature"], expected):
        raise Forbidden("The form is not signed by this service.")
    policy = json.loads(base64.b64decode(fields["policy"]))
    if datetime.fromisoformat(policy["expiration"]) < datetime.now(UTC):
        raise Forbidden("The form has expired. Ask for a new one.")
    _check_policy(policy["conditions"], {**fields, "bucket": bucket})
    return _signed_for_emulator(fields)


def _check_policy(conditions: list[Any], given: Mapping[str, str]) -> None:
    """Every field has its condition, and every condition its field: our forms know no others."""
    exact = {str(k).lower(): v for item in conditions if isinstance(item, dict) for k, v in item.items()}
    ranged = [item for item in conditions if isinstance(item, list)]
    named = given.keys() - {"policy", "x-amz-signature"}
    if exact.keys() != named or [item[0] for item in ranged] != [_LENGTH_RANGE]:
        raise Forbidden("The form has other fields than its policy says.")
    if any(given[name] != value for name, value in exact.items()):
        raise Forbidden("A field of the form differs from its policy.")


def _signed_for_emulator(fields: Mapping[str, str]) -> dict[str, str]:
    # The policy names the credential: it is written anew with the emulator's.
    credential = _for_emulator(fields["x-amz-credential"])
    policy = json.loads(base64.b64decode(fields["policy"]))
    for item in policy["conditions"]:
        if isinstance(item, dict) and "x-amz-credential" in item:
            item["x-amz-credential"] = credential
    rewritten = base64.b64encode(json.dumps(policy).encode()).decode()
    signed = {**fields, "x-amz-credential": credential, "policy": rewritten}
    return {**signed, "x-amz-signature": _form_signature(signed, EMULATOR)}


def _for_emulator(credential: str) -> str:
    return f"{EMULATOR.access_key}/{credential.partition('/')[2]}"


def _check_time(signed: str, seconds: int) -> None:
    try:
        at = datetime.strptime(signed, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise Forbidden("The link is malformed.") from None
    now = datetime.now(UTC)
    if seconds > _LONGEST_SECONDS or at > now + _SKEW or at + timedelta(seconds=seconds) < now:
        raise Forbidden("The link has expired. Ask for a new one.")


def _link_signature(base: str, values: Mapping[str, str], credentials: Credentials) -> str:
    request = AWSRequest(method="GET", url=base, params=dict(values))
    signer, request = _signer(
        S3SigV4QueryAuth, values["X-Amz-Credential"], values["X-Amz-Date"], credentials, request
    )
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    return str(signer.signature(to_sign, request))


def _form_signature(fields: Mapping[str, str], credentials: Credentials) -> str:
    signer, request = _signer(
        S3SigV4PostAuth, fields["x-amz-credential"], fields["x-amz-date"], credentials, AWSRequest()
    )
    return str(signer.signature(fields["policy"], request))


def _signer(
    kind: type[SigV4Auth], credential: str, time: str, credentials: Credentials, request: AWSRequest
) -> tuple[SigV4Auth, AWSRequest]:
    """Return a signer of the credential's scope; refuse a scope that is another key's or another day's."""
    scope = _CREDENTIAL.fullmatch(credential)
    if not scope or scope["date"] != time[:8] or scope["key"] != credentials.access_key:
        raise Forbidden("The signature is not this service's.")
    request.context["timestamp"] = time
    return kind(credentials, "s3", scope["region"]), request
