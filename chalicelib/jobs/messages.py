"""What a queue message says: work on this job, if this is still its current dispatch."""

from __future__ import annotations

import msgspec


class CallToWork(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message's body. The job's row holds everything else."""

    job_id: str
    # The row's dispatch number when this was sent; any other number makes the message void.
    dispatch: int
    # Its task is light (tasks.registry): it may be worked on in a batch, without a child process.
    light: bool = False


class UnreadableMessage(Exception):
    """The body is not one of ours: it is left to go to the dead-letter queue."""


def encode(call: CallToWork) -> str:
    """Return the body."""
    return msgspec.json.encode(call).decode()


def decode(body: str) -> CallToWork:
    """Read a body; raise UnreadableMessage."""
    try:
        return msgspec.json.decode(body, type=CallToWork)
    except msgspec.DecodeError as error:
        raise UnreadableMessage(str(error)) from None
