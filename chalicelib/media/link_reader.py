"""A link to a film or recording, to text: by its captions where it has some, else by listening."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from chalicelib import settings
from chalicelib.ingest.document import Extracted, Source
from chalicelib.ingest.reading import Workplace
from chalicelib.ingest.text import MAX_TITLE_CHARACTERS, clean
from chalicelib.media.links import MediaFetched, fetch_media, options_of
from chalicelib.media.reader import read
from chalicelib.media.transcript import clock, text_of
from chalicelib.net.urls import host_of

# Wall time of fetching; less where the run has less. What is left is for listening.
_FETCH_SECONDS: Final = 600.0
_LEAST_SECONDS: Final = 30.0
_MAX_CHAPTERS_CHARACTERS: Final = 2000


def read_link(
    url: str,
    place: Workplace,
    *,
    password: str | None = None,
    languages: tuple[str, ...] = (),
    playlist_items: int | None = None,
) -> Extracted:
    """Return what is said in the film or recording that `url` shows.

    `password` is the film's own; `languages` those of captions, the preferred first; `playlist_items` the entry of
    a playlist (1 is the first), which is refused without. Progress counts bytes, then seconds. A run that goes on
    after HandOver fetches again and listens on where it was.

    Raise what `links.fetch_media` and `reader.read` raise.
    """
    half = place.seconds_left() / 2
    options = options_of(
        settings.get(),
        seconds=max(_LEAST_SECONDS, min(_FETCH_SECONDS, half)),
        password=password,
    )
    options = msgspec.structs.replace(options, languages=languages, playlist_items=playlist_items)
    fetched = fetch_media(url, place.folder, options=options, on_progress=place.on_progress)
    if fetched.file is None:
        return _from_captions(fetched, url)
    source = Source(path=fetched.file, filename=Path(fetched.file).name, kind=fetched.kind)
    heard = read(source, place)
    return msgspec.structs.replace(
        heard,
        title=_title(fetched, url),
        metadata={**heard.metadata, **_metadata(fetched)},
        warnings=(*map(clean, fetched.warnings), *heard.warnings),
    )


def _from_captions(fetched: MediaFetched, url: str) -> Extracted:
    segments = tuple(
        msgspec.structs.replace(segment, text=clean(segment.text).strip()) for segment in fetched.captions
    )
    language = (fetched.language or "").partition("-")[0] or None
    return Extracted(
        text=text_of(segments, language),
        title=_title(fetched, url),
        source_type="video",
        language=language,
        segments=segments,
        metadata={
            **_metadata(fetched),
            "captions": "automatic" if fetched.automatic else "written",
            **({"duration": clock(fetched.duration)} if fetched.duration else {}),
            **({"language": language} if language else {}),
        },
        warnings=tuple(map(clean, fetched.warnings)),
    )


def _title(fetched: MediaFetched, url: str) -> str:
    return clean(fetched.title)[:MAX_TITLE_CHARACTERS].strip() or host_of(url)


def _metadata(fetched: MediaFetched) -> dict[str, str]:
    chapters = "; ".join(f"{clock(chapter.start)} {chapter.title}" for chapter in fetched.chapters)
    given = {
        "author": fetched.channel or "",
        "created": fetched.published or "",
        "site": fetched.site,
        "webpage_url": fetched.webpage_url,
        "chapters": chapters[:_MAX_CHAPTERS_CHARACTERS],
    }
    return {name: clean(value).strip() for name, value in given.items() if value}
