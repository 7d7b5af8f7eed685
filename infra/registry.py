"""The images of a deployment in the account's registry: built where an engine runs, named by their content."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from infra import images
from infra.cloud import Cloud
from infra.templates import ROOT

# The template's parameter for each folder of containers/ that a function is made of.
PARAMETERS: Final = {"ocr": "OcrImageUri", "media": "MediaImageUri", "analysis": "AnalysisImageUri"}
# So many images of a kind stay; older ones are removed by the registry.
_KEEP_IMAGES: Final = 10


class RegistryError(RuntimeError):
    """An image could not be pushed, or is none of ours; the message ends with what the engine said."""


def available() -> list[str]:
    """Return the images that this checkout can build for the templates."""
    return [name for name in images.names() if name in PARAMETERS]


def content_tag(name: str) -> str:
    """Return a tag that changes with everything that an image is made from, its base excepted."""
    digest = hashlib.sha256()
    folders = [ROOT / "containers" / name, ROOT / "chalicelib"]
    files = [ROOT / "containers" / "runtime.txt"]
    files += [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    for path in sorted(files):
        if "__pycache__" not in path.parts:
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:24]


def given(arguments: Sequence[str]) -> dict[str, str]:
    """Return parameters from `ocr=URI`; an empty URI takes the function away. Raise RegistryError."""
    found = {}
    for argument in arguments:
        name, _, uri = argument.partition("=")
        if name not in PARAMETERS:
            raise RegistryError(f"{name} is no image; there are {', '.join(PARAMETERS)}")
        found[PARAMETERS[name]] = uri
    return found


class Registry:
    """The account's repositories: `syncboard/ocr` and the like. `engine` is the command of one that runs."""

    def __init__(self, cloud: Cloud, engine: str, report: Callable[[str], None]) -> None:
        self._client: Any = cloud.client("ecr")
        self._engine = engine
        self._report = report
        self._logged_in = False

    def publish(self, name: str) -> str:
        """Return the address of an image made from what is here; build and push it unless it is there.

        Raise RegistryError or images.BuildFailed.
        """
        repository = f"syncboard/{name}"
        address = f"{self._ensure(repository)}:{content_tag(name)}"
        if self._is_there(repository, content_tag(name)):
            self._report(f"image {name}: already pushed")
            return address
        self._report(f"image {name}: building …")
        # Lambda takes no image with attestations beside it.
        os.environ["BUILDX_NO_DEFAULT_ATTESTATIONS"] = "1"
        local = images.build(name, engine=self._engine, platform="linux/amd64")
        self._run("tag", local, address)
        self._log_in(address)
        self._report(f"image {name}: pushing …")
        self._run("push", address)
        return address

    def _ensure(self, repository: str) -> str:
        """Return a repository's address; make it where there is none."""
        try:
            found = self._client.describe_repositories(repositoryNames=[repository])
        except ClientError as error:
            if error.response["Error"]["Code"] != "RepositoryNotFoundException":
                raise
        else:
            return str(found["repositories"][0]["repositoryUri"])
        made = self._client.create_repository(
            repositoryName=repository,
            imageTagMutability="IMMUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
        )
        rule = {
            "rulePriority": 1,
            "description": "the latest",
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": _KEEP_IMAGES},
            "action": {"type": "expire"},
        }
        self._client.put_lifecycle_policy(
            repositoryName=repository, lifecyclePolicyText=json.dumps({"rules": [rule]})
        )
        return str(made["repository"]["repositoryUri"])

    def _is_there(self, repository: str, tag: str) -> bool:
        try:
            self._client.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
        except ClientError as error:
            if error.response["Error"]["Code"] == "ImageNotFoundException":
                return False
            raise
        return True

    def _log_in(self, address: str) -> None:
        if self._logged_in:
            return
        data = self._client.get_authorization_token()["authorizationData"][0]
        user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        host = address.partition("/")[0]
        self._run("login", "--username", user, "--password-stdin", host, send=password)
        self._logged_in = True

    def _run(self, *arguments: str, send: str | None = None) -> None:
        done = subprocess.run(  # noqa: S603
            [self._engine, *arguments],
            cwd=ROOT,
            input=send,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            tail = "\n".join(done.stdout.strip().splitlines()[-15:])
            raise RegistryError(f"{self._engine} {arguments[0]} failed:\n{tail}")
