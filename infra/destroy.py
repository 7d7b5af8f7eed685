"""Take a stage down: `make destroy STAGE=dev`, or `python -m infra.destroy --stage dev`.

Both stacks are deleted; table, bucket and secret stay, and a later deployment of the stage takes them up again.
With --delete-data they go, too, in every version.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from infra import secret
from infra.changesets import StackError, Stacks
from infra.cloud import Cloud, default_region

Report = Callable[[str], None]

# S3 deletes so many keys in one request.
_MOST_KEYS: Final = 1000
_GONE: Final = frozenset({"404", "NoSuchBucket", "ResourceNotFoundException"})


def destroy(cloud: Cloud, stage: str, report: Report, *, delete_data: bool = False) -> None:
    """Delete a stage's stacks, and its data only where that is asked for. Raise StackError."""
    stacks = Stacks(cloud, report)
    for name in (f"syncboard-{stage}", f"syncboard-{stage}-data"):
        report(f"{name}: deleting …")
        stacks.delete(name)
    table, bucket = _names(cloud, stage)
    if not delete_data:
        report(f"kept: table {table}, bucket {bucket}, secret {secret.name(stage)}")
        return
    _empty(cloud, bucket, report)
    _unless_gone(cloud.s3.delete_bucket, Bucket=bucket)
    _unless_gone(cloud.dynamodb.delete_table, TableName=table)
    secret.delete(cloud, stage)
    report(f"deleted: table {table}, bucket {bucket}; secret {secret.name(stage)} can be restored for 7 days")


def _names(cloud: Cloud, stage: str) -> tuple[str, str]:
    """Return the names of table and bucket, as infra/data.yaml makes them."""
    return f"syncboard-{stage}", f"syncboard-{stage}-{cloud.account()}-{cloud.region}"


def _empty(cloud: Cloud, bucket: str, report: Report) -> None:
    """Delete every version of every object."""
    client: Any = cloud.s3
    deleted = 0
    while True:
        try:
            page = client.list_object_versions(Bucket=bucket, MaxKeys=_MOST_KEYS)
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                return
            raise
        found = [
            {"Key": entry["Key"], "VersionId": entry["VersionId"]}
            for kind in ("Versions", "DeleteMarkers")
            for entry in page.get(kind, [])
        ]
        if not found:
            break
        answer = client.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})
        if errors := answer.get("Errors"):
            raise StackError(f"{bucket}: {errors[0]['Key']} can't be deleted: {errors[0].get('Message')}")
        deleted += len(found)
    report(f"{bucket}: {deleted} versions deleted")


def _unless_gone(delete: Callable[..., object], **arguments: str) -> None:
    try:
        delete(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.destroy", description="Take a stage down.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--region", default=default_region(), help="(default: %(default)s)")
    parser.add_argument("--endpoint-url", help="an emulator instead of AWS")
    parser.add_argument(
        "--delete-data",
        action="store_true",
        help="delete table, bucket and secret, too: there is no way back",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str], ask: Callable[[str], str] = input) -> int:
    """Ask for the stage's name, then destroy it; return 1 with a message if it can't be done."""
    options = _arguments(arguments)
    try:
        cloud = Cloud(options.region, endpoint_url=options.endpoint_url)
        what = (
            "the stacks AND ALL DATA" if options.delete_data else "the stacks (table, bucket and secret stay)"
        )
        _say(f"This deletes {what} of stage {options.stage} in account {cloud.account()}, {cloud.region}.")
        if ask("Type the stage's name to go on: ").strip() != options.stage:
            sys.stderr.write("not destroyed: that was another name\n")
            return 1
        destroy(cloud, options.stage, _say, delete_data=options.delete_data)
    except (StackError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"not destroyed: {error}\n")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
