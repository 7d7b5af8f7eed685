"""`python -m local.worker_environment STAGE --region REGION`: with what a worker finds a stack that is deployed.

Prints `NAME=value` lines, for the environment file of a systemd unit or a Compose service. There is no secret among
them: credentials are the machine's own (an instance profile, or a profile of the AWS command line).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from local.containers import MODELS
from local.outputs import DeploymentError, Outputs, outputs_of, stack_name
from local.sessions import LOCAL_REGION, Session


def find(stage: str, *, region: str, endpoint_url: str | None = None) -> Outputs:
    """Return where a stage's data stack is, at AWS or at an emulator; raise DeploymentError."""
    name = stack_name(stage)
    try:
        client = Session(endpoint_url, region).cloudformation()
        stack = client.describe_stacks(StackName=name)["Stacks"][0]
    except (BotoCoreError, ClientError) as error:
        raise DeploymentError(f"looking for {name} in {region}: {error}") from error
    return outputs_of(stack, stage, endpoint_url, region, [])


def lines(outputs: Outputs) -> list[str]:
    """Return the variables of a worker, one a line."""
    variables = {**outputs.environment, "SYNCBOARD_MODEL_FOLDER": str(MODELS)}
    return [f"{name}={value}" for name, value in variables.items()]


def main(arguments: Sequence[str]) -> int:
    """Print them; return the exit code."""
    parser = argparse.ArgumentParser(prog="local.worker_environment", description="A worker's environment.")
    parser.add_argument("stage", help="stage of the deployed stack")
    parser.add_argument("--region", default=LOCAL_REGION, help="region that it is in (default %(default)s)")
    parser.add_argument("--endpoint-url", help="of an emulator, in place of AWS")
    given = parser.parse_args(arguments)
    try:
        outputs = find(given.stage, region=given.region, endpoint_url=given.endpoint_url)
    except DeploymentError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("\n".join(lines(outputs)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
