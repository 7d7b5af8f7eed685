"""The table that tests run on is as strict as DynamoDB where the emulators are not."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.aws.expressions import Delete, Put
from tests.memory import MemoryTable


@pytest.mark.parametrize(
    "attributes",
    [{"members": set()}, {"cluster": ""}, {"doc_id": 1}, {"check_at": "1"}, {"data": bytes(500_000)}],
    ids=lambda given: next(iter(given)),
)
def test_an_item_that_dynamodb_does_not_take_is_an_error(attributes: dict[str, Any]) -> None:
    table = MemoryTable()
    with pytest.raises(AssertionError):
        table.write(Put(item={"pk": "A", "sk": "1", **attributes}))
    assert table.items == {}


@pytest.mark.parametrize("number", [0, 101])
def test_a_transaction_has_1_to_100_writes(number: int) -> None:
    with pytest.raises(AssertionError):
        MemoryTable().transact([Delete(key=("A", str(place))) for place in range(number)])


def test_a_transaction_has_each_item_once() -> None:
    with pytest.raises(AssertionError):
        MemoryTable().transact([Put(item={"pk": "A", "sk": "1"}), Delete(key=("A", "1"))])
