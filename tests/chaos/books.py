"""The books of one library: everything that was derived from its documents is derived again, and compared.

Bands, pairs, words, passages, claims, topics' sums, figures. What is looked at are all items and objects there are,
read as they are, so what belongs to no document is found as well as what a document misses.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Final

import msgspec

from chalicelib.aws.expressions import Item, Key
from chalicelib.aws.objects import IN_ROWS
from chalicelib.ingest.document import Segment
from chalicelib.jobs.states import State
from chalicelib.jobs.store import JobStore
from chalicelib.knowledge import clusters as sums
from chalicelib.knowledge.minhash import Signature, likeness, signature
from chalicelib.knowledge.searchwords import impacts
from chalicelib.knowledge.terms import term_vector
from chalicelib.library.analytics import find_snapshot
from chalicelib.library.bands import MAX_MEMBERS
from chalicelib.library.clusters import Clusters
from chalicelib.library.documents import Document, Documents, partition
from chalicelib.library.pairs import KEPT, MAX_PAIRS, Pairs
from chalicelib.library.searchindex import SearchIndex
from tests.memory import MemoryObjects, MemoryTable
from tests.traces import traces

# By how much a topic's weight may differ for each document that joined or left: it is kept with four places.
_ROUNDING: Final = 1e-4
# Documents that may have moved from topic to topic besides.
_MOVES: Final = 20


class Books:
    """All that one owner has, as it was found."""

    def __init__(self, owner: str, items: Mapping[Key, Item], bodies: Mapping[str, bytes]) -> None:
        self.owner = owner
        self.table = MemoryTable()
        self.table.items = dict(items)
        self.objects = MemoryObjects()
        self.objects.bodies = dict(bodies) | _in_rows(items)
        there = Documents(self.table, owner)
        self.documents: dict[str, Document] = {
            doc_id: there.require(doc_id) for doc_id in self._sorts(partition(owner), "DOC#")
        }
        self.removed = there.counts().removed

    def violations(self) -> Iterator[str]:
        """Yield what does not fit, in words."""
        yield from self._counted()
        lost = [document for document in self.documents.values() if self._body(document.text_key) is None]
        for document in lost:
            yield f"document {document.doc_id} has lost its text {document.text_key}"
        if not lost:
            yield from self._bands()
            yield from self._pairs()
            yield from self._words()
            yield from self._passages()
            yield from self._claims()
            yield from self._topics()
            yield from self._figures()
        yield from self._orphans()

    def left_of(self, deleted: Collection[str]) -> Iterator[str]:
        """Yield where ids of deleted documents are left (keys of texts have them), but where they were merged."""
        items = {key: {**item, "merged": []} for key, item in self.table.items.items()}
        for trace in traces(items, self.objects.bodies, deleted):
            yield f"a deleted document has left a trace: {trace}"

    # --- One kind of book each -------------------------------------------------------------------------------

    def _counted(self) -> Iterator[str]:
        counts = self.table.items.get((partition(self.owner), "COUNTS"), {})
        if counts.get("documents", 0) != len(self.documents):
            yield f"{counts.get('documents')} documents are counted and {len(self.documents)} are there"

    def _bands(self) -> Iterator[str]:
        """Yield what is wrong with bands: an id of no document, a document that is missing in its own."""
        start = f"KB#{self.owner}#B"
        bands = {key[0]: item for key, item in self.table.items.items() if key[0].startswith(start)}
        for name, item in bands.items():
            for doc_id in sorted(item.get("members", {"nobody"}) - self.documents.keys()):
                yield f"band {name} has {doc_id}, which is no document"
        for doc_id, document in self.documents.items():
            made = signature(self._text(document))
            if (made.pack() if made else b"") != document.signature:
                yield f"document {doc_id} has not the signature of its text"
            for band in made.bands() if made else ():
                members = bands.get(f"{start}{band[:2]}#{band[3:]}", {}).get("members", set())
                if doc_id not in members and len(members) < MAX_MEMBERS:
                    yield f"document {doc_id} is not in its band {band}"

    def _pairs(self) -> Iterator[str]:
        """Yield what is wrong with pairs: half of one, one of no document, a wrong figure, one that is missing."""
        kept = list(Pairs(self.table, self.owner).all())
        known = {(pair.newer, pair.older) for pair in kept}
        back = [tuple(sort.split("#")) for sort in self._sorts(f"DUPOF#{self.owner}", "")]
        if {(newer, older) for older, newer in back} != known or len(back) != len(kept):
            yield "the two items of a pair are not both there"
        signed = {
            doc_id: Signature.unpack(document.signature)
            for doc_id, document in self.documents.items()
            if document.signature
        }
        for pair in kept:
            if not {pair.newer, pair.older} <= self.documents.keys():
                yield f"pair {pair.newer} {pair.older} is not of two documents"
                continue
            both = signed.get(pair.newer), signed.get(pair.older)
            alike = likeness(both[0], both[1], least=KEPT) if both[0] and both[1] else None
            if alike is None or alike != (pair.kind, pair.similarity):
                yield f"pair {pair.newer} {pair.older} says {pair.similarity}, and they are {alike}"
        for sort in self._sorts(f"DUPOPEN#{self.owner}", ""):
            yield f"the open pair {sort} has not been settled"
        number = Counter(doc_id for pair in known for doc_id in pair)
        for newer, older in self._sharing_a_band(signed):
            full = max(number[newer], number[older]) >= MAX_PAIRS
            if (
                (newer, older) not in known
                and not full
                and likeness(signed[newer], signed[older], least=KEPT)
            ):
                yield f"documents {newer} and {older} are alike, and no pair"

    def _words(self) -> Iterator[str]:
        """Yield what is wrong with the search index: each document's words, in one place, and no others."""
        index = SearchIndex(self.table, self.objects, self.owner)  # type: ignore[arg-type]
        state = index.read()
        places: list[tuple[str, Mapping[str, int]]] = list(state.fresh.items())
        for stored in state.segments:
            if self._body(stored.key) is None:
                yield f"the search index has lost its file {stored.key}"
                continue
            segment = index.open(stored)
            words: dict[str, dict[str, int]] = {name: {} for name in segment.all_ids()}
            names = list(words)
            for term, postings in segment.all_terms():
                for number, impact in zip(postings.numbers, postings.impacts, strict=True):
                    words[names[number]][term] = impact
            places += words.items()
        named = {stored.key for stored in state.segments}
        yield from (
            f"no row names the search file {key}"
            for key in self.objects.keys(f"search/{self.owner}/")
            if key not in named
        )
        found = Counter(name for name, _ in places)
        for name in sorted(found.keys() | self.documents.keys()):
            if found[name] != (name in self.documents):
                yield f"document {name} is {found[name]} times in the search index"
        for name, terms in places:
            document = self.documents.get(name)
            if document and terms != impacts(self._text(document), (document.title, document.filename)):
                yield f"document {name} has not its own words in the search index"
        for sort in self._sorts(f"SEARCH#{self.owner}", "GONE#"):
            yield f"the deletion of {sort} has not been finished"

    def _passages(self) -> Iterator[str]:
        for doc_id, document in self.documents.items():
            body = self._body(document.segments_key) if document.segments_key else b"[]"
            if body is None:
                yield f"document {doc_id} has lost its passages {document.segments_key}"
                continue
            msgspec.json.decode(body, type=list[Segment])

    def _orphans(self) -> Iterator[str]:
        """Yield what runs of the owner's jobs have stored and no document names."""
        named = {key for each in self.documents.values() for key in (each.text_key, each.segments_key)}
        for key in self.objects.keys_of("texts/"):
            job = JobStore(self.table).find(key.removeprefix(IN_ROWS).split("/")[1])
            if key not in named and job is not None and job.owner == self.owner:
                yield f"no document names {key}"

    def _claims(self) -> Iterator[str]:
        """Yield what is wrong with claims of bytes: a document without, one for no document or for another's.

        A job that ended badly leaves its claim, for a document that will never be; whoever comes next takes it over.
        """
        claimed = {}
        for sha256 in self._sorts(partition(self.owner), "HASH#"):
            item = self.table.items[partition(self.owner), f"HASH#{sha256}"]
            doc_id = item.get("doc_id")
            claimed[sha256] = doc_id
            job = JobStore(self.table).find(item["job_id"])
            if job is not None and job.state is not State.SUCCESS and doc_id not in self.documents:
                continue
            if getattr(self.documents.get(doc_id or ""), "sha256", None) != sha256:
                yield f"the claim of {sha256[:8]} is for {doc_id}, which is not there or not of these bytes"
        for doc_id, document in self.documents.items():
            if document.sha256 and claimed.get(document.sha256) != doc_id:
                yield f"the bytes of document {doc_id} are claimed for {claimed.get(document.sha256)}"

    def _topics(self) -> Iterator[str]:
        """Yield what is wrong with topics: members, sums of terms and concepts, as far as nothing was cut off."""
        members: dict[str, list[Document]] = defaultdict(list)
        for document in self.documents.values():
            members[document.cluster_id].append(document)
        there = {cluster.cluster_id: cluster for cluster in Clusters(self.table, self.owner).all()}
        for cluster_id in sorted(members.keys() | there.keys()):
            cluster, documents = there.get(cluster_id), members[cluster_id]
            if cluster is None or cluster.size != len(documents):
                yield f"topic {cluster_id} counts {cluster and cluster.size} and has {len(documents)}"
                continue
            # Each document that came and went has changed it.
            changes = cluster.size + 2 * self.removed + _MOVES
            weights: dict[str, float] = defaultdict(float)
            for document in documents:
                for term, weight in term_vector(self._text(document)).items():
                    weights[term] += weight
            concepts = Counter(
                name
                for document in documents
                for name in dict.fromkeys(str(one["name"])[: sums.MAX_NAME] for one in document.concepts)
            )
            # What was cut off while a deleted document was in it is not brought back.
            most = 0 if self.removed else sums.MAX_TERMS
            yield from _differences(
                f"topic {cluster_id}", "term", cluster.weights, weights, most, changes * _ROUNDING
            )
            most = min(most, sums.MAX_CONCEPTS)
            yield from _differences(
                f"topic {cluster_id}", "concept", cluster.concept_counts, concepts, most, 0.5
            )

    def _figures(self) -> Iterator[str]:
        snapshot = find_snapshot(self.table, self.owner)
        if snapshot is None:
            return
        if snapshot.removed != self.removed:
            yield "the figures were counted before a deletion"
        for recent in snapshot.recent:
            if recent.doc_id not in self.documents:
                yield f"the figures name document {recent.doc_id}, which is not there"

    # --- Reading ---------------------------------------------------------------------------------------------

    def _sharing_a_band(self, signed: Mapping[str, Signature]) -> set[tuple[str, str]]:
        """Return pairs of documents (newer, older) that have a band in common, of bands that are not full."""
        members: dict[str, list[str]] = defaultdict(list)
        for doc_id in sorted(signed):
            for band in signed[doc_id].bands():
                members[band].append(doc_id)
        return {
            (newer, older)
            for ids in members.values()
            if len(ids) < MAX_MEMBERS
            for place, newer in enumerate(ids)
            for older in ids[:place]
        }

    def _sorts(self, pk: str, begin: str) -> list[str]:
        """Return what follows `begin` in the sort keys of a partition."""
        return sorted(
            sk.removeprefix(begin) for part, sk in self.table.items if part == pk and sk.startswith(begin)
        )

    def _body(self, key: str) -> bytes | None:
        return self.objects.bodies.get(key)

    def _text(self, document: Document) -> str:
        return self.objects.bodies[document.text_key].decode()


def _differences(
    where: str,
    what: str,
    kept: Mapping[str, float],
    true: Mapping[str, float],
    most: int,
    tolerance: float,
) -> Iterator[str]:
    """Yield where kept sums are not the true ones. What was cut off at `most` may be missing or too small."""
    cut = len(true) > most or len(kept) >= most
    for name in sorted(kept.keys() | true.keys()):
        there, should = kept.get(name, 0.0), true.get(name, 0.0)
        if there > should + tolerance or (not cut and math.fabs(there - should) > tolerance):
            yield f"{where} has {there:g} of the {what} {name!r}, its documents {should:g}"


def _in_rows(items: Mapping[Key, Item]) -> dict[str, bytes]:
    """Return the objects that are rows, by their keys."""
    return {
        f"{IN_ROWS}{pk.removeprefix('BYTES#')}/{sk}": zlib.decompress(item["data"])
        for (pk, sk), item in items.items()
        if pk.startswith("BYTES#")
    }
