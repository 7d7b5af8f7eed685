"""Everything that is to be done to a library now and then: what the job `tidy_library` does.

Each step may be done twice or by two at once, and leaves what it can't do to the next tidying.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chalicelib.aws.objects import Objects
from chalicelib.aws.table import Table
from chalicelib.library import upkeep
from chalicelib.library.analytics import forget_if_it_tells_of_the_deleted
from chalicelib.library.clusters import Clusters
from chalicelib.library.directory import StoredDirectory
from chalicelib.library.pairs import Pairs
from chalicelib.library.removal import Removal
from chalicelib.library.searchindex import SearchIndex, Tidied

# Open pairs of one tidying: there are a few, of documents that came at the same moment.
_MAX_SETTLED: Final = 2000


def tidying(table: Table, objects: Objects, owner: str) -> Iterator[Tidied]:
    """Finish deletions, forget figures and words that tell of them, settle open pairs; yield steps of the index.

    A step of the search index that came to nothing because somebody else was quicker yields zeros. Raise Unavailable.
    """
    Removal(table, objects, owner).finish_all()
    forget_if_it_tells_of_the_deleted(table, owner)
    StoredDirectory(table, owner).forget_the_deleted(Clusters(table, owner).all)
    if Pairs(table, owner).settle(most=_MAX_SETTLED, looked_at=2 * _MAX_SETTLED).left:
        upkeep.request(table, owner)
    index = SearchIndex(table, objects, owner)
    while done := index.tidy():
        yield done
