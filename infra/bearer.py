"""Tokens of a deployed stage that signs them itself: `python -m infra.bearer --stage prod --user ann`.

Reads the stage's secret with the deployer's credentials; the secret is never printed.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from typing import Final

import jwt
from botocore.exceptions import BotoCoreError, ClientError

from infra import secret
from infra.changesets import Stacks
from infra.cloud import Cloud, default_region

_DAY: Final = 24 * 3600
# As chalicelib.api.tokens takes them.
_SUBJECT: Final = re.compile(r"[\w.@:+-]{1,128}", re.ASCII)


class BearerError(RuntimeError):
    """There is no token to be had here; the message says where."""


def of_stage(cloud: Cloud, stage: str, *, user: str, seconds: int) -> str:
    """Return a token for `user`, valid for `seconds`. Raise BearerError where the stage does not sign them."""
    if not _SUBJECT.fullmatch(user):
        raise BearerError("a user name has 1 to 128 letters (A to Z, a to z), digits or any of . _ @ : + -")
    values = Stacks(cloud, lambda _: None).parameters(f"syncboard-{stage}")
    if not values:
        raise BearerError(f"stage {stage} is not deployed in {cloud.region}")
    if values.get("JwksUrl") or not values.get("JwtSecretArn"):
        raise BearerError(f"tokens of stage {stage} come from its identity provider")
    now = int(time.time())
    claims = {
        "sub": user,
        "iss": values["JwtIssuer"],
        "aud": values["JwtAudience"].partition(",")[0],
        "iat": now,
        "exp": now + seconds,
    }
    return jwt.encode(claims, secret.read(cloud, values["JwtSecretArn"]).strip(), algorithm="HS256")


def main(arguments: Sequence[str]) -> int:
    """Print a token; return 1 with a message if there is none."""
    parser = argparse.ArgumentParser(prog="python -m infra.bearer", description="Print a token of a stage.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--days", type=int, default=30, help="how long it is valid (default: %(default)s)")
    parser.add_argument("--region", default=default_region(), help="(default: %(default)s)")
    parser.add_argument("--endpoint-url", help="an emulator instead of AWS")
    options = parser.parse_args(arguments)
    try:
        cloud = Cloud(options.region, endpoint_url=options.endpoint_url)
        token = of_stage(cloud, options.stage, user=options.user, seconds=options.days * _DAY)
    except (BearerError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"no token: {error}\n")
        return 1
    sys.stdout.write(f"{token}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
