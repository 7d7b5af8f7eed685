"""What every queue must do. The same tests on all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from chalicelib.aws.queues import Depth, Queues, Received
from chalicelib.errors import Unavailable
from tests.contract.conftest import QUEUE, TestedQueue

Value = TypeVar("Value")
# Emulators count and move messages on clocks of their own, in whole seconds.
PATIENCE = 8.0


def eventually(read: Callable[[], Value], good: Callable[[Value], bool]) -> Value:
    """Return what `read` gives as soon as it is good; fail when it is not in time."""
    deadline = time.monotonic() + PATIENCE
    while not good(value := read()):
        assert time.monotonic() < deadline, f"still {value!r}"
        time.sleep(0.02)
    return value


def receive(queue: TestedQueue, *, limit: int = 10, visibility: int = 60) -> list[Received]:
    return list(queue.queues.receive(QUEUE, limit=limit, wait=0, visibility=visibility))


def receive_all(queue: TestedQueue, number: int) -> list[Received]:
    """Receive until `number` messages came: one call may bring fewer."""
    found: list[Received] = []

    def enough() -> bool:
        found.extend(receive(queue))
        return len(found) >= number

    eventually(enough, bool)
    return found


def test_a_message_comes_as_it_was_sent(queue: TestedQueue) -> None:
    body = '{"text": "ä😀 <&> \\n"}'
    queue.queues.send(QUEUE, body, group="ann")
    (message,) = receive_all(queue, 1)
    assert (message.queue, message.body, message.receive_count) == (QUEUE, body, 1)


def test_ten_messages_are_sent_in_one_request(queue: TestedQueue) -> None:
    bodies = [f"{number} ä" for number in range(10)]
    assert queue.queues.send_many(QUEUE, bodies, group="ann") == []
    assert sorted(message.body for message in receive_all(queue, 10)) == bodies


def test_an_empty_queue_gives_nothing(queue: TestedQueue) -> None:
    assert receive(queue) == []


def test_a_received_message_is_hidden(queue: TestedQueue) -> None:
    queue.queues.send(QUEUE, "a")
    receive_all(queue, 1)
    assert receive(queue) == []


def test_a_message_comes_back_when_its_visibility_is_over_and_counts_its_deliveries(
    queue: TestedQueue,
) -> None:
    queue.queues.send(QUEUE, "a")
    (first,) = eventually(lambda: receive(queue, visibility=1), bool)
    queue.later(1.1)
    (second,) = eventually(lambda: receive(queue), bool)
    assert second.message_id == first.message_id
    assert second.receipt != first.receipt
    assert (first.receive_count, second.receive_count) == (1, 2)


def test_hiding_for_no_time_gives_a_message_back_at_once(queue: TestedQueue) -> None:
    queue.queues.send(QUEUE, "a")
    (message,) = receive_all(queue, 1)
    queue.queues.hide(QUEUE, message.receipt, 0)
    (again,) = eventually(lambda: receive(queue), bool)
    assert again.body == "a"


def test_hiding_for_a_part_of_a_second_hides(queue: TestedQueue) -> None:
    """Else the rest of a lease is spent receiving the message over and over, until it is a dead letter."""
    queue.queues.send(QUEUE, "a")
    (message,) = receive_all(queue, 1)
    queue.queues.hide(QUEUE, message.receipt, 0.4)
    assert receive(queue) == []


def test_hiding_again_prolongs(queue: TestedQueue) -> None:
    queue.queues.send(QUEUE, "a")
    (message,) = eventually(lambda: receive(queue, visibility=1), bool)
    queue.queues.hide(QUEUE, message.receipt, 60)
    queue.later(1.2)
    assert receive(queue) == []


def test_a_deleted_message_is_gone_and_deleting_twice_is_no_error(queue: TestedQueue) -> None:
    queue.queues.send(QUEUE, "a")
    (message,) = receive_all(queue, 1)
    queue.queues.delete(QUEUE, message.receipt)
    queue.queues.delete(QUEUE, message.receipt)
    assert eventually(lambda: queue.queues.depth(QUEUE).total, lambda total: total == 0) == 0


def test_hiding_a_deleted_message_is_no_error(queue: TestedQueue) -> None:
    queue.queues.send(QUEUE, "a")
    (message,) = receive_all(queue, 1)
    queue.queues.delete(QUEUE, message.receipt)
    queue.queues.hide(QUEUE, message.receipt, 5)
    assert receive(queue) == []


def test_a_message_may_be_deleted_after_its_visibility_is_over(queue: TestedQueue) -> None:
    queue.queues.send(QUEUE, "a")
    (message,) = eventually(lambda: receive(queue, visibility=1), bool)
    queue.later(1.1)
    queue.queues.delete(QUEUE, message.receipt)
    assert eventually(lambda: queue.queues.depth(QUEUE).total, lambda total: total == 0) == 0


def test_a_delayed_message_comes_when_it_is_due(queue: TestedQueue) -> None:
    queue.queues.send(QUEUE, "a", delay=1)
    assert receive(queue) == []
    assert queue.queues.depth(QUEUE).total == 1
    queue.later(1.1)
    (message,) = eventually(lambda: receive(queue), bool)
    assert message.receive_count == 1


def test_the_depth_tells_visible_hidden_and_delayed_messages_apart(queue: TestedQueue) -> None:
    queue.queues.send(QUEUE, "a")
    receive_all(queue, 1)
    queue.queues.send(QUEUE, "b")
    queue.queues.send(QUEUE, "c", delay=60)
    wanted = Depth(visible=1, in_flight=1, delayed=1)
    assert eventually(lambda: queue.queues.depth(QUEUE), lambda depth: depth == wanted).total == 3


def test_no_more_is_received_than_asked_for(queue: TestedQueue) -> None:
    for number in range(3):
        queue.queues.send(QUEUE, str(number))
    assert len(receive(queue, limit=2)) <= 2


def test_every_message_is_received_once_while_it_is_hidden(queue: TestedQueue) -> None:
    bodies = {str(number) for number in range(25)}
    for body in bodies:
        queue.queues.send(QUEUE, body)
    messages = receive_all(queue, len(bodies))
    assert sorted(message.body for message in messages) == sorted(bodies)
    assert receive(queue) == []


def test_many_are_deleted_at_once(queue: TestedQueue) -> None:
    for number in range(3):
        queue.queues.send(QUEUE, str(number))
    queue.queues.delete_many(QUEUE, [message.receipt for message in receive_all(queue, 3)])
    assert eventually(lambda: queue.queues.depth(QUEUE).total, lambda total: total == 0) == 0


def test_a_queue_that_is_away_is_an_error_of_ours(queue: TestedQueue) -> None:
    queue.go_away()
    with pytest.raises(Unavailable):
        queue.queues.send(QUEUE, "a")


def test_both_are_queues_to_the_type_checker(queue: TestedQueue) -> None:
    seen: Queues = queue.queues
    assert seen.depth(QUEUE).total == 0
