"""What the demo shows of the samples together: near duplicates, clusters, a search, a suggestion, figures."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from syncboard.client import Client
from syncboard.library_tables import clock, evidence_lines, percent, snippet, title
from syncboard.samples import EXPECTED

# Said in a recording: that it is found, and where, shows that what was heard can be searched.
QUESTION: Final = "staging migration"
ANSWER: Final = "standup.mp3"
_SECONDS: Final = 120.0
# What regroups a library may have to be installed first.
_INSTALL_SECONDS: Final = 1200.0
_PAUSE: Final = 0.5

Documents = Mapping[str, Mapping[str, Any]]


def show_findings(client: Client, console: Console) -> bool:
    """Print what was found, section by section; tell whether all of it was."""
    # All files arrived at once, each into the topics of that moment: now that all are there they are found anew.
    regrouped = client.wait(client.regroup()["job_id"], timeout=_INSTALL_SECONDS)
    idea = client.what_can_i_build(max_suggestions=3)  # they are made while the rest is shown
    client.analytics()
    documents = {one["filename"]: one for one in client.documents(limit=100)["documents"]}
    return all(
        [
            _near_duplicates(client, console, documents),
            _clusters(client, console, documents, regrouped),
            _search(client, console),
            _suggestion(client, console, idea, documents),
            _figures(client, console, documents),
        ]
    )


def _near_duplicates(client: Client, console: Console, documents: Documents) -> bool:
    """Show each edited copy with its original; all must have been found."""
    console.print(Text("\nNear duplicates", style="bold"))
    pairs = {
        frozenset((pair["a"], pair["b"])): pair
        for group in client.duplicates(limit=100)["groups"]
        for pair in group["pairs"]
    }
    well = True
    for copy, original in ((name, one.alike_to) for name, one in EXPECTED.items() if one.alike_to):
        ids = [documents[name]["doc_id"] for name in (copy, original) if name in documents]
        pair = pairs.get(frozenset(ids))
        if pair is None:
            console.print(f"  ✗ {copy} was not found to be much like {original}")
            well = False
            continue
        common = client.compare(*ids)["passages"]
        words = sum(passage["words"] for passage in common)
        console.print(
            f"  {copy} and {original}: {percent(pair['similarity'])} alike, "
            f"{words} words in {len(common)} passages are the same",
            soft_wrap=True,
        )
    return well


def _clusters(client: Client, console: Console, documents: Documents, regrouped: Mapping[str, Any]) -> bool:
    """Show clusters with their files; samples of one topic must be in one, those of two topics in two."""
    console.print(Text("\nTopics", style="bold"))
    if regrouped["state"] != "SUCCESS":
        console.print(f"  ✗ they were not found anew: {(regrouped.get('error') or {}).get('message')}")
        return False
    files: dict[str, list[str]] = defaultdict(list)
    for name, one in documents.items():
        files[one["cluster_id"]].append(name)
    for cluster in client.clusters(sort="largest", limit=100)["clusters"]:
        listed = ", ".join(sorted(files[cluster["cluster_id"]]))
        console.print(Text.assemble("  ", (cluster["name"], "cyan"), f": {listed}"), soft_wrap=True)
    chosen: dict[str, set[str]] = defaultdict(set)
    for name, expected in EXPECTED.items():
        if expected.topic:
            chosen[expected.topic].add(documents[name]["cluster_id"] if name in documents else "")
    wrong = [f"the samples on {topic} are not together" for topic, ids in chosen.items() if len(ids) != 1]
    wrong += [
        f"the samples on {one} and on {other} are mixed"
        for one, other in combinations(chosen, 2)
        if chosen[one] & chosen[other]
    ]
    for line in wrong:
        console.print(f"  ✗ {line}")
    return not wrong


def _search(client: Client, console: Console) -> bool:
    """Search for words that are said in a recording; show where."""
    console.print(Text(f"\nSearch for “{QUESTION}”", style="bold"))
    results = client.search(QUESTION, limit=3)["results"]
    hit = next((one for one in results if one["filename"] == ANSWER), None)
    if hit is None or not hit["snippet"] or not hit["marks"] or not hit["passages"]:
        console.print(f"  ✗ {ANSWER} was not found, or not where it is said")
        return False
    at = clock(hit["passages"][0]["start"])
    console.print(
        Text.assemble(f"  {title(hit)} ({ANSWER}), at {at}: … ", snippet(hit), " …"), soft_wrap=True
    )
    return True


def _suggestion(client: Client, console: Console, job: Mapping[str, Any], documents: Documents) -> bool:
    """Show the first suggestion with its evidence, which must be documents that are there."""
    console.print(Text("\nWhat could be built", style="bold"))
    ended = client.wait(job["job_id"], timeout=_SECONDS)
    suggestions = (ended["result"] or {}).get("suggestions", [])
    there = {one["doc_id"] for one in documents.values()}
    for one in suggestions:
        if one["evidence"] and {entry["doc_id"] for entry in one["evidence"]} <= there:
            because = "; ".join(dict.fromkeys(evidence_lines(one)))
            console.print(Text(f"  {one['title']}. {one['description']}"), soft_wrap=True)
            console.print(Text(f"  Because of {because}"), soft_wrap=True)
            return True
    console.print("  ✗ nothing that the documents speak for")
    return False


def _figures(client: Client, console: Console, documents: Documents) -> bool:
    """Show the library's figures once they count all documents."""
    console.print(Text("\nIn figures", style="bold"))
    deadline = time.monotonic() + _SECONDS
    while True:
        told = client.analytics(time_period="7d")
        overview, done = told["overview"], told["processing"]
        if told["as_of"] and overview["total_documents"] == len(documents):
            break
        if time.monotonic() > deadline:
            console.print(f"  ✗ {overview['total_documents']} documents were counted, not {len(documents)}")
            return False
        time.sleep(_PAUSE)
    console.print(
        f"  {overview['total_documents']} documents of {len(told['distributions']['source_types'])} types, "
        f"{overview['total_clusters']} topics, {overview['total_concepts']} concepts; {done['jobs']} jobs, "
        f"${done['dollars']:.4f} at AWS prices",
        soft_wrap=True,
    )
    return True
