"""Tables, buckets and queues of a CloudFormation template, resolved as they will be.

Of the functions only `!Ref`, `!Sub` and `!GetAtt X.Arn` are resolved; another one within a table, bucket or queue is
an error, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

_SUB_NAME: Final = re.compile(r"\$\{([A-Za-z0-9:.]+)\}")
_ARNS: Final = {
    "AWS::SQS::Queue": "arn:aws:sqs:{region}:{account}:{name}",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{region}:{account}:table/{name}",
}
_NAMES: Final = {
    "AWS::SQS::Queue": "QueueName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::DynamoDB::Table": "TableName",
}


class TemplateError(ValueError):
    """The template uses something that is not understood here, or a parameter without a value."""


def named(template: Mapping[str, Any], stage: str, account: str, region: str) -> dict[str, Any]:
    """Return `template` with the names of what outlives its stack written out.

    So a stack that is made anew takes up the table and the bucket that a deleted one left: CloudFormation imports
    only what it need not work out the name of.
    """
    resolver = Resolver(template, {"Stage": stage}, account=account, region=region)
    resources = dict(template["Resources"])
    for resource in resolver.resources():
        kept = resources[resource.logical_name]
        if kept.get("DeletionPolicy") == "Retain":
            name = _NAMES[resource.type]
            properties = {**kept["Properties"], name: resource.properties[name]}
            resources[resource.logical_name] = {**kept, "Properties": properties}
    return {**template, "Resources": resources}


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """A resource of a template with its properties resolved."""

    # Name within the template: `IntakeQueue`.
    logical_name: str
    # `AWS::SQS::Queue`.
    type: str
    # Properties under CloudFormation's names.
    properties: dict[str, Any]


class Resolver:
    """Resolves the values of one template for one stack."""

    def __init__(
        self, template: Mapping[str, Any], parameters: Mapping[str, str], *, account: str, region: str
    ) -> None:
        self._resources: Mapping[str, Any] = template["Resources"]
        self._region = region
        self._account = account
        defaults = {name: value.get("Default") for name, value in template.get("Parameters", {}).items()}
        pseudo = {"AWS::AccountId": account, "AWS::Region": region, "AWS::Partition": "aws"}
        self._values: dict[str, Any] = {**defaults, **parameters, **pseudo}

    def resources(self) -> list[Resource]:
        """Return the tables, buckets and queues, resolved."""
        return [
            Resource(
                logical_name=name, type=resource["Type"], properties=self.resolve(resource["Properties"])
            )
            for name, resource in self._resources.items()
            if resource["Type"] in _NAMES
        ]

    def resolve(self, value: Any) -> Any:
        """Return `value` with all functions replaced by what they stand for."""
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        key = next(iter(value), "")
        if key == "Ref" or key.startswith("Fn::"):
            return self._call(key, value[key])
        return {key: self.resolve(item) for key, item in value.items()}

    def _call(self, function: str, argument: Any) -> Any:
        if function == "Ref":
            return self._ref(argument)
        if function == "Fn::Sub" and isinstance(argument, str):
            return _SUB_NAME.sub(lambda match: str(self._sub(match[1])), argument)
        if function == "Fn::GetAtt":
            return self._attribute(".".join(argument))
        raise TemplateError(f"{function} {argument} is not understood")

    def _sub(self, name: str) -> Any:
        return self._attribute(name) if "." in name else self._ref(name)

    def _ref(self, name: str) -> Any:
        if name in self._resources:
            return self._physical_name(name)
        if self._values.get(name) is None:
            raise TemplateError(f"no value for {name}")
        return self._values[name]

    def _physical_name(self, logical_name: str) -> str:
        resource = self._resources[logical_name]
        if resource["Type"] not in _NAMES:
            raise TemplateError(
                f"the name of {logical_name} ({resource['Type']}) is not known before it is made"
            )
        return str(self.resolve(resource["Properties"][_NAMES[resource["Type"]]]))

    def _attribute(self, reference: str) -> str:
        logical_name, _, attribute = reference.partition(".")
        pattern = _ARNS.get(self._resources.get(logical_name, {}).get("Type", ""))
        if attribute != "Arn" or pattern is None:
            raise TemplateError(f"{reference} is not understood")
        name = self._physical_name(logical_name)
        return pattern.format(region=self._region, account=self._account, name=name)
