"""Whoever deploys may do what the templates need, by CloudFormation's own schemas, and hardly more."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from infra import templates

POLICY = json.loads((templates.ROOT / "infra" / "deployer-policy.json").read_text(encoding="utf-8"))
# A managed policy may have so many characters without spaces.
LIMIT = 6144

# What SAM makes of the functions' template, beside what stands there.
BY_SAM = {
    *("AWS::Lambda::Function", "AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping"),
    *("AWS::Lambda::LayerVersion", "AWS::Events::Rule"),
    *("AWS::ApiGateway::RestApi", "AWS::ApiGateway::Deployment", "AWS::ApiGateway::Stage"),
}
# Services and actions that the schemas name for what our templates do not use.
UNUSED = {
    "ec2:*": "no network of our own",
    "elasticfilesystem:*": "no file system",
    "s3files:*": "no file system",
    "firehose:*": "logs stay in CloudWatch",
    "kinesis:*": "no stream behind the table",
    "kms:*": "keys of the services",
    "s3tables:*": "no tables of metadata",
    "iam:*Boundary": "no boundary",
    "iam:*GroupPolicy": "roles only",
    "iam:*UserPolicy": "roles only",
    "iam:CreateServiceLinkedRole": "no replicas",
    "dynamodb:*Replica": "one region",
    "dynamodb:*Item": "CloudFormation touches no rows",
    "dynamodb:Query": "CloudFormation touches no rows",
    "dynamodb:Scan": "CloudFormation touches no rows",
    "dynamodb:*ResourcePolicy": "none",
    "dynamodb:*Import*": "none",
    "dynamodb:??ableKinesisStreamingDestination": "none",
    "dynamodb:???ableKinesisStreamingDestination": "none",
    "dynamodb:UpdateKinesisStreamingDestination": "none",
    "dynamodb:UpdateContributorInsights": "off",
    "lambda:*CodeSigningConfig": "not signed",
    "lambda:*FunctionConcurrency": "nothing reserved",
    "lambda:Put*Config": "defaults",
    "lambda:PublishVersion": "no versions",
    "lambda:PassCapacityProvider": "no instances",
    "lambda:AssociateRuntimeAlias": "defaults",
    "logs:*KmsKey": "keys of the service",
    "logs:*DataProtectionPolicy": "none",
    "logs:*IndexPolicy": "none",
    "logs:DeleteResourcePolicy": "none of ours",
    "logs:PutBearerTokenAuthentication": "none",
    "logs:PutLogGroupDeletionProtection": "none",
    "logs:CreateLogStream": "the service's own",
    "logs:PutLogEvents": "the service's own",
    "logs:DescribeLogStreams": "the service's own",
    "s3:DeleteBucket?*": "what the templates set stays set",
    "s3:*Metadata*": "none",
    "s3:*Replication*": "one region",
    "s3:*Acl": "off",
    "s3:*Website": "none",
    "s3:PutAccelerateConfiguration": "off",
    "s3:PutAnalyticsConfiguration": "none",
    "s3:PutIntelligentTieringConfiguration": "none",
    "s3:PutInventoryConfiguration": "none",
    "s3:PutMetricsConfiguration": "none",
    "s3:Put*ObjectLockConfiguration": "off",
    "s3:PutBucketAbac": "off",
    "s3:PutBucketLogging": "off",
    "s3:REST.PUT.OBJECT": "no action",
}
# What `infra.deploy` and `infra.destroy` call by themselves.
OWN = {
    *(f"cloudformation:{name}ChangeSet" for name in ("Create", "Describe", "Delete", "Execute")),
    *(f"cloudformation:Describe{name}" for name in ("Stacks", "StackEvents", "Events")),
    "cloudformation:DeleteStack",
    *(f"s3:{name}" for name in ("PutObject", "DeleteObject", "DeleteObjectVersion", "ListBucketVersions")),
    *(f"secretsmanager:{name}Secret" for name in ("Create", "Describe", "Restore", "Delete")),
    *("secretsmanager:GetSecretValue", "secretsmanager:TagResource"),
    *(f"ecr:{name}" for name in ("CreateRepository", "DescribeRepositories", "PutLifecyclePolicy")),
    *(f"ecr:{name}" for name in ("DescribeImages", "GetAuthorizationToken", "TagResource")),
    # The engine's push.
    *(f"ecr:{name}" for name in ("BatchCheckLayerAvailability", "InitiateLayerUpload", "UploadLayerPart")),
    *(f"ecr:{name}" for name in ("CompleteLayerUpload", "PutImage")),
    # Lambda's creation from an image: it reads as the deployer, and lets itself in.
    *(f"ecr:{name}" for name in ("BatchGetImage", "GetDownloadUrlForLayer", "GetRepositoryPolicy")),
    "ecr:SetRepositoryPolicy",
    # API Gateway's, when a stage gets a log.
    *("logs:CreateLogDelivery", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies"),
}


@lru_cache(maxsize=1)
def _schemas() -> tuple[Path, dict[str, str]]:
    spec = find_spec("cfnlint")
    assert spec is not None
    assert spec.origin
    root = Path(spec.origin).parent / "data" / "schemas"
    return root / "resources", json.loads((root / "providers" / "us-east-1.json").read_text(encoding="utf-8"))


def needed(kind: str) -> set[str]:
    """Return the actions that CloudFormation's schema names for making, reading, changing and deleting."""
    folder, index = _schemas()
    schema = json.loads((folder / f"{index[kind]}.json").read_text(encoding="utf-8"))
    return {
        action
        for handler in ("create", "read", "update", "delete")
        for action in schema["handlers"].get(handler, {}).get("permissions", ())
    }


def kinds() -> set[str]:
    """Return the types of all resources of both stacks, as CloudFormation gets them."""
    written = {
        resource["Type"]
        for path in (templates.DATA, templates.FUNCTIONS)
        for resource in templates.read(path)["Resources"].values()
        if "Type" in resource
    }
    return {kind for kind in written if not kind.startswith("AWS::Serverless")} | BY_SAM


def allowed() -> Iterator[str]:
    for statement in POLICY["Statement"]:
        actions = statement["Action"]
        yield from actions if isinstance(actions, list) else [actions]


def matches(action: str, patterns: Any) -> bool:
    return any(fnmatch.fnmatchcase(action, pattern) for pattern in patterns)


def test_every_type_of_resource_can_be_made_read_changed_and_deleted() -> None:
    granted = list(allowed())
    missing = {
        action
        for kind in kinds()
        for action in needed(kind)
        if not matches(action, granted) and not matches(action, UNUSED)
    }
    assert missing == set()


def test_nothing_is_allowed_that_nobody_needs() -> None:
    wanted = OWN.union(*(needed(kind) for kind in kinds()))
    idle = [action for action in allowed() if not any(fnmatch.fnmatchcase(name, action) for name in wanted)]
    assert idle == []


def test_what_the_deployment_itself_calls_is_allowed() -> None:
    assert {action for action in OWN if not matches(action, list(allowed()))} == set()


@pytest.mark.parametrize("statement", POLICY["Statement"], ids=lambda statement: statement["Sid"])
def test_a_statement_reaches_only_what_carries_our_name(statement: dict[str, Any]) -> None:
    """Where it can: some actions know no resources, ids of event sources and of APIs are AWS's."""
    open_ones = {"ListLogGroups", "AccessLogs", "RegistryLogin", "EventSources", "Api"}
    resources = statement["Resource"]
    for resource in resources if isinstance(resources, list) else [resources]:
        named = "syncboard" in resource or resource.endswith("transform/Serverless-2016-10-31")
        assert named or statement["Sid"] in open_ones, resource


def test_it_fits_into_one_managed_policy() -> None:
    assert len(json.dumps(POLICY, separators=(",", ":"))) <= LIMIT
