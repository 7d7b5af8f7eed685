"""Where everything of a deployed data stack is, and the variables with which the service finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from chalicelib.settings import QUEUES, queue_variable
from local.sessions import LOCAL_CREDENTIALS
from local.stack_properties import Finding

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef


class DeploymentError(RuntimeError):
    """The stack could not be deployed, or is not what the template says; the message gives the reasons."""


class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """A deployed data stack."""

    # Deployment stage.
    stage: str
    # Where it was deployed; None: AWS.
    endpoint_url: str | None
    region: str
    # DynamoDB table.
    table: str
    # S3 bucket.
    bucket: str
    # Queue URL by the queue's name (`chalicelib.settings.QUEUES`), and of its dead-letter queue.
    queues: dict[str, str]
    dead_letter_queues: dict[str, str]
    # What was read back, property by property.
    findings: list[Finding]

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which the service and the AWS SDK find this stack."""
        variables = {
            "SYNCBOARD_STAGE": self.stage,
            "SYNCBOARD_TABLE": self.table,
            "SYNCBOARD_BUCKET": self.bucket,
            "AWS_DEFAULT_REGION": self.region,
            **{queue_variable(name): url for name, url in self.queues.items()},
        }
        if self.endpoint_url:
            variables |= {"AWS_ENDPOINT_URL": self.endpoint_url, **LOCAL_CREDENTIALS}
        return variables


def stack_name(stage: str) -> str:
    """Return the name of the data stack."""
    return f"syncboard-{stage}-data"


def outputs_of(
    stack: StackTypeDef, stage: str, endpoint_url: str | None, region: str, findings: list[Finding]
) -> Outputs:
    """Return where everything of a deployed data stack is; raise DeploymentError where it does not say."""
    values = {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}
    try:
        return Outputs(
            stage=stage,
            endpoint_url=endpoint_url,
            region=region,
            table=values["TableName"],
            bucket=values["BucketName"],
            queues={name: _at(endpoint_url, values[f"{_pascal(name)}QueueUrl"]) for name in QUEUES},
            dead_letter_queues={name: _at(endpoint_url, values[f"{_pascal(name)}DlqUrl"]) for name in QUEUES},
            findings=findings,
        )
    except KeyError as error:
        raise DeploymentError(f"stack {stack['StackName']} has no output {error}") from None


def _pascal(queue: str) -> str:
    return "".join(word.capitalize() for word in queue.replace("_", "-").split("-"))


def _at(endpoint_url: str | None, queue_url: str) -> str:
    """Return a queue's URL at the endpoint: the emulator prints the port that it had when the queue was made."""
    if endpoint_url is None or urlsplit(queue_url).hostname not in ("localhost", "127.0.0.1"):
        return queue_url
    return urlsplit(queue_url)._replace(netloc=urlsplit(endpoint_url).netloc).geturl()
