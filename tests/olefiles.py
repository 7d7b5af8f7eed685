"""OLE files ([MS-CFB]), the container of old Office documents and Outlook messages, built from scratch."""

from __future__ import annotations

import struct
from collections.abc import Mapping

# Name, type (5 root, 1 folder, 2 stream), number of the folder that it is in, content.
Entry = tuple[str, int, int, bytes]

_SECTOR = 512
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def ole(streams: Mapping[str, bytes]) -> bytes:
    """Return an OLE file ([MS-CFB]) with `streams` by path ("folder/name")."""
    entries: list[Entry] = [("Root Entry", 5, -1, b"")]
    places: dict[str, int] = {}
    for path, data in streams.items():
        *folders, name = path.split("/")
        parent, walked = 0, ""
        for folder in folders:
            walked += f"/{folder}"
            if walked not in places:
                places[walked] = len(entries)
                entries.append((folder, 1, parent, b""))
            parent = places[walked]
        entries.append((name, 2, parent, data))
    mini, starts, mini_fat = _mini_stream(entries)
    sectors, fat = _sectors(entries, starts, mini)
    return _assembled(entries, starts, mini, mini_fat, sectors, fat)


def _mini_stream(entries: list[Entry]) -> tuple[bytes, dict[int, int], list[int]]:
    out = bytearray()
    starts: dict[int, int] = {}
    fat: list[int] = []
    for number, (_, kind, _, data) in enumerate(entries):
        if kind == 2 and 0 < len(data) < 4096:
            starts[number] = len(fat)
            count = -(-len(data) // 64)
            fat += [*range(len(fat) + 1, len(fat) + count), _END]
            out += data.ljust(count * 64, b"\0")
    return bytes(out), starts, fat


def _sectors(entries: list[Entry], starts: dict[int, int], mini: bytes) -> tuple[bytearray, list[int]]:
    sectors = bytearray()
    fat: list[int] = []
    for number, (_, kind, _, data) in enumerate([*entries, ("mini", 2, 0, mini)]):
        if kind == 2 and (len(data) >= 4096 or (number == len(entries) and data)):
            starts[number] = _append(sectors, fat, data)
    return sectors, fat


def _append(sectors: bytearray, fat: list[int], data: bytes) -> int:
    start, count = len(fat), -(-len(data) // _SECTOR)
    fat += [*range(start + 1, start + count), _END]
    sectors += data.ljust(count * _SECTOR, b"\0")
    return start


def _assembled(
    entries: list[Entry],
    starts: dict[int, int],
    mini: bytes,
    mini_fat: list[int],
    sectors: bytearray,
    fat: list[int],
) -> bytes:
    directory = bytearray()
    for number, (name, kind, _, data) in enumerate(entries):
        # Siblings hang in a chain to the right: a tree, if no balanced one.
        siblings = [at for at, entry in enumerate(entries) if entry[2] == entries[number][2] and at > number]
        children = [at for at, entry in enumerate(entries) if entry[2] == number]
        encoded = (name + "\0").encode("utf-16-le")
        start = starts.get(len(entries) if number == 0 else number, _END if number == 0 else 0)
        directory += struct.pack(
            "<64sHBBIII16sIQQIQ",
            encoded, len(encoded), kind, 1, _FREE, siblings[0] if siblings and number else _FREE,
            children[0] if children else _FREE, bytes(16), 0, 0, 0, start,
            len(mini) if number == 0 else len(data),
        )  # fmt: skip
    directory_start = _append(sectors, fat, bytes(directory))
    mini_start = _append(sectors, fat, struct.pack(f"<{len(mini_fat)}I", *mini_fat)) if mini_fat else _END
    fat_sectors = 1
    while (len(fat) + fat_sectors) * 4 > fat_sectors * _SECTOR:
        fat_sectors += 1
    first_fat = len(fat)
    fat += [_FAT] * fat_sectors
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(fat_sectors * _SECTOR, b"\xff")
    difat = [first_fat + at for at in range(fat_sectors)]
    header = struct.pack(
        "<8s16sHHHHH6x9I",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", bytes(16), 0x3E, 3, 0xFFFE, 9, 6, 0, fat_sectors, directory_start, 0,
        4096, mini_start, -(-len(mini_fat) * 4 // _SECTOR), _END, 0,
    )  # fmt: skip
    return header + struct.pack("<109I", *difat, *[_FREE] * (109 - fat_sectors)) + bytes(sectors) + table
