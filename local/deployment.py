"""Deploy the data stack (`infra/data.yaml`) to whatever answers at the endpoint, and see that it is really there.

CloudFormation makes or updates the stack; then every property of the template is read back, and on an emulator set
where it was dropped (`local.stack_properties`). Deploying twice changes nothing.
"""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

from infra import templates
from local import stack_properties, stack_template, upgrades
from local.emulator import EmulatorLostState
from local.emulator_snapshots import SAVED
from local.outputs import DeploymentError, Outputs, outputs_of, stack_name
from local.sessions import LOCAL_REGION, Session
from local.stack_properties import Finding

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

TEMPLATE: Final = Path(__file__).resolve().parent.parent / "infra" / "data.yaml"

_WAIT_SECONDS: Final = 900.0
_SETTLED: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
# A stack that failed when it was first made can only be deleted.
_DEAD: Final = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"})


def deploy(
    endpoint_url: str | None,
    *,
    stage: str,
    parameters: Mapping[str, str] | None = None,
    region: str = LOCAL_REGION,
    template: Path = TEMPLATE,
    marker: Path | None = None,
    accept_loss: bool = False,
) -> Outputs:
    """Make or update the data stack at `endpoint_url` (None: AWS) and return where everything is.

    `parameters` are the template's beside `Stage`. `marker` (`Emulator.marker`) is a file that remembers what was
    deployed: if the emulator came back without it, EmulatorLostState is raised before anything is made anew, and
    empty, unless `accept_loss`. Raises DeploymentError for everything else.
    """
    if marker is not None and endpoint_url is not None:
        if accept_loss:
            marker.unlink(missing_ok=True)
        check_marker(marker, endpoint_url, region)
    values = {"Stage": stage, **(parameters or {})}
    session = Session(endpoint_url, region)
    try:
        stack = _apply(session, stack_name(stage), template, values)
        resolver = stack_template.Resolver(
            templates.read(template), values, account=stack["StackId"].split(":")[4], region=region
        )
        clients = session.data_clients()
        findings = stack_properties.ensure(resolver.resources(), clients, write=endpoint_url is not None)
    except (BotoCoreError, ClientError) as error:
        where = endpoint_url or "AWS"
        raise DeploymentError(f"deploying {stack_name(stage)} to {where}: {_reason(error, where)}") from error
    _check(findings)
    outputs = outputs_of(stack, stage, endpoint_url, region, findings)
    try:
        upgrades.index_documents(clients.dynamodb, outputs.table)
    except (BotoCoreError, ClientError) as error:
        raise DeploymentError(
            f"bringing old documents up to date: {_reason(error, endpoint_url or 'AWS')}"
        ) from error
    if marker is not None:
        _write_marker(marker, outputs)
    return outputs


def check_marker(marker: Path, endpoint_url: str, region: str = LOCAL_REGION) -> None:
    """Raise EmulatorLostState if `marker` says that something was deployed and the emulator does not have it.

    Raise DeploymentError if the emulator does not say whether it has.
    """
    if not marker.exists():
        return
    deployed = json.loads(marker.read_text(encoding="utf-8"))
    clients = Session(endpoint_url, region).data_clients()
    looks: list[tuple[str, Callable[[], object]]] = [
        (f"table {deployed['table']}", partial(clients.dynamodb.describe_table, TableName=deployed["table"])),
        (f"bucket {deployed['bucket']}", partial(clients.s3.head_bucket, Bucket=deployed["bucket"])),
        *(
            (f"queue {name}", partial(clients.sqs.get_queue_url, QueueName=name))
            for name in deployed["queues"]
        ),
    ]
    try:
        missing = [what for what, look in looks if not _exists(look)]
    except (BotoCoreError, ClientError) as error:
        raise DeploymentError(
            f"looking for what was deployed at {endpoint_url}: {_reason(error, endpoint_url)}"
        ) from error
    if missing and not _saved_since(marker):
        # Killed within seconds of the first deployment: nothing was there to lose.
        marker.unlink()
    elif missing:
        raise EmulatorLostState(
            f"The emulator came back without {', '.join(missing)}, deployed on {deployed['deployed_at']}. "
            f"Its data in {marker.parent} is lost or damaged: restore it from a backup, or delete the folder to "
            "begin with empty data."
        )


def _saved_since(marker: Path) -> bool:
    """Tell whether the emulator saved its state after the marker was written."""
    saved = marker.parent / SAVED
    return saved.exists() and saved.stat().st_mtime_ns >= marker.stat().st_mtime_ns


def _exists(look: Callable[[], object]) -> bool:
    try:
        look()
    except ClientError as error:
        # Only "there is none" counts: another error says nothing about the data.
        if error.response["ResponseMetadata"]["HTTPStatusCode"] < HTTPStatus.INTERNAL_SERVER_ERROR:
            return False
        raise
    return True


def _reason(error: Exception, where: str) -> str:
    if isinstance(error, EndpointConnectionError | ConnectTimeoutError):
        return f"nothing answers at {where}: is it running?"
    return str(error)


def report(findings: list[Finding]) -> str:
    """Return the findings as a table of text: resource, property, outcome, and both values where they differ."""
    lines = []
    for item in findings:
        line = f"{item.outcome:<8} {item.resource}.{item.name}"
        if item.outcome == "differs":
            line += f"  wanted {json.dumps(item.wanted)}  found {json.dumps(item.found, default=str)}"
        lines.append(line)
    return "\n".join(lines)


def _apply(session: Session, name: str, template: Path, parameters: Mapping[str, str]) -> StackTypeDef:
    """Create or update the stack; return it when it has settled."""
    client = session.cloudformation()
    stack = _wait(session, client, name)
    if stack is not None and stack["StackStatus"] in _DEAD:
        client.delete_stack(StackName=name)
        stack = _wait(session, client, name)
    arguments: Any = {
        "StackName": name,
        "TemplateBody": template.read_text(encoding="utf-8"),
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    }
    if stack is None:
        client.create_stack(**arguments)
    else:
        try:
            client.update_stack(**arguments)
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
    stack = _wait(session, client, name)
    if stack is None or stack["StackStatus"] not in _SETTLED:
        raise DeploymentError(f"stack {name} {_reasons(client, name, stack)}")
    return stack


def _wait(session: Session, client: CloudFormationClient, name: str) -> StackTypeDef | None:
    """Return the stack once nothing is in progress; None if there is none."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            stack = client.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        if stack["StackStatus"] == "DELETE_COMPLETE":
            return None
        if not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
        if time.monotonic() > deadline:
            raise DeploymentError(f"stack {name} is still {stack['StackStatus']} after {_WAIT_SECONDS:g} s")
        time.sleep(session.poll_seconds)


def _reasons(client: CloudFormationClient, name: str, stack: StackTypeDef | None) -> str:
    """Return the stack's status and what its failed resources say."""
    if stack is None:
        return "disappeared while it was being made"
    events = client.describe_stack_events(StackName=stack.get("StackId", name))["StackEvents"]
    failed = [
        f"  {event.get('LogicalResourceId')}: {event.get('ResourceStatusReason')}"
        for event in reversed(events)
        if event.get("ResourceStatus", "").endswith("_FAILED")
    ]
    return "\n".join(
        [f"is {stack['StackStatus']}: {stack.get('StackStatusReason', 'no reason given')}", *failed]
    )


def _check(findings: list[Finding]) -> None:
    wrong = [item for item in findings if item.important and item.outcome == "differs"]
    if wrong:
        raise DeploymentError(f"the stack is not what the template says:\n{report(wrong)}")


def _write_marker(marker: Path, outputs: Outputs) -> None:
    """Write the marker once; it keeps the time of the first deployment."""
    if marker.exists():
        return
    names = [url.rsplit("/", 1)[-1] for url in outputs.queues.values()]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    content = {"table": outputs.table, "bucket": outputs.bucket, "queues": names, "deployed_at": now}
    temporary = marker.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2), encoding="utf-8")
    temporary.replace(marker)
