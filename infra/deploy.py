"""Deploy a stage: `make deploy STAGE=prod`, or `python -m infra.deploy --stage prod`.

Packages, uploads, brings both stacks to what the templates say by change sets, tries the deployed API, prints where
everything is. Doing it again changes nothing; a failed update is rolled back by CloudFormation. See docs/deploy.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from infra import bearer, images, interpreters, locks, package, registry, secret, smoke, templates
from infra.artefacts import Artefacts, pointed
from infra.changesets import StackError, Stacks, Wanted
from infra.cloud import Cloud, default_region
from infra.templates import ROOT, Template
from local import stack_properties, stack_template

Report = Callable[[str], None]

# Of the template's parameters, those that both stacks have.
_SHARED: Final = ("CorsOrigin", "AlarmTopicArn")


class DeployError(RuntimeError):
    """The stage could not be deployed; the message says what to do."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to deploy."""

    stage: str
    # Folder that `infra.package` filled; None: package now.
    packaged: Path | None = None
    # Template parameters by name.
    parameters: Mapping[str, str] = {}
    # `build`: with the container engine of this machine, if there is one; `none`: leave them as they are.
    images: str = "build"
    # Image addresses by template parameter; these are not built.
    image_uris: Mapping[str, str] = {}
    dry_run: bool = False
    # Whether to try the deployed API, and with which token where tokens are not signed by our secret.
    smoke_test: bool = True
    token: str = ""


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stage is."""

    # Address of API and page.
    url: str
    dashboard: str


def deploy(cloud: Cloud, order: Order, report: Report) -> Deployed | None:
    """Deploy a stage; None after a dry run. Raise DeployError, StackError, RegistryError, BuildFailed,
    SmokeTestFailed."""
    account = cloud.account()
    report(f"stage {order.stage}: account {account}, region {cloud.region}")
    folder = order.packaged or _package(order.stage, report)
    artefacts, stacks = Artefacts(cloud, account), Stacks(cloud, report)
    artefacts.ensure()
    tags = {"syncboard:stage": order.stage}

    data = f"syncboard-{order.stage}-data"
    template = templates.read(folder / "data.yaml")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "data.yaml")
        templates.write(stack_template.named(template, order.stage, account, cloud.region), path)
        wanted = _wanted(data, template, path, order, artefacts, tags)
    stacks.deploy(wanted, dry_run=order.dry_run)
    if order.dry_run and not stacks.exists(data):
        report(f"syncboard-{order.stage}: not known before {data} is there, which it imports from")
        return None
    if not order.dry_run:
        _read_back(cloud, stacks, template, data, account, report)

    functions = f"syncboard-{order.stage}"
    before = stacks.parameters(functions)
    parameters = {"DataStack": data, **_tokens(cloud, order, before), **_images(cloud, order, report)}
    template = templates.read(folder / "template.yaml")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "template.yaml")
        templates.write(_uploaded(folder, template, artefacts), path)
        if cloud.endpoint_url:
            path = _expanded(path)
            parameters = {"MetricMath": "no", **parameters}
        wanted = _wanted(functions, template, path, order, artefacts, tags, parameters)
    stacks.deploy(wanted, dry_run=order.dry_run)
    if order.dry_run:
        return None
    deployed = _addresses(cloud, stacks, functions)
    if order.smoke_test:
        report(f"trying {deployed.url}")
        token = order.token or bearer.of_stage(cloud, order.stage, user="smoke-test", seconds=600)
        smoke.run(deployed.url, token, report)
    return deployed


def _package(stage: str, report: Report) -> Path:
    folder = ROOT / "build" / "package"
    report("packaging …")
    package.package(stage, folder, interpreters.find(interpreters.candidates()))
    return folder


def _wanted(
    name: str,
    template: Template,
    path: Path,
    order: Order,
    artefacts: Artefacts,
    tags: Mapping[str, str],
    parameters: Mapping[str, str] | None = None,
) -> Wanted:
    """Upload a template; return the stack that it makes, with those of the order's parameters that it knows."""
    known = template["Parameters"].keys()
    values = {"Stage": order.stage, **(parameters or {}), **order.parameters}
    return Wanted(
        name=name,
        template_url=artefacts.url(artefacts.upload(path)),
        parameters={key: value for key, value in values.items() if key in known},
        known_parameters=frozenset(known),
        tags=tags,
    )


def _read_back(
    cloud: Cloud, stacks: Stacks, template: Template, name: str, account: str, report: Report
) -> None:
    """Compare tables, buckets and queues with the template; on an emulator set what it dropped."""
    resolver = stack_template.Resolver(
        template, stacks.parameters(name), account=account, region=cloud.region
    )
    clients = stack_properties.Clients(dynamodb=cloud.dynamodb, s3=cloud.s3, sqs=cloud.sqs)
    findings = stack_properties.ensure(resolver.resources(), clients, write=cloud.endpoint_url is not None)
    differ = [f"{item.resource}.{item.name}" for item in findings if item.outcome == "differs"]
    report(f"{name}: {len(findings)} properties read back, {len(differ)} differ {' '.join(differ)}".rstrip())


def _tokens(cloud: Cloud, order: Order, before: Mapping[str, str]) -> dict[str, str]:
    """Return who signs tokens: an identity provider where one is named, else a secret of ours, made if need be."""
    provider = order.parameters.get("JwksUrl", before.get("JwksUrl", ""))
    if provider or "JwtSecretArn" in order.parameters:
        return {}
    return {"JwtSecretArn": before.get("JwtSecretArn") or secret.ensure(cloud, order.stage)}


def _images(cloud: Cloud, order: Order, report: Report) -> dict[str, str]:
    """Return the images' addresses as parameters; those that are not named keep what they are."""
    found = dict(order.image_uris)
    wanted = [name for name in registry.available() if registry.PARAMETERS[name] not in found]
    if order.images != "build" or order.dry_run or not wanted:
        return found
    try:
        engine = images.find_engine()
    except images.NoEngine as error:
        report(
            f"{error} Images of {', '.join(wanted)} stay as they are; --image NAME=URI names one that was built "
            "elsewhere."
        )
        return found
    repositories = registry.Registry(cloud, engine, report)
    return found | {registry.PARAMETERS[name]: repositories.publish(name) for name in wanted}


def _uploaded(folder: Path, template: Template, artefacts: Artefacts) -> Template:
    archives = sorted(folder.glob("*.zip"))
    return pointed(template, {path.name: artefacts.upload(path) for path in archives})


def _expanded(path: Path) -> Path:
    """Turn a SAM template into plain CloudFormation beside it: an emulator has no transform."""
    binaries = package.environment(interpreters.find(interpreters.candidates()))
    target = path.with_name("expanded.yaml")
    done = subprocess.run(  # noqa: S603
        [binaries / "python", "-m", "infra.expansion", path, target],
        cwd=ROOT,
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DeployError(f"the template can't be expanded:\n{done.stdout.strip()}")
    return target


def _addresses(cloud: Cloud, stacks: Stacks, functions: str) -> Deployed:
    outputs = stacks.outputs(functions)
    url = outputs["EndpointURL"]
    if cloud.endpoint_url:
        stage = url.rstrip("/").rpartition("/")[2]
        url = f"{cloud.endpoint_url}/restapis/{outputs['RestAPIId']}/{stage}/_user_request_/"
    return Deployed(
        url=url,
        dashboard=f"https://{cloud.region}.console.aws.amazon.com/cloudwatch/home?region={cloud.region}"
        f"#dashboards/dashboard/{functions}",
    )


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", description="Deploy a stage to AWS.")
    parser.add_argument(
        "--stage", required=True, help="1 to 16 lower-case letters and digits, a letter first"
    )
    parser.add_argument("--region", default=default_region(), help="(default: %(default)s)")
    parser.add_argument("--endpoint-url", help="an emulator instead of AWS")
    parser.add_argument("--package", type=Path, help="a folder made by `make package` (default: package now)")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the templates"
    )
    parser.add_argument(
        "--images", choices=["build", "none"], default="build", help="whether to build (default: %(default)s)"
    )
    parser.add_argument(
        "--image", action="append", default=[], metavar="NAME=URI", help="an image that is there already"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")
    parser.add_argument("--no-smoke-test", action="store_true", help="do not try the deployed API")
    parser.add_argument("--token", default="", help="for the smoke test, where an identity provider signs")
    return parser.parse_args(arguments)


def _order(options: argparse.Namespace) -> Order:
    pairs = [argument.partition("=") for argument in options.parameter]
    for name, equals, _ in pairs:
        if not equals:
            raise DeployError(f"--parameter {name}: write NAME=VALUE")
    return Order(
        stage=options.stage,
        packaged=options.package,
        parameters={name: value for name, _, value in pairs},
        images=options.images,
        image_uris=registry.given(options.image),
        dry_run=options.dry_run,
        smoke_test=not options.no_smoke_test,
        token=options.token,
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Deploy; return 1 with a message if it can't be done."""
    options = _arguments(arguments)
    try:
        cloud: Any = Cloud(options.region, endpoint_url=options.endpoint_url)
        deployed = deploy(cloud, _order(options), _say)
    except (
        *(DeployError, StackError, smoke.SmokeTestFailed),
        *(registry.RegistryError, images.BuildFailed, bearer.BearerError),
        *(package.PackagingError, locks.LockError, interpreters.InterpreterError),
        *(BotoCoreError, ClientError),
    ) as error:
        sys.stderr.write(f"not deployed: {error}\n")
        return 1
    if deployed is not None:
        _say(f"API and page: {deployed.url}\ndashboard:    {deployed.dashboard}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
