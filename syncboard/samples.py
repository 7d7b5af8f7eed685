"""What is known of the bundled samples: how each must end, and what must be found in them together."""

from __future__ import annotations

from typing import Final

import msgspec

from local.stack import SAMPLES


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a sample must end: `samples/expected.json` holds one of these per file name."""

    state: str
    # Type of the error, for a sample that must fail.
    error_type: str | None = None
    # Password to submit it with.
    password: str | None = None
    # Words that its text must hold.
    says: str | None = None
    # Submitted as a link to a web server, not as a file.
    as_link: bool = False
    # Sample that it is a lightly edited copy of.
    alike_to: str | None = None
    # Samples with the same topic belong in one cluster, those with another one in another.
    topic: str | None = None


EXPECTED: Final = msgspec.json.decode((SAMPLES / "expected.json").read_bytes(), type=dict[str, Expected])
