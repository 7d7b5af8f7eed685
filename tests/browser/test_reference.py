"""`/docs` in a browser; it also fails on a console error or a violation of the content policy."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from infra import openapi
from tests.stack import RunningStack

pytestmark = pytest.mark.browser


def test_the_reference_shows_every_route_and_finds_one(page: Page, stack: RunningStack) -> None:
    page.goto(f"{stack.url}/docs#job_status")
    paths = json.loads(openapi.FILE.read_text(encoding="utf-8"))["paths"]
    routes = page.get_by_role("article")
    expect(routes).to_have_count(sum(map(len, paths.values())))

    # The address named a route.
    status = page.locator("#job_status")
    expect(status).to_be_in_viewport()
    status.locator("summary").filter(has_text="200").click()
    expect(status.get_by_role("row").filter(has_text="ETag").first).to_be_visible()
    expect(status.get_by_text(f"'{stack.url}/jobs/<job_id>/status'")).to_be_visible()

    page.get_by_label("Filter routes").fill("post upload")
    shown = page.get_by_role("navigation", name="Routes").get_by_role("link")
    heading = page.locator(".reference-side").get_by_text("Submit", exact=True)
    # A heading, not a box: the page's own classes don't reach in here.
    expect(heading).to_have_css("box-shadow", "none")
    expect(shown).to_have_text([re.compile("/upload")] * sum(path.startswith("/upload") for path in paths))
    expect(page.locator("#search")).to_be_hidden()

    # Nothing is wider than a telephone.
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
