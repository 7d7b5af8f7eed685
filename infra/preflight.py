"""What a browser asks before it calls the API from another origin's page: `OPTIONS`, answered by API Gateway itself.

Every call carries `Authorization`, so a browser asks before each kind of them (Fetch standard, "CORS preflight");
without an answer of 200 the parameter `CorsOrigin` would mean nothing. Chalice makes such answers too, but with an
origin that is fixed when the package is made.
"""

from __future__ import annotations

from typing import Any, Final

from infra.templates import Template

# As in the gateway's own answers, infra/functions.yaml.
_REQUEST_HEADERS: Final = "Authorization,Content-Type,Idempotency-Key,If-None-Match"
# Two hours: browsers keep it no longer.
_MAX_AGE: Final = 7200


def add_preflights(template: Template) -> None:
    """Give each path of the packaged API a method OPTIONS that costs no function call."""
    for methods in template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"].values():
        methods["options"] = _preflight(sorted(name.upper() for name in methods if name != "options"))


def _preflight(methods: list[str]) -> dict[str, Any]:
    headers: dict[str, Any] = {
        "Access-Control-Allow-Origin": {"Fn::Sub": "'${CorsOrigin}'"},
        "Access-Control-Allow-Methods": f"'{','.join(methods)}'",
        "Access-Control-Allow-Headers": f"'{_REQUEST_HEADERS}'",
        "Access-Control-Max-Age": f"'{_MAX_AGE}'",
    }
    return {
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "responses": {
            "200": {"description": "Allowed", "headers": {name: {"type": "string"} for name in headers}}
        },
        "x-amazon-apigateway-integration": {
            "type": "mock",
            "passthroughBehavior": "when_no_match",
            "requestTemplates": {"application/json": '{"statusCode": 200}'},
            "responses": {
                "default": {
                    "statusCode": "200",
                    "responseParameters": {
                        f"method.response.header.{name}": value for name, value in headers.items()
                    },
                }
            },
        },
    }
