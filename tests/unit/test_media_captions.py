"""Which captions are taken, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.media.captions import chosen, parse

VTT: list[dict[str, Any]] = [{"ext": "json3", "url": "j"}, {"ext": "vtt", "url": "v"}]

# As YouTube sends automatic captions: each line stays while the next one comes, word by word.
ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.470 align:start position:0%
\x20
the<00:00:00.480><c> harbour</c><00:00:00.960><c> opens</c>

00:00:02.470 --> 00:00:02.480 align:start position:0%
the harbour opens
\x20

00:00:02.480 --> 00:00:04.789 align:start position:0%
the harbour opens
at<00:00:02.800><c> seven</c><00:00:03.280><c> o&#39;clock</c>

00:00:04.789 --> 00:00:04.799 align:start position:0%
at seven o&#39;clock
\x20

00:00:04.799 --> 00:00:07.000 align:start position:0%
at seven o&#39;clock
[Music]

00:00:07.000 --> 00:00:09.000 align:start position:0%
and<00:00:07.200><c> closes</c> &amp; rests
"""


def texts(captions: str) -> list[str]:
    return [segment.text for segment in parse(captions)]


def test_rolling_captions_are_said_once() -> None:
    assert texts(ROLLING) == ["the harbour opens", "at seven o'clock", "and closes & rests"]


def test_times_of_rolling_captions_are_those_of_their_first_showing() -> None:
    assert [segment.start for segment in parse(ROLLING)] == [0.16, 2.48, 7.0]


def test_what_a_person_says_twice_stays() -> None:
    cues = [
        f"00:00:0{n}.000 --> 00:00:0{n + 1}.000\n{text}\n"
        for n, text in enumerate(["No.", "No.", "Yes.", "Ah."])
    ]
    assert texts("WEBVTT\n\n" + "\n".join(cues)) == ["No.", "No.", "Yes.", "Ah."]


def test_subrip_is_read_with_its_numbers_and_commas() -> None:
    srt = (
        "\ufeff1\r\n00:00:01,500 --> 00:00:03,250\r\n<i>One</i>\r\n{\\an8}two\r\n\r\n"
        "2\r\n01:00:04,000 --> 01:00:05,000\r\nThree\r\n"
    )
    found = parse(srt)
    assert [(each.start, each.end, each.text) for each in found] == [
        (1.5, 3.25, "One two"),
        (3604.0, 3605.0, "Three"),
    ]


def test_notes_styles_and_cue_names_are_no_speech() -> None:
    vtt = (
        "WEBVTT - A title\n\nSTYLE\n::cue { color: red }\n\nNOTE not said\n\nintro\n00:01.000 --> 00:02.000 line:0\n"
        "<v Ann>Hello &lt;you&gt;\n\n00:02.000 --> 00:03.000\n♪ ♪\n"
    )
    assert texts(vtt) == ["Hello <you>"]


@pytest.mark.parametrize(
    "nonsense", ["", "WEBVTT", "no cues at all", "00:00:01.000 -->", "<html></html>", "-->\n" * 999]
)
def test_what_is_no_caption_gives_nothing(nonsense: str) -> None:
    assert parse(nonsense) == ()


def test_cues_that_no_empty_line_parts_are_told_apart() -> None:
    srt = "1\n00:00:01,000 --> 00:00:02,000\nOne\n \n2\n00:00:03,000 --> 00:00:04,000\nTwo\n"
    assert texts(srt) == ["One", "Two"]


# --- Choosing -----------------------------------------------------------------------------------------------


def choice(*args: Any, **options: Any) -> tuple[str, bool] | None:
    track = chosen(*args, **options)
    return (track.language, track.automatic) if track else None


def test_written_captions_come_before_automatic_ones() -> None:
    assert choice({"en": VTT}, {"en": VTT, "en-orig": VTT}, spoken="en") == ("en", False)


def test_the_wanted_language_comes_before_all_others() -> None:
    written, automatic = {"en": VTT, "de": VTT}, {"fr": VTT}
    assert choice(written, automatic, wanted=("de",), spoken="en") == ("de", False)
    assert choice(written, automatic, wanted=("fr", "de"), spoken="en") == ("fr", True)
    assert choice(written, automatic, wanted=("it",), spoken="en") == ("en", False)


def test_a_variant_stands_for_its_language_but_the_exact_one_is_better() -> None:
    assert choice({"en-GB": VTT}, {}, wanted=("en",)) == ("en-GB", False)
    assert choice({"en-GB": VTT, "en": VTT}, {}, wanted=("en",)) == ("en", False)


def test_translations_by_machine_are_not_taken_unasked() -> None:
    automatic = {"de": VTT, "en": VTT, "fr-orig": VTT, "fr": VTT}
    assert choice({}, automatic) == ("fr-orig", True)
    assert choice({}, {"de": VTT, "en": VTT}) is None
    assert choice({}, {"de": VTT}) == ("de", True)


def test_without_a_spoken_language_english_is_taken_before_others() -> None:
    assert choice({"de": VTT, "en": VTT}, {}) == ("en", False)
    assert choice({"de": VTT, "fr": VTT}, {}) == ("de", False)


def test_formats_that_are_not_read_here_do_not_count() -> None:
    assert choice({"en": [{"ext": "ttml"}]}, {}) is None
    assert choice({"live_chat": VTT}, {}) is None
    track = chosen({"en": [{"ext": "srt", "url": "s"}, {"ext": "vtt", "url": "v"}]}, {})
    assert track is not None
    assert (track.format, track.source["url"]) == ("vtt", "v")
