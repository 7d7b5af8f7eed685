"""The containers that this machine can be: what is an image on AWS is an environment here, with a worker in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from chalicelib.capabilities import ANALYSIS
from chalicelib.ingest.formats import MEDIA, SCANS
from local.environments import ROOT as ENVIRONMENTS
from local.worker_process import ROOT

# Where models are kept on one machine.
MODELS: Final = ENVIRONMENTS / "models"
# What an image has beside: Lambda's runtime client. Tests run handlers under it.
RUNTIME: Final = ROOT / "containers" / "runtime.txt"


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """One folder of `containers/`."""

    name: str
    # The queue that its function works on.
    queue: str
    # What it does, for people.
    title: str
    # What its environment takes on disk, about.
    megabytes: int
    # What to run in the environment before the first worker: arguments of its Python.
    prepare: tuple[str, ...] = ()

    @property
    def lock(self) -> Path:
        """Its locked requirements."""
        return ROOT / "containers" / self.name / "requirements.txt"


CONTAINERS: Final = {
    container.name: container
    for container in (
        Container(name="ocr", queue=SCANS, title="text recognition", megabytes=140),
        Container(
            name="media",
            queue=MEDIA,
            title="speech recognition",
            megabytes=720,
            prepare=("-m", "chalicelib.media.weights", str(MODELS)),
        ),
        Container(name="analysis", queue=ANALYSIS, title="regrouping of topics", megabytes=330),
    )
}
