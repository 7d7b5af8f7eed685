"""CloudFormation templates as plain dictionaries: reading, walking, writing.

Short forms (`!Ref x`, `!GetAtt a.b`) are read as their long forms, so that the rest of the code knows one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

Template = dict[str, Any]

ROOT: Final = Path(__file__).resolve().parent.parent
DATA: Final = ROOT / "infra" / "data.yaml"
FUNCTIONS: Final = ROOT / "infra" / "functions.yaml"
CHALICE: Final = ROOT / ".chalice"

# Part of every resource's name; both templates say the same.
STAGE: Final = re.compile(r"[a-z][a-z0-9]{0,15}")

# Chalice names a function's resource after the function, but for the one that answers HTTP.
_API_HANDLER: Final = "api_handler"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags; a key that is there twice is an error (YAML would take the last one)."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Look at the keys before those of `<<` come in."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value} is there twice", key.start_mark
                )
            seen.add(key.value)
        super().flatten_mapping(node)


class _Dumper(yaml.SafeDumper):
    """YAML without anchors and aliases: CloudFormation does not promise to read them."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write every value out."""
        return True


def _long_form(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any = None
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _long_form)


def parse(text: str) -> Template:
    """Return the template in `text` (YAML or JSON)."""
    return yaml.load(text, Loader=_Loader)  # type: ignore[no-any-return]  # noqa: S506  # a SafeLoader


def read(path: Path) -> Template:
    """Return the template in a file."""
    return parse(path.read_text(encoding="utf-8"))


def write(template: Template, path: Path) -> None:
    """Write a template as YAML without aliases, keys in their order."""
    path.write_text(yaml.dump(template, Dumper=_Dumper, sort_keys=False, width=110), encoding="utf-8")


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping in `value`, outermost first."""
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from walk(child)
    elif isinstance(value, list):
        for child in value:
            yield from walk(child)


def imports(value: Any) -> list[str]:
    """Return what `value` imports of the data stack: `TableArn` for `${DataStack}-TableArn`."""
    found = []
    for mapping in walk(value):
        name = mapping.get("Fn::ImportValue")
        if isinstance(name, dict):
            name = name.get("Fn::Sub")
        if isinstance(name, str):
            found.append(name.removeprefix("${DataStack}-"))
    return found


def resource_name(function: str) -> str:
    """Return the resource that Chalice makes of a function: LowPriority for low_priority."""
    if function == _API_HANDLER:
        return "APIHandler"
    return "".join(part.capitalize() for part in function.split("_"))


def chalice_config() -> dict[str, Any]:
    """Return `.chalice/config.json`."""
    return json.loads((CHALICE / "config.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def with_stage(config: dict[str, Any], stage: str) -> dict[str, Any]:
    """Return the configuration with `stage` in it: one that it does not name is made like `prod`."""
    made = {**config["stages"]["prod"], "api_gateway_stage": stage}
    return {**config, "stages": {stage: made, **config["stages"]}}


def policies() -> dict[str, Any]:
    """Return the functions' IAM policies by file name."""
    files = sorted(CHALICE.glob("policy-*.json"))
    return {file.name: json.loads(file.read_text(encoding="utf-8")) for file in files}


def policies_within(template: Template) -> dict[str, Any]:
    """Return the IAM policies that a template's own roles and policies hold, by resource."""
    found = {}
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource.get("Type") == "AWS::IAM::Policy":
            found[name] = properties["PolicyDocument"]
        if resource.get("Type") == "AWS::IAM::Role":
            statements = [
                statement
                for policy in properties.get("Policies", ())
                for statement in policy["PolicyDocument"]["Statement"]
            ]
            found[name] = {"Statement": statements}
    return found


def with_chalice_settings(template: Template, config: dict[str, Any], stage: str) -> Template:
    """Return the merge template with the time limits and memory that Chalice will add from its configuration.

    So the sources can be checked without packaging. The packaged template has them already.
    """
    filled = parse(json.dumps(template))
    for function, options in config["stages"][stage]["lambda_functions"].items():
        resource = filled["Resources"].setdefault(resource_name(function), {})
        properties = resource.setdefault("Properties", {})
        properties.setdefault("Timeout", options["lambda_timeout"])
        properties.setdefault("MemorySize", options["lambda_memory_size"])
    return filled
