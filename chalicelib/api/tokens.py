"""Bearer tokens (JWT): signed by this installation's secret, or by an identity provider's keys; never by both.

With `SYNCBOARD_JWT_JWKS_URL` the tokens are those of an OpenID Connect provider (RS256 or ES256, `api.keyset`), else
they are signed HS256. Which algorithm is right follows from the key, never from the token: so a public key is no
secret for HS256, and `none` is nothing (RFC 8725, 3.1).
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import Any, Final

import jwt

from chalicelib import settings
from chalicelib.api.keyset import KeySet, PublicKey
from chalicelib.aws.secrets import read_secret
from chalicelib.errors import Unauthorized
from chalicelib.settings import SettingsError

_LEEWAY_SECONDS: Final = 30
# API Gateway takes 10 KB of headers in all.
_MAX_CHARACTERS: Final = 8192
# ASCII: it becomes the group of a queue's messages, which takes nothing else.
_SUBJECT: Final = re.compile(r"[\w.@:+-]{1,128}", re.ASCII)
_REQUIRED: Final = ("exp", "sub", "iss")

_NOT_VALID: Final = "The token is not valid here."


def verify(authorization: str | None) -> str:
    """Return the subject of the token in an `Authorization` header.

    Raise Unauthorized saying what is wrong, Unavailable where the provider's keys can't be had just now.
    """
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("Send a token: Authorization: Bearer <token>.")
    if len(token) > _MAX_CHARACTERS:
        raise Unauthorized(f"The token has more than {_MAX_CHARACTERS:,} characters.")
    try:
        claims = _from_provider(token) if settings.get().jwt_jwks_url else _from_here(token)
    except jwt.ExpiredSignatureError:
        raise Unauthorized("The token has expired; get a new one.") from None
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unauthorized(_NOT_VALID) from None
    subject = claims["sub"]
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise Unauthorized("The token's subject is not a user name.")
    return subject


def issue(user: str, *, seconds: int) -> str:
    """Sign a token for `user`, valid for `seconds`.

    Raise ValueError for a name that is no subject, SettingsError where an identity provider makes the tokens.
    """
    if not _SUBJECT.fullmatch(user):
        raise ValueError("a user name has 1 to 128 letters (A to Z, a to z), digits or any of . _ @ : + -")
    config = settings.get()
    if config.jwt_jwks_url:
        raise SettingsError("Tokens come from the identity provider here (SYNCBOARD_JWT_JWKS_URL is set).")
    now = int(time.time())
    claims = {
        "sub": user,
        "iss": config.jwt_issuer,
        "aud": config.jwt_audience,
        "iat": now,
        "exp": now + seconds,
    }
    return jwt.encode(claims, read_secret(config.jwt_secret), algorithm="HS256")


def _from_here(token: str) -> dict[str, Any]:
    config = settings.get()
    claims = _decoded(token, PublicKey(algorithm="HS256", key=read_secret(config.jwt_secret)))
    _check_audience(claims.get("aud"), config.jwt_audience)
    return claims


def _from_provider(token: str) -> dict[str, Any]:
    config = settings.get()
    header = jwt.get_unverified_header(token)
    kid = header.get("kid")
    # Before anything is fetched: a token of another kind can't be right, whatever key it names.
    if header.get("alg") not in ("RS256", "ES256") or not isinstance(kid, str):
        raise Unauthorized(_NOT_VALID)
    key = _key_set(config.jwt_jwks_url, config.jwt_issuer).find(kid)
    if key is None:
        raise Unauthorized(_NOT_VALID)
    claims = _decoded(token, key)
    use = claims.get("token_use")
    if use not in (None, "access", "id"):
        raise Unauthorized(_NOT_VALID)
    # Cognito's access tokens name the client that they are for in `client_id`, and have no `aud`.
    by_client = use == "access" and "aud" not in claims
    _check_audience(claims.get("client_id" if by_client else "aud"), config.jwt_audience)
    return claims


def _decoded(token: str, key: PublicKey) -> dict[str, Any]:
    """Return the claims of a token that this key has signed, that is for now, and from our issuer."""
    claims: dict[str, Any] = jwt.decode(
        token,
        key.key,
        algorithms=[key.algorithm],
        issuer=settings.get().jwt_issuer,
        leeway=_LEEWAY_SECONDS,
        # The audience is checked by the caller: providers put it into different claims.
        options={"require": list(_REQUIRED), "verify_aud": False},
    )
    return claims


def _check_audience(given: Any, wanted: str) -> None:
    """Raise Unauthorized unless a token is for one of our audiences: `wanted` names one, or several by commas."""
    audiences = {name.strip() for name in wanted.split(",")} - {""}
    named = given if isinstance(given, list) else [given]
    if not any(isinstance(name, str) and name in audiences for name in named):
        raise Unauthorized(_NOT_VALID)


@lru_cache(maxsize=1)
def _key_set(url: str, issuer: str) -> KeySet:
    return KeySet(url, issuer)
