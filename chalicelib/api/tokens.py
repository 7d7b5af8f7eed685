"""Bearer tokens: JWT, HS256 by a secret of this installation. Nothing else is accepted."""

from __future__ import annotations

import re
import time
from typing import Final

import jwt

from chalicelib import settings
from chalicelib.aws.secrets import read_secret
from chalicelib.errors import Unauthorized

# Named, never taken from the token: a token that says `none` or another algorithm is forged.
_ALGORITHMS: Final = ["HS256"]
_LEEWAY_SECONDS: Final = 30
# ASCII: it becomes the group of a queue's messages, which takes nothing else.
_SUBJECT: Final = re.compile(r"[\w.@:+-]{1,128}", re.ASCII)


def verify(authorization: str | None) -> str:
    """Return the subject of the token in an `Authorization` header; raise Unauthorized saying what is wrong."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("Send a token: Authorization: Bearer <token>.")
    config = settings.get()
    try:
        claims = jwt.decode(
            token.strip(),
            read_secret(config.jwt_secret),
            algorithms=_ALGORITHMS,
            audience=config.jwt_audience,
            issuer=config.jwt_issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": ["exp", "sub", "aud", "iss"]},
        )
    except jwt.ExpiredSignatureError:
        raise Unauthorized("The token has expired; get a new one.") from None
    except jwt.PyJWTError:
        raise Unauthorized("The token is not valid here.") from None
    subject = claims["sub"]
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise Unauthorized("The token's subject is not a user name.")
    return subject


def issue(user: str, *, seconds: int) -> str:
    """Sign a token for `user`, valid for `seconds`. Raise ValueError for a name that is no subject."""
    if not _SUBJECT.fullmatch(user):
        raise ValueError("a user name has 1 to 128 letters (A to Z, a to z), digits or any of . _ @ : + -")
    config = settings.get()
    now = int(time.time())
    claims = {
        "sub": user,
        "iss": config.jwt_issuer,
        "aud": config.jwt_audience,
        "iat": now,
        "exp": now + seconds,
    }
    return jwt.encode(claims, read_secret(config.jwt_secret), algorithm=_ALGORITHMS[0])
