"""The images of functions whose libraries are too large for a zip: built, pushed, named by their content."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.cloud import Cloud
from infra.templates import ROOT

# The template's parameter for each folder of containers/.
PARAMETERS: Final = {"ocr": "OcrImageUri", "media": "MediaImageUri", "analysis": "AnalysisImageUri"}
# Images that no deployment of late used are removed by the registry.
_KEEP_IMAGES: Final = 10


class ImageError(RuntimeError):
    """An image could not be built or pushed; the message ends with what the engine said."""


def available() -> list[str]:
    """Return the images that this checkout can build."""
    return [name for name in PARAMETERS if (ROOT / "containers" / name / "Dockerfile").is_file()]


def engine() -> str | None:
    """Return the container engine that answers here, or None."""
    for name in ("docker", "podman"):
        if shutil.which(name):
            done = subprocess.run([name, "info"], capture_output=True, timeout=60, check=False)  # noqa: S603
            if done.returncode == 0:
                return name
    return None


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


class Registry:
    """The account's repositories: `syncboard/ocr` and the like."""

    def __init__(self, cloud: Cloud, program: str, report: Callable[[str], None]) -> None:
        self._client: Any = cloud.client("ecr")
        self._engine = program
        self._report = report
        self._logged_in = False

    def publish(self, name: str) -> str:
        """Return the address of an image made from what is here; build and push it unless it is there."""
        repository = f"syncboard/{name}"
        address = f"{self._ensure(repository)}:{content_tag(name)}"
        if self._is_there(repository, content_tag(name)):
            self._report(f"image {name}: already pushed")
            return address
        self._report(f"image {name}: building …")
        dockerfile = Path("containers") / name / "Dockerfile"
        self._run("build", "--platform", "linux/amd64", "--file", str(dockerfile), "--tag", address, ".")
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
            # Lambda takes no image with attestations beside it.
            env={**os.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"},
            input=send,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            tail = "\n".join(done.stdout.strip().splitlines()[-15:])
            raise ImageError(f"{self._engine} {arguments[0]} failed:\n{tail}")


def given(arguments: Sequence[str]) -> dict[str, str]:
    """Return parameters from `ocr=URI`; an empty URI takes the function away. Raise ImageError for another name."""
    found = {}
    for argument in arguments:
        name, _, uri = argument.partition("=")
        if name not in PARAMETERS:
            raise ImageError(f"{name} is no image; there are {', '.join(PARAMETERS)}")
        found[PARAMETERS[name]] = uri
    return found
