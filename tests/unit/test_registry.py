"""Images of a deployment: built once for their content, pushed with a password that nobody sees."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.stub import Stubber

from infra import images, registry
from infra.cloud import Cloud
from infra.registry import Registry, RegistryError

URI = "123456789012.dkr.ecr.us-east-1.amazonaws.com/syncboard/ocr"
FOUND = {"repositories": [{"repositoryUri": URI}]}

# Writes down what it is asked, and what it is sent.
ENGINE = """#!/bin/sh
echo "$@" >> "$0.log"
[ "$1" = login ] && cat >> "$0.log"
[ "$1" = push ] && [ -e "$0.refuses" ] && { echo "denied: no such repository"; exit 1; }
exit 0
"""


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    path = tmp_path / "docker"
    path.write_text(ENGINE)
    path.chmod(0o755)
    return path


@pytest.fixture
def repositories(monkeypatch: pytest.MonkeyPatch, engine: Path) -> Registry:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    said: list[str] = []
    return Registry(Cloud("us-east-1"), str(engine), said.append)


@pytest.fixture
def ecr(repositories: Registry) -> Iterator[Stubber]:
    with Stubber(repositories._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def log(engine: Path) -> str:
    return Path(f"{engine}.log").read_text()


def a_token(ecr: Stubber) -> None:
    token = base64.b64encode(b"AWS:very-secret").decode()
    ecr.add_response("get_authorization_token", {"authorizationData": [{"authorizationToken": token}]})


def test_a_new_image_is_built_and_pushed_into_a_new_repository(
    ecr: Stubber, repositories: Registry, engine: Path
) -> None:
    ecr.add_client_error("describe_repositories", "RepositoryNotFoundException")
    ecr.add_response("create_repository", {"repository": {"repositoryUri": URI}})
    ecr.add_response("put_lifecycle_policy", {})
    ecr.add_client_error("describe_images", "ImageNotFoundException")
    a_token(ecr)
    address = repositories.publish("ocr")
    assert address == f"{URI}:{registry.content_tag('ocr')}"
    lines = log(engine).splitlines()
    assert [line.split()[0] for line in lines] == ["build", "tag", "login", "very-secretpush"]
    assert "--platform linux/amd64" in lines[0]
    assert lines[1] == f"tag {images.tag('ocr')} {address}"
    # By its input, not as an argument, which every process could read.
    assert "very-secret" not in lines[2]
    assert lines[3].endswith(f"push {address}")


def test_an_image_that_is_there_is_not_built_again(
    ecr: Stubber, repositories: Registry, engine: Path
) -> None:
    ecr.add_response("describe_repositories", FOUND)
    ecr.add_response("describe_images", {"imageDetails": []})
    assert repositories.publish("ocr").startswith(URI)
    assert not Path(f"{engine}.log").exists()


def test_a_refused_push_says_what_the_engine_said(ecr: Stubber, repositories: Registry, engine: Path) -> None:
    Path(f"{engine}.refuses").touch()
    ecr.add_response("describe_repositories", FOUND)
    ecr.add_client_error("describe_images", "ImageNotFoundException")
    a_token(ecr)
    with pytest.raises(RegistryError, match="denied: no such repository"):
        repositories.publish("ocr")


def test_every_image_of_the_templates_has_a_tag_of_its_own_that_stays() -> None:
    tags = {registry.content_tag(name) for name in registry.available()}
    assert len(tags) == len(registry.available()) >= 2
    assert tags == {registry.content_tag(name) for name in registry.available()}


def test_given_images_become_parameters_and_an_empty_one_takes_the_function_away() -> None:
    assert registry.given(["ocr=a:b", "media="]) == {"OcrImageUri": "a:b", "MediaImageUri": ""}
    with pytest.raises(RegistryError, match="pictures is no image"):
        registry.given(["pictures=x"])
