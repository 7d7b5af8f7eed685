"""Every route says what it takes and answers; what it says is true."""

from __future__ import annotations

import re

import pytest

from chalicelib.api.contract import Contract
from tests import contracts
from tests.unit.conftest import Api

ROUTES = contracts.routes()
DECLARED = [(method, path, contract) for method, path, contract in ROUTES if contract is not None]
WITH_TOKEN = [entry for entry in DECLARED if not entry[2].public]
READ = re.compile(r"this address takes: (.*)\.$")


def test_every_route_says_what_it_takes_and_answers() -> None:
    silent = [f"{method} {path}" for method, path, contract in ROUTES if contract is None]
    assert not silent, f"no contract: {', '.join(silent)}. {contracts.HOW_TO}"


@pytest.mark.parametrize(("method", "path", "contract"), WITH_TOKEN)
def test_a_route_takes_the_parameters_that_it_declares_and_no_others(
    api: Api, method: str, path: str, contract: Contract
) -> None:
    answer = api.send(method, re.sub(r"\{\w+\}", "0" * 26, path) + "?colour=red")
    assert answer.status_code == 400
    named = READ.search(answer.json_body["error"]["message"])
    assert named is not None
    assert named[1] == (", ".join(contract.parameters) or "none")
    for name in contract.parameters:
        answer = api.send(method, re.sub(r"\{\w+\}", "0" * 26, path) + f"?{name}=1")
        assert "Unknown parameter" not in answer.body.decode()


@pytest.mark.parametrize(("method", "path", "contract"), DECLARED)
def test_a_contract_makes_sense(method: str, path: str, contract: Contract) -> None:
    assert contract.answers
    assert all(200 <= status < 400 for status in contract.answers)
    assert all(400 <= status < 600 and status != 500 for status in contract.fails)
    assert not (contract.body and method in ("GET", "DELETE"))


def test_an_answer_that_is_not_declared_fails_a_test(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The net itself: an undeclared key and an undeclared status are both caught."""
    monkeypatch.setattr("chalicelib.api.jobs.job_envelope", lambda _job: {"colour": "red"})
    api.post("/jobs", {"task": "noop"})
    with pytest.raises(contracts.Broken, match="colour"):
        api.get("/jobs")
    monkeypatch.undo()
    monkeypatch.setattr("chalicelib.errors.InvalidRequest.status", 418)
    with pytest.raises(contracts.Broken, match="418"):
        api.get("/jobs?limit=0")
