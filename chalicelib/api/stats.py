"""`GET /stats`: how the installation works, in numbers: queues, workers, what ended. Not on AWS.

There the CloudWatch dashboard shows it to those who run the service; here whoever is signed in is on the same machine
or in the same team (docs/adr/0036). Either way nothing names an owner, a file, a job or a host.
"""

from __future__ import annotations

from typing import Any, Final

from chalicelib import overview, settings
from chalicelib.api import answers, queries, requests
from chalicelib.api.contract import ok
from chalicelib.api.routing import Routes
from chalicelib.errors import InvalidRequest, NotFound
from chalicelib.jobs.statistics import MAX_HOURS

routes = Routes(__name__)

_HOURS: Final = 1


@routes.route(
    "/stats",
    methods=["GET"],
    contract=ok("The service", answers.Stats, query=queries.Hours, fails=(404,)),
)
def get_stats() -> dict[str, Any]:
    """Answer with queues, workers and the jobs that ended in the last hours; 404 on AWS."""
    if _is_on_aws():
        raise NotFound("On AWS the CloudWatch dashboard shows how the service works.")
    given = requests.parameters(routes.current_request, "hours").get("hours", str(_HOURS))
    if not (given.isascii() and given.isdigit() and 1 <= int(given) <= MAX_HOURS):
        raise InvalidRequest(f"hours is a whole number from 1 to {MAX_HOURS}.", field="hours")
    return overview.told(overview.overview(hours=int(given)), hours=int(given))


def _is_on_aws() -> bool:
    return not settings.get().endpoint_url
