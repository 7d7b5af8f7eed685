"""Ways to spoil a file. Every one is a function of the random numbers alone, so a number names a spoiled file."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random

from lxml import etree

# A spoiled file is never longer: what is large belongs to the hostile set.
MAX_BYTES = 2 * 1024 * 1024
_EXTREMES = (
    *(0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000),
    *(0xFFFFFFFE, 0xFFFFFFFF, 2**63, 2**64 - 1),
)
_NUMBERS = tuple(b"0 -1 7 65536 2147483648 -2147483649 99999999999999999999 1e999 NaN x".split())
_TOKENS = (
    *(b"\0", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\r", b"\n\n"),
    *(
        b"<",
        b"</",
        b"&",
        b"&x;",
        b"]]>",
        b"<!--",
        b"-->",
        b"<!DOCTYPE x [",
        b"{",
        b"}",
        b"[",
        b"((",
        b'"',
        b"'",
    ),
    *(b"\\", b"\\u-1?", b"\\bin9 ", b"```", b"$$", b"--b--", b"=?utf-8?b?", b"\x1b$B", b"%s", b"../"),
    *(b"<<", b">>", b"endobj", b"stream\n", b"0 0 R"),
)
_DIGITS = re.compile(rb"\d+")

Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]


def spoiled(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return `data` after one to four mutations, mostly one; `others` are files of other kinds to take pieces from.

    Many wounds at once end in the first check; one alone comes deep.
    """
    for _ in range(random.choice((1, 1, 1, 1, 2, 3, 4))):
        repack = data.startswith(b"PK") and random.random() < 0.7
        mutation = _in_package if repack else random.choice(_MUTATIONS)
        data = mutation(random, data, others)[:MAX_BYTES]
    return data


def _span(random: Random, data: bytes) -> tuple[int, int]:
    """Return a place, and a length that is mostly small."""
    start = random.randrange(len(data) + 1)
    return start, min(len(data) - start, int(2 ** random.uniform(0, 12)))


def _flip(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _bit in range(random.randint(1, 32) if data else 0):
        changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _noise(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, length = _span(random, data)
    return data[:start] + random.randbytes(length) + data[start + length :]


def _cut_off(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _cut_out(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, length = _span(random, data)
    return data[:start] + data[start + length :]


def _swap(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    a, b, c, d = sorted(random.randrange(len(data) + 1) for _ in range(4))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _repeat(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, length = _span(random, data)
    times = min(int(2 ** random.uniform(0, 10)), MAX_BYTES // max(1, length))
    return data[: start + length] + data[start : start + length] * times + data[start + length :]


def _splice(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = random.choice(others)
    if random.random() < 0.5:
        return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other)) :]
    start, length = _span(random, other)
    at = random.randrange(len(data) + 1)
    return data[:at] + other[start : start + length] + data[at:]


def _binary_number(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    size = random.choice((1, 2, 4, 8))
    if len(data) < size:
        return data
    value = random.choice(_EXTREMES) & (1 << 8 * size) - 1
    at = random.randrange(len(data) - size + 1)
    return data[:at] + value.to_bytes(size, random.choice(("little", "big"))) + data[at + size :]


def _written_number(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    found = list(_DIGITS.finditer(data))
    if not found:
        return _binary_number(random, data, others)
    match = random.choice(found)
    return data[: match.start()] + random.choice(_NUMBERS) + data[match.end() :]


def _token(random: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(_TOKENS) * int(2 ** random.uniform(0, 12)) + data[at:]


_MUTATIONS: Sequence[Mutation] = (
    _flip, _noise, _cut_off, _cut_out, _swap, _repeat, _splice, _binary_number, _written_number, _token,
)  # fmt: skip


def _in_package(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Spoil a part of a ZIP file and pack it again; or drop, rename or double a part."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = [(info.filename, info.compress_type, archive.read(info)) for info in archive.infolist()]
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        OSError,
        ValueError,
        EOFError,
        RuntimeError,
        IndexError,
    ):
        return random.choice(_MUTATIONS)(random, data, others)
    if not parts:
        return data
    at = random.randrange(len(parts))
    name, method, content = parts[at]
    what = random.random()
    if what < 0.8:
        change = (
            _in_xml if content.lstrip()[:1] == b"<" and random.random() < 0.7 else random.choice(_MUTATIONS)
        )
        parts[at] = (name, method, change(random, content, others))
    elif what < 0.9:
        del parts[at]
    else:
        parts[at] = (random.choice(parts)[0], method, content)
    return _packed(parts)


def _in_xml(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Spoil an XML document and keep it well-formed: an element doubled, moved, taken out, or one of its values."""
    try:
        root = etree.fromstring(data)
    except etree.XMLSyntaxError:
        return random.choice(_MUTATIONS)(random, data, others)
    elements = list(root.iter(etree.Element))
    element, other = random.choice(elements), random.choice(elements)
    what = random.random()
    if what < 0.45 and element.attrib:
        given = [value for one in elements for value in one.attrib.values()]
        key = random.choice(sorted(map(str, element.attrib)))
        element.set(key, random.choice((random.choice(_NUMBERS).decode(), str(random.choice(given)))))
    elif what < 0.55:
        element.text = random.choice(_NUMBERS).decode()
    elif what < 0.7:
        element.tag = other.tag
    elif what < 0.85:
        copy = deepcopy(element)  # once: what it is put into may be a part of it
        times = min(int(2 ** random.uniform(0, 8)), MAX_BYTES // len(etree.tostring(copy)))
        other.extend([deepcopy(copy) for _ in range(times)])
    elif (parent := element.getparent()) is not None:
        parent.remove(element)
    return etree.tostring(root)


def _packed(parts: Sequence[tuple[str, int, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        names = set()
        for name, method, content in parts:
            if name not in names:  # zipfile warns of a name that comes again
                archive.writestr(zipfile.ZipInfo(name), content, method)
            names.add(name)
    return out.getvalue()
