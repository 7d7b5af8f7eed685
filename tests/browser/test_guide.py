"""The JavaScript of docs/guide.md in a real Chromium, against a running stack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import snippets
from tests.browser.site import JOB_MS
from tests.e2e.test_guide import GUIDE, adapted
from tests.stack import RunningStack

pytestmark = pytest.mark.browser

# Each needs a text of its own: the same bytes again would be called a duplicate.
TEXT: Final = (
    "# {0}\n\nThe lighthouse keeper of {0} trims the lamp, each harbour pilot watches the tide tables.\n"
)


@pytest.fixture(scope="module")
def script(stack: RunningStack) -> str:
    """All of the guide's JavaScript, as one script."""
    found = snippets.runnable(snippets.read(GUIDE), snippets.BROWSER)
    assert len(found) >= 5
    return adapted("\n".join(snippet.code for snippet in found), stack)


@pytest.fixture
def page(browser: Browser, stack: RunningStack) -> Iterator[Page]:
    """A page on the service's origin that may call it: answers that are no page may not, by their policy."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{stack.url}/docs")
        yield page


def run(page: Page, script: str, stack: RunningStack, call: str, **values: Any) -> Any:
    """Run the guide's functions and then `call`, which may use `token` and `values`."""
    arguments = {"token": stack.token_of("browser"), **values}
    return page.evaluate(f"async ({{ {', '.join(arguments)} }}) => {{ {script}; {call} }}", arguments)


@pytest.mark.parametrize("upload", ["uploadSmall", "uploadLarge"])
def test_both_kinds_of_upload_and_polling(page: Page, script: str, stack: RunningStack, upload: str) -> None:
    call = """
      const seen = [];
      const file = new File([text], "keeper.md", { type: "text/markdown" });
      const job = await follow(await %s(file, token), token, ({ percent }) => seen.push(percent));
      return { job, seen };
    """
    done = run(page, script, stack, call % upload, text=TEXT.format(upload))
    job, seen = done["job"], done["seen"]
    assert (job["state"], job["filename"]) == ("SUCCESS", "keeper.md")
    assert "lighthouse keeper" in {concept["name"].lower() for concept in job["result"]["concepts"]}
    assert seen == sorted(seen)
    assert seen[-1] == 100
    with stack.client("browser") as client:
        assert TEXT.format(upload).split("\n")[2] in client.document(job["result"]["doc_id"])["text"]


def test_what_the_api_refuses_is_an_error_with_its_type_and_words(
    page: Page, script: str, stack: RunningStack
) -> None:
    call = """
      const errors = [];
      const keep = ({ message, type, status }) => errors.push({ message, type, status });
      await uploadSmall(new File(["x".repeat(5 * 1024 * 1024)], "big.txt"), token).catch(keep);
      await uploadSmall(new File(["x"], "x.txt"), "no token").catch(keep);
      await follow("01hzzzzzzzzzzzzzzzzzzzzzzz", token).catch(keep);
      return errors;
    """
    big, stranger, missing = run(page, script, stack, call)
    assert (big["status"], big["type"]) == (413, "too_large")
    assert "POST /uploads" in big["message"]
    assert (stranger["status"], stranger["type"]) == (401, "unauthorized")
    assert (missing["status"], missing["type"]) == (404, "not_found")


def test_a_form_on_a_page_shows_progress_and_concepts_or_the_error(
    page: Page, script: str, stack: RunningStack
) -> None:
    page.evaluate(
        'document.body.innerHTML = \'<input type="file"><progress max="100"></progress><output></output>\''
    )
    run(page, script, stack, "connect(token);")
    file = page.locator("input")
    file.set_input_files(
        {"name": "tides.md", "mimeType": "text/markdown", "buffer": TEXT.format("Cape Roca").encode()}
    )
    expect(page.locator("output")).to_contain_text("lighthouse keeper", timeout=JOB_MS, ignore_case=True)
    assert page.locator("progress").evaluate("bar => bar.value") == 100
    file.set_input_files({"name": "torn.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\ntorn"})
    expect(page.locator("output")).to_contain_text("damaged", timeout=JOB_MS)
