"""A deployed stage used in every way that its functions' policies must allow."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, Final

from infra.cloud import Cloud
from syncboard.client import Client

_TIDES: Final = (
    "The tide follows the moon: the sea rises and falls twice a day, and springs are high at new moon. "
)
_BREAD: Final = (
    "Bread needs flour, water, salt and time; a sourdough starter is fed each day and leavens the loaf. "
)


def use(cloud: Cloud, stage: str, client: Client, folder: Path) -> None:
    """Do what users do, and what the service then asks of itself."""

    def done(job: dict[str, Any]) -> dict[str, Any]:
        ended = client.wait(job["job_id"], timeout=240)
        assert ended["state"] == "SUCCESS", ended
        return ended

    notes = folder / "tides.md"
    notes.write_text(f"# Tides\n\n{_TIDES * 12}", encoding="utf-8")
    first = done(client.submit(notes))["result"]["doc_id"]
    second = done(client.submit_bytes("tides-2.md", f"# Tides\n\n{_TIDES * 12}\nAgain.".encode()))["result"][
        "doc_id"
    ]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("bread.txt", _BREAD * 12)
        archive.writestr("more/tides.txt", f"{_TIDES * 4}{_BREAD * 4}")
    done(client.submit_bytes("both.zip", packed.getvalue()))
    for task in ("noop", "find_duplicates_background", "generate_build_suggestions", "refresh_analytics"):
        done(client.submit_task(task))

    client.jobs()
    client.stats()
    client.search("tide moon")
    client.analytics()
    client.duplicates()
    client.compare(first, second)
    client.merge(first, [second])
    clusters = client.clusters()["clusters"]
    client.cluster(clusters[0]["cluster_id"])
    client.rename_cluster(clusters[0]["cluster_id"], "Shore")
    client.export_cluster(clusters[0]["cluster_id"])
    client.delete_document(first)
    done(client.submit_task("find_duplicates_background"))
    cloud.client("lambda").invoke(FunctionName=f"syncboard-{stage}-sweeper", Payload=b"{}")
