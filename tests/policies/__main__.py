"""`python -m tests.policies`: package, deploy to a whole emulator, use it, and see whether policies are wide enough.

The emulator enforces none. So each function's requests go through a recorder of its own, those of its child processes
too, and are held to the policy that it has on AWS. Prints how many requests there were and what would be denied;
exits with 1 if anything would. Takes a minute on a quiet machine, so it is not part of `make test`.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from infra import bearer, deploy, interpreters, package, templates
from infra.cloud import Cloud
from syncboard.client import Client
from tests import permissions, wholeaws
from tests.policies import usage
from tests.policies.recorder import Recorder, recording

STAGE: Final = "try"
# Functions of the zip; their policies are .chalice/policy-<name>.json.
FUNCTIONS: Final = ("api", "intake", "uploads", "low_priority", "sweeper")


def record(cloud: Cloud, stack: ExitStack) -> dict[str, Recorder]:
    """Send the functions' requests through recorders, by function."""
    client: Any = cloud.client("lambda")
    recorders = {}
    for name in FUNCTIONS:
        recorders[name] = stack.enter_context(recording(str(cloud.endpoint_url)))
        function = f"syncboard-{STAGE}-{name}"
        before = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
        client.update_function_configuration(
            FunctionName=function,
            Environment={"Variables": {**before, "AWS_ENDPOINT_URL": recorders[name].url}},
        )
    return recorders


def report(recorders: dict[str, Recorder]) -> bool:
    """Print what each function asked for; tell whether all of it is allowed."""
    policies = templates.policies()
    good = True
    for name, recorder in recorders.items():
        asked = {need for call in recorder.calls for need in permissions.needs(call)}
        missing = permissions.denied(asked, policies[f"policy-{name}.json"])
        print(f"{name:13} {len(recorder.calls):4} requests, {len(missing)} would be denied")
        for need in sorted(missing, key=str):
            print(f"    {need}")
        good = good and bool(recorder.calls) and not missing
    return good


def main() -> int:
    """Do all of it."""
    interpreter = interpreters.find(interpreters.candidates())
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        package.package(STAGE, folder / "package", interpreter, lint=False)
        url = stack.enter_context(wholeaws.running(wholeaws.python_for(interpreter), folder))
        cloud = Cloud("us-east-1", endpoint_url=url)
        order = deploy.Order(stage=STAGE, packaged=folder / "package", images="none", smoke_test=False)
        deployed = deploy.deploy(cloud, order, print)
        assert deployed is not None
        recorders = record(cloud, stack)
        token = bearer.of_stage(cloud, STAGE, user="ann", seconds=3600)
        with Client(deployed.url, token) as client:
            usage.use(cloud, STAGE, client, folder)
        return 0 if report(recorders) else 1


if __name__ == "__main__":
    sys.exit(main())
