"""Blocks that were read lately are at hand, and take no more memory than they may."""

from __future__ import annotations

from chalicelib.library.blocks import Blocks


def test_a_block_is_read_once() -> None:
    blocks, reads = Blocks(), []

    def read() -> bytes:
        reads.append(1)
        return b"abc"

    assert [blocks.get(("file", 0, 3), read) for _ in range(3)] == [b"abc"] * 3
    assert len(reads) == 1
    blocks.get(("file", 3, 3), read)
    blocks.get(("other", 0, 3), read)
    assert len(reads) == 3


def test_what_was_not_wanted_for_longest_goes_first() -> None:
    blocks = Blocks(max_bytes=100)
    for number in range(4):
        blocks.get(("file", number, 30), lambda: b"x" * 30)
        blocks.get(("file", 0, 30), lambda: b"y" * 30)
    assert blocks.get(("file", 0, 30), lambda: b"z") == b"x" * 30
    assert blocks.get(("file", 1, 30), lambda: b"z") == b"z"
    assert blocks.get(("large", 0, 200), lambda: b"w" * 200) == b"w" * 200
    assert blocks.get(("file", 3, 30), lambda: b"again") == b"again"


def test_of_a_file_that_was_replaced_nothing_is_kept() -> None:
    blocks = Blocks()
    for name in ("old", "new"):
        blocks.get((name, 0, 1), lambda: b"1")
    blocks.forget("old")
    assert blocks.get(("old", 0, 1), lambda: b"2") == b"2"
    assert blocks.get(("new", 0, 1), lambda: b"2") == b"1"
