"""The package deployed by `make deploy`'s own code to a whole emulator: both stacks, the API, a job, and down again.

No Docker: the functions are the packaged zip, run by the emulator under the package's own Python. What an emulator
can't show (policies, images, what CloudFormation itself refuses) is in docs/deploy.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from infra import bearer, deploy, destroy, interpreters, package
from infra.changesets import Stacks
from infra.cloud import Cloud
from infra.interpreters import InterpreterError
from syncboard.client import Client
from tests import wholeaws

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

STAGE = "try"


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Package once, as `make package` does."""
    folder = tmp_path_factory.mktemp("package")
    try:
        package.package(STAGE, folder, interpreters.find(interpreters.candidates()), lint=False)
    except InterpreterError as error:
        if interpreters.can_be_expected():
            raise
        pytest.skip(f"THE DEPLOYMENT TEST DID NOT RUN: {error}")
    return folder


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, packaged: Path) -> Iterator[Cloud]:
    assert packaged.is_dir()  # first: without a Python to package with there is nothing to start
    python = wholeaws.python_for(interpreters.find(interpreters.candidates()))
    with wholeaws.running(python, tmp_path_factory.mktemp("aws")) as url:
        yield Cloud("us-east-1", endpoint_url=url)


def test_a_stage_is_deployed_used_deployed_again_taken_down_and_brought_back(
    cloud: Cloud, packaged: Path
) -> None:
    said: list[str] = []
    order = deploy.Order(stage=STAGE, packaged=packaged, images="none")

    # Nothing is there, and after a look nothing is.
    assert deploy.deploy(cloud, replace(order, dry_run=True), said.append) is None
    assert not Stacks(cloud, said.append).exists(f"syncboard-{STAGE}-data")

    # Deploying includes the smoke test: form, bucket, event, intake, its own event source, SUCCESS, deletion.
    deployed = deploy.deploy(cloud, order, said.append)
    assert deployed is not None
    assert any("a file became a document" in line for line in said)

    assert httpx.get(f"{deployed.url}jobs").status_code == httpx.codes.UNAUTHORIZED
    # What a browser asks before it calls from another origin's page. (The emulator leaves out the answer's headers.)
    assert httpx.options(f"{deployed.url}jobs").status_code == httpx.codes.OK
    token = bearer.of_stage(cloud, STAGE, user="ann", seconds=600)
    with Client(deployed.url, token) as client:
        # Light jobs and a JSON body go through their own queues and event sources, too.
        noop = client.wait(client.submit_task("noop")["job_id"], timeout=60)
        note = client.wait(client.submit_bytes("note.txt", b"Tides follow the moon.")["job_id"], timeout=60)
        assert (noop["state"], note["state"]) == ("SUCCESS", "SUCCESS")
        assert client.health()["capabilities"]["ocr"]["state"] == "unavailable"
        doc_id = note["result"]["doc_id"]

        # Again: nothing changes, and the secret is the same.
        said.clear()
        again = deploy.deploy(cloud, replace(order, smoke_test=False), said.append)
        assert again == deployed
        assert [line for line in said if line.endswith("nothing to change")] == [
            f"syncboard-{STAGE}-data: nothing to change",
            f"syncboard-{STAGE}: nothing to change",
        ]
        assert client.document(doc_id)["text"] == "Tides follow the moon."

    # Down, with its data kept; up again, with its data found.
    destroy.destroy(cloud, STAGE, said.append)
    assert not Stacks(cloud, said.append).exists(f"syncboard-{STAGE}-data")
    back = deploy.deploy(cloud, replace(order, smoke_test=False), said.append)
    assert back is not None
    with Client(back.url, token) as client:
        assert client.document(doc_id)["text"] == "Tides follow the moon."

    # Down, with everything.
    assert destroy.main(arguments(cloud, "--delete-data"), ask=lambda _: "other") == 1
    assert Stacks(cloud, said.append).exists(f"syncboard-{STAGE}-data")
    assert destroy.main(arguments(cloud, "--delete-data"), ask=lambda _: STAGE) == 0
    left = [bucket["Name"] for bucket in cloud.s3.list_buckets()["Buckets"]]
    assert left == [f"syncboard-artefacts-{cloud.account()}-us-east-1"]
    assert cloud.dynamodb.list_tables()["TableNames"] == []


def arguments(cloud: Cloud, *more: str) -> list[str]:
    return ["--stage", STAGE, "--region", cloud.region, "--endpoint-url", str(cloud.endpoint_url), *more]
