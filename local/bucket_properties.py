"""A bucket's configurations, from CloudFormation's names and nesting to those of the S3 API."""

from __future__ import annotations

from typing import Any


def same(value: dict[str, Any]) -> dict[str, Any]:
    """Return `value`: both sides name things alike."""
    return value


def encryption(value: dict[str, Any]) -> dict[str, Any]:
    """Return the argument of PutBucketEncryption."""
    rules = value["ServerSideEncryptionConfiguration"]
    return {
        "Rules": [
            {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]} for rule in rules
        ]
    }


def cors(value: dict[str, Any]) -> dict[str, Any]:
    """Return the argument of PutBucketCors."""
    names = {"ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds", "Id": "ID"}
    return {"CORSRules": [{names.get(k, k): v for k, v in rule.items()} for rule in value["CorsRules"]]}


def lifecycle(value: dict[str, Any]) -> dict[str, Any]:
    """Return the argument of PutBucketLifecycleConfiguration."""
    return {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    converted: dict[str, Any] = {
        "ID": rule["Id"],
        "Status": rule["Status"],
        "Filter": {"Prefix": rule.get("Prefix", "")},
    }
    expiration = {"ExpirationInDays": "Days", "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker"}
    for key, item in rule.items():
        if key in expiration:
            number = int(item) if key == "ExpirationInDays" else item
            converted.setdefault("Expiration", {})[expiration[key]] = number
        elif key in ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"):
            converted[key] = {name: int(days) for name, days in item.items()}
        elif key not in ("Id", "Status", "Prefix"):
            raise ValueError(f"lifecycle rule {rule['Id']}: {key} is not understood")
    return converted


def notification(value: dict[str, Any]) -> dict[str, Any]:
    """Return the argument of PutBucketNotificationConfiguration."""
    return {
        "QueueConfigurations": [
            {
                "QueueArn": item["Queue"],
                "Events": [item["Event"]],
                "Filter": {"Key": {"FilterRules": item["Filter"]["S3Key"]["Rules"]}},
            }
            for item in value["QueueConfigurations"]
        ]
    }
