"""Sending many files and links: small ones in batches, on past a refusal, with a count of how far it came."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from syncboard.client import ApiError, Client
from syncboard.flows import INLINE_BYTES

# Files larger than this go by themselves, by form.
SMALL_BYTES: Final = INLINE_BYTES
# Files of one batch: fewer than the API takes, so that one request is no long wait, and progress is seen.
BATCH_FILES: Final = 25
# Their bytes together: in base64 a JSON body holds 4 MB.
_BATCH_BYTES: Final = 2_900_000
# Neither this request nor another one is let in.
_SHUT: Final = frozenset({401, 403})

# Told how many of the files have been dealt with.
Progress = Callable[[int], None]
What = Path | str


class _Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What goes in one request."""

    what: list[What]
    # Small files, as a batch; else one link, or one file of any size.
    together: bool = False


class Delivery(msgspec.Struct, kw_only=True):
    """What became of what was to be sent."""

    # Jobs as the API answered, with `job_id` and `filename` at least.
    jobs: list[dict[str, Any]] = []
    # Names, and what is wrong with them.
    refused: list[tuple[str, str]] = []
    # How many were not sent, because nothing answers any more, and what was seen then.
    unsent: int = 0
    stopped_by: str = ""


def deliver(
    client: Client,
    what: Sequence[What],
    wishes: Mapping[str, Any],
    *,
    in_batches: bool,
    on_progress: Progress,
) -> Delivery:
    """Submit files and links; what is wrong with one is noted and the others go on.

    Raise ApiError where the token is not taken. Where nothing answers, the rest counts as unsent.
    """
    done = Delivery()
    bundles = list(_bundles(what, in_batches=in_batches))
    for place, bundle in enumerate(bundles):
        try:
            _send(client, bundle, wishes, done)
        except httpx.TransportError as error:
            done.unsent = sum(len(one.what) for one in bundles[place:])
            done.stopped_by = str(error)
            break
        on_progress(len(bundle.what))
    return done


def _bundles(what: Sequence[What], *, in_batches: bool) -> Iterator[_Bundle]:
    """Yield small files together, in their order; links and large files by themselves."""
    together: list[What] = []
    held = 0
    for one in what:
        size = _size(one) if in_batches else None
        if size is None or size > SMALL_BYTES:
            yield _Bundle(what=[one])
            continue
        if together and (len(together) >= BATCH_FILES or held + size > _BATCH_BYTES):
            yield _Bundle(what=together, together=True)
            together, held = [], 0
        together.append(one)
        held += size
    if together:
        yield _Bundle(what=together, together=True)


def _size(one: What) -> int | None:
    """Return a file's size in bytes; None for a link, or what can't be asked any more."""
    try:
        return one.stat().st_size if isinstance(one, Path) else None
    except OSError:
        return None


def _send(client: Client, bundle: _Bundle, wishes: Mapping[str, Any], done: Delivery) -> None:
    one = bundle.what[0]
    try:
        if bundle.together:
            _send_batch(client, bundle.what, wishes, done)
        elif isinstance(one, Path):
            done.jobs.append(client.submit(one, **wishes))
        else:
            done.jobs.append(client.submit_url(one, **wishes))
    except ApiError as error:
        if error.status in _SHUT:
            raise
        done.refused += [(str(each), str(error)) for each in bundle.what]
    except OSError as error:
        done.refused.append((str(one), error.strerror or str(error)))


def _send_batch(client: Client, bundle: list[What], wishes: Mapping[str, Any], done: Delivery) -> None:
    names, files = [], []
    for one in bundle:
        path = Path(one)
        try:
            files.append((path.name, path.read_bytes()))
            names.append(str(path))
        except OSError as error:
            done.refused.append((str(path), error.strerror or str(error)))
    if not files:
        return
    answer = client.submit_files(files, **wishes)
    done.jobs += answer["jobs"]
    done.refused += [
        (names[entry["index"]], f"{entry['error']['type']}: {entry['error']['message']}")
        for entry in answer["errors"]
    ]
