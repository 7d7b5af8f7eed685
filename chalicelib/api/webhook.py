"""`/webhook`: where the caller wants to be told of ended jobs, and the secret that signs what is sent there."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from chalice import Response
from msgspec import Meta

from chalicelib import services
from chalicelib.api import answers, requests
from chalicelib.api.contract import no_content, ok
from chalicelib.api.routing import Routes
from chalicelib.jobs.webhooks import Webhook, Webhooks

routes = Routes(__name__)


class PutWebhook(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `PUT /webhook`."""

    # http or https, up to 2,000 characters.
    url: Annotated[str, Meta(examples=["https://example.com/hook"])]


@routes.route("/webhook", methods=["GET"], contract=ok("Be told", answers.Webhook))
def get_webhook() -> dict[str, Any]:
    """Answer with the default webhook (`url` null: none) and the secret, made now if there is none.

    The secret also signs what is sent to webhooks that jobs name by themselves.
    """
    webhooks = Webhooks(services.table(), routes.owner)
    return _envelope(webhooks.get() or Webhook(secret=webhooks.secret()))


@routes.route("/webhook", methods=["PUT"], contract=ok("Be told", answers.Webhook, body=PutWebhook))
def put_webhook() -> dict[str, Any]:
    """Set the default webhook of jobs submitted from now on; the secret stays."""
    given = requests.body(routes.current_request, PutWebhook)
    return _envelope(Webhooks(services.table(), routes.owner).put(requests.webhook(given.url)))


@routes.route("/webhook", methods=["DELETE"], contract=no_content("Be told"))
def delete_webhook() -> Response:
    """Forget the default webhook and the secret; the next secret is another one."""
    Webhooks(services.table(), routes.owner).delete()
    return Response(body="", status_code=204, headers={"Content-Type": "text/plain"})


def _envelope(webhook: Webhook) -> dict[str, Any]:
    return {"url": webhook.url or None, "secret": webhook.secret}
