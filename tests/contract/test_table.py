"""What every table must do. The same tests on all of them."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.aws.expressions import (
    Absent,
    Below,
    Check,
    Delete,
    Equals,
    Fewer,
    Item,
    OneOf,
    Present,
    Put,
    Update,
    Write,
)
from chalicelib.aws.table import ConditionFailed, Table, TransactionFailed, query_all

KEY = ("A", "1")


def put(table: Table, key: tuple[str, str] = KEY, **fields: Any) -> None:
    table.write(Put(item={"pk": key[0], "sk": key[1], **fields}))


def test_an_item_comes_back_as_it_was_put(table: Table) -> None:
    values: dict[str, Any] = {
        "text": "ä😀",
        "empty": "",
        "whole": 7,
        "negative": -3,
        "real": 0.1,
        "tiny": 1.5e-30,
        "yes": True,
        "nothing": None,
        "list": [1, "a", [2.5]],
        "map": {"a": {"b": 1}},
        "empty_map": {},
    }
    put(table, **values)
    assert table.get(KEY) == {"pk": "A", "sk": "1", **values}


def test_a_missing_item_is_none(table: Table) -> None:
    assert table.get(KEY) is None


def test_a_new_item_is_refused_where_one_is_and_the_refusal_shows_it(table: Table) -> None:
    put(table, n=1)
    with pytest.raises(ConditionFailed) as refused:
        table.write(Put(item={"pk": "A", "sk": "1", "n": 2}, new=True))
    assert refused.value.item == {"pk": "A", "sk": "1", "n": 1}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Equals("n", 5), True),
        (Equals("n", 6), False),
        (Equals("missing", 5), False),
        (OneOf("s", ("a", "b")), True),
        (OneOf("s", ("c",)), False),
        (OneOf("missing", ("c",)), False),
        (Absent("missing"), True),
        (Absent("n"), False),
        (Present("n"), True),
        (Present("missing"), False),
        (Below("n", 6), True),
        (Below("n", 5), False),
        (Below("missing", 5), False),
    ],
)
def test_conditions_decide_whether_a_write_is_done(table: Table, condition: Any, expected: bool) -> None:
    put(table, n=5, s="a")
    if expected:
        table.write(Update(key=KEY, set={"done": True}, when=(condition,)))
    else:
        with pytest.raises(ConditionFailed):
            table.write(Update(key=KEY, set={"done": True}, when=(condition,)))
    item = table.get(KEY)
    assert item is not None
    assert item.get("done", False) is expected


def test_an_update_sets_adds_appends_and_removes_and_returns_the_whole_item(table: Table) -> None:
    put(table, a=1, b=2, log=["x"], gone=True)
    after = table.write(
        Update(
            key=KEY,
            set={"a": "new"},
            add={"b": 3, "c": -1},
            append={"log": ["y"], "other": [1]},
            remove=("gone",),
        )
    )
    assert after == {"pk": "A", "sk": "1", "a": "new", "b": 5, "c": -1, "log": ["x", "y"], "other": [1]}
    assert table.get(KEY) == after


def test_any_name_will_do_for_an_attribute(table: Table) -> None:
    for name in ("run_2^13", "a b", "größe", "size", "state", "x.y", "#n0", ":v0"):
        assert table.write(Update(key=KEY, add={name: 1}, when=(Absent(name),)))[name] == 1


def test_sets_grow_and_shrink_and_their_size_is_a_condition(table: Table) -> None:
    for member in ("a", "b", "b"):
        after = table.write(Update(key=KEY, insert={"window": {member}}, when=(Fewer("window", 3),)))
    assert after["window"] == {"a", "b"}
    with pytest.raises(ConditionFailed):
        table.write(Update(key=KEY, insert={"window": {"c"}}, when=(Fewer("window", 2),)))
    assert "window" not in table.write(Update(key=KEY, discard={"window": {"a", "b", "z"}}, add={"ended": 1}))


def test_an_update_without_conditions_creates_the_item(table: Table) -> None:
    assert table.write(Update(key=KEY, add={"n": 1})) == {"pk": "A", "sk": "1", "n": 1}


def test_a_conditional_update_of_nothing_is_refused_with_no_item(table: Table) -> None:
    with pytest.raises(ConditionFailed) as refused:
        table.write(Update(key=KEY, set={"n": 1}, when=(Equals("state", "x"),)))
    assert refused.value.item is None
    assert table.get(KEY) is None


def test_deleting_twice_is_no_error_and_conditions_guard_it(table: Table) -> None:
    put(table, n=1)
    with pytest.raises(ConditionFailed):
        table.write(Delete(key=KEY, when=(Equals("n", 2),)))
    table.write(Delete(key=KEY))
    table.write(Delete(key=KEY))
    assert table.get(KEY) is None


def test_a_transaction_writes_all_or_nothing_and_names_what_failed(table: Table) -> None:
    put(table, n=1)
    writes: list[Write] = [
        Put(item={"pk": "B", "sk": "1"}, new=True),
        Update(key=KEY, set={"n": 2}, when=(Equals("n", 9),)),
    ]
    with pytest.raises(TransactionFailed) as refused:
        table.transact(writes)
    assert refused.value.failed == {1}
    assert table.get(("B", "1")) is None

    table.transact([writes[0], Update(key=KEY, set={"n": 2}, when=(Equals("n", 1),))])
    assert table.get(("B", "1")) is not None
    assert table.get(KEY) == {"pk": "A", "sk": "1", "n": 2}


def test_many_are_read_at_once_and_missing_ones_left_out(table: Table) -> None:
    for number in range(120):
        put(table, ("A", str(number)), n=number)
    keys = [("A", str(number)) for number in range(0, 240, 2)]
    found = table.get_many(keys)
    assert {item["n"] for item in found.values()} == set(range(0, 120, 2))
    assert table.get_many([]) == {}


def test_a_partition_is_paged_in_order_both_ways(table: Table) -> None:
    for number in range(7):
        put(table, ("P", f"DOC#{number}"))
    put(table, ("P", "OTHER#1"))
    put(table, ("Q", "DOC#9"))
    forwards = [
        item["sk"] for item in query_all(table, ("pk", "P"), sort=("sk", "begins_with", "DOC#"), limit=3)
    ]
    assert forwards == [f"DOC#{number}" for number in range(7)]
    backwards = query_all(table, ("pk", "P"), sort=("sk", "begins_with", "DOC#"), limit=2, forward=False)
    assert [item["sk"] for item in backwards] == forwards[::-1]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [("2", "4", ["4", "3", "2"]), ("2", "2", ["2"]), ("25", "35", ["3"]), ("7", "9", [])],
)
def test_a_range_of_a_partition_includes_both_ends(
    table: Table, low: str, high: str, expected: list[str]
) -> None:
    for number in range(6):
        put(table, ("P", str(number)), owner="ann", job_id=str(number))
    inside = table.query(("pk", "P"), sort=("sk", "between", (low, high)), forward=False)
    assert [item["sk"] for item in inside.items] == expected
    indexed = table.query(("owner", "ann"), index="by_owner", sort=("job_id", "between", (low, high)))
    assert [item["job_id"] for item in indexed.items] == expected[::-1]


def test_many_are_put_at_once_over_what_is_there(table: Table) -> None:
    put(table, ("A", "3"), n=-1)
    table.put_many([{"pk": "A", "sk": str(number), "n": number} for number in range(60)])
    table.put_many([])
    assert len(list(query_all(table, ("pk", "A")))) == 60
    assert table.get(("A", "3")) == {"pk": "A", "sk": "3", "n": 3}


def test_many_are_put_where_none_is_and_what_was_there_stays(table: Table, backend: str) -> None:
    if backend == "moto":
        pytest.skip("moto's PartiQL takes no parameters in an INSERT")
    for number in (3, 40):
        put(table, ("A", str(number)), n=-1)
    items = [{"pk": "A", "sk": str(number), "n": number, "members": {"é'?"}} for number in range(60)]
    assert table.put_new(items) == {3, 40}
    assert table.put_new([]) == set()
    assert len(list(query_all(table, ("pk", "A")))) == 60
    assert table.get(("A", "3")) == {"pk": "A", "sk": "3", "n": -1}
    assert table.get(("A", "59")) == items[59]


def test_a_page_that_ends_exactly_at_the_limit_is_followed_by_nothing(table: Table) -> None:
    for number in range(4):
        put(table, ("P", str(number)))
    assert len(list(query_all(table, ("pk", "P"), limit=2))) == 4


def test_an_index_holds_only_items_with_its_attributes(table: Table) -> None:
    put(table, ("JOB#a", "JOB"), owner="ann", job_id="a", secret="not projected")
    put(table, ("JOB#b", "JOB"), owner="ann", job_id="b", check_shard="CHECK#0", check_at=50)
    put(table, ("JOB#c", "JOB"), check_shard="CHECK#0", check_at=70)
    newest = table.query(("owner", "ann"), index="by_owner", forward=False).items
    assert [item["job_id"] for item in newest] == ["b", "a"]
    assert "secret" not in newest[1]
    due = table.query(("check_shard", "CHECK#0"), index="by_check", sort=("check_at", "<=", 60)).items
    assert [item["pk"] for item in due] == ["JOB#b"]


def test_a_check_changes_nothing_and_refuses_the_whole_transaction(table: Table) -> None:
    put(table, n=1)
    there, missing = Check(key=KEY, when=(Equals("n", 1),)), Check(key=("A", "2"), when=(Present("pk"),))
    table.transact([there, Put(item={"pk": "A", "sk": "3"})])
    assert table.get(KEY) == {"pk": "A", "sk": "1", "n": 1}
    with pytest.raises(TransactionFailed) as refusal:
        table.transact([there, missing, Put(item={"pk": "A", "sk": "4"})])
    assert refusal.value.failed == {1}
    assert [item["sk"] for item in query_all(table, ("pk", "A"))] == ["1", "3"]


def test_bytes_and_sets_come_back_as_they_were_put(table: Table) -> None:
    put(table, raw=bytes(range(256)), members={"a", "b"})
    assert table.get(KEY) == {"pk": "A", "sk": "1", "raw": bytes(range(256)), "members": {"a", "b"}}
    with pytest.raises(ConditionFailed):
        table.write(Delete(key=KEY, when=(Equals("members", {"a"}),)))
    table.write(Delete(key=KEY, when=(Equals("members", {"b", "a"}),)))
    assert table.get(KEY) is None


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (None, range(300)),
        (("sk", "begins_with", "1"), range(100, 200)),
        (("sk", "between", ("150", "180")), range(150, 181)),
        (("sk", "<=", "120"), range(121)),
        (("sk", ">=", "250"), range(250, 300)),
    ],
)
def test_a_large_partition_is_paged_like_a_small_one(
    table: Table, forward: bool, sort: tuple[str, str, Any] | None, expected: range
) -> None:
    table.put_many([{"pk": "L", "sk": f"{number:03}"} for number in range(0, 300, 2)])
    table.put_many([{"pk": "other", "sk": f"{number:03}"} for number in range(0, 300, 3)])
    list(query_all(table, ("pk", "L"), limit=40))  # whoever remembers an order has to mend it now
    table.put_many([{"pk": "L", "sk": f"{number:03}"} for number in range(1, 300, 2)])
    put(table, ("L", "999"))
    table.write(Delete(key=("L", "999")))
    names = [f"{number:03}" for number in expected]
    found = query_all(table, ("pk", "L"), sort=sort, limit=7, forward=forward)
    assert [item["sk"] for item in found] == (names if forward else names[::-1])


def marked(number: int, **fields: Any) -> Item:
    """Return an item of the indexes by_owner, by_cluster and by_check; a field that is None is left out."""
    name = f"{number:03}"
    keys = {"owner": "ann", "job_id": name, "cluster": "ann#c", "doc_id": name}
    item = {"pk": f"JOB#{name}", "sk": "JOB", **keys, "check_shard": "CHECK#0", "check_at": number}
    return {key: value for key, value in (item | fields).items() if value is not None}


@pytest.mark.parametrize(
    ("index", "partition", "sort", "expected"),
    [
        ("by_owner", ("owner", "ann"), None, range(200)),
        ("by_owner", ("owner", "ann"), ("job_id", "begins_with", "1"), range(100, 200)),
        ("by_owner", ("owner", "ann"), ("job_id", "between", ("050", "080")), range(50, 81)),
        ("by_cluster", ("cluster", "ann#c"), ("doc_id", ">=", "150"), range(150, 200)),
        # Numbers: 9 comes before 10.
        ("by_check", ("check_shard", "CHECK#0"), ("check_at", "<=", 110), range(111)),
    ],
)
def test_a_large_index_is_paged_like_a_small_one_whatever_was_changed_in_it(
    table: Table,
    index: str,
    partition: tuple[str, str],
    sort: tuple[str, str, Any] | None,
    expected: range,
) -> None:
    def pages(*, forward: bool = True) -> list[int]:
        found = query_all(table, partition, index=index, sort=sort, limit=9, forward=forward)
        return [int(item["pk"].removeprefix("JOB#")) for item in found]

    def change(number: int, item: Item) -> None:
        keys = {
            name: item[name] for name in ("owner", "job_id", "cluster", "doc_id", "check_shard", "check_at")
        }
        update = Update(key=(f"JOB#{number:03}", "JOB"), set=keys)
        if number % 2:
            table.write(update)
        else:
            table.transact([update])

    elsewhere = {"owner": "bob", "cluster": "bob#c", "check_shard": "CHECK#1"}
    table.put_many([marked(number) for number in range(0, 100, 2)])
    # At another place, in another partition, in none, and too many.
    table.put_many([marked(number, job_id="x", doc_id="x", check_at=999) for number in range(100, 105)])
    table.put_many([marked(number, **elsewhere) for number in range(105, 110)])
    table.put_many([marked(number, **dict.fromkeys(elsewhere)) for number in range(110, 115)])
    table.put_many([marked(number) for number in range(200, 260)])
    pages()  # whoever remembers an order has to mend it now
    table.put_many([marked(number) for number in (*range(1, 100, 2), *range(115, 200))])
    for number in range(100, 115):
        change(number, marked(number))
    for number in range(200, 203):
        table.write(Delete(key=(f"JOB#{number}", "JOB")))
        table.write(Update(key=(f"JOB#{number + 3}", "JOB"), remove=tuple(elsewhere)))
    table.put_many([marked(number, **elsewhere) for number in range(206, 260)])
    assert pages() == list(expected)
    assert pages(forward=False) == list(expected)[::-1]

    # As many items as before, at other places.
    first, last = expected[0], expected[-1]
    change(first, marked(last))
    change(last, marked(first))
    assert pages() == [last, *expected[1:-1], first]
    assert pages(forward=False) == [first, *expected[-2:0:-1], last]
