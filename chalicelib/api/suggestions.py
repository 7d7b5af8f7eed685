"""`POST /what_can_i_build`: a job that suggests projects from the caller's own documents."""

from __future__ import annotations

from chalice import Response

from chalicelib.api import requests, submissions
from chalicelib.api.routing import Routes
from chalicelib.api.submissions import Wish, accepted, submission, submits, wishes
from chalicelib.tasks.suggestion_count import DEFAULT_SUGGESTIONS, TASK, checked_number

routes = Routes(__name__)


class WhatCanIBuild(Wish, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /what_can_i_build`; none is the same as an empty one."""

    # Suggestions at most.
    max_suggestions: int = DEFAULT_SUGGESTIONS


@routes.route(
    "/what_can_i_build", methods=["POST"], contract=submits("Library", WhatCanIBuild, body_optional=True)
)
def what_can_i_build() -> Response:
    """Answer with the job whose result will be `{"suggestions": […]}`."""
    request, owner = routes.current_request, routes.owner
    given = requests.body(request, WhatCanIBuild) if request.raw_body else WhatCanIBuild()
    params: dict[str, object] = {"max_suggestions": checked_number(given.max_suggestions)}
    wished = wishes(given, owner)
    source = submissions.ids(request, owner)
    return accepted(request, submission(owner, source).task(TASK, params=params, wishes=wished))
