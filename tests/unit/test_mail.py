"""E-mails and Outlook messages, the whole way through the sandbox."""

from __future__ import annotations

import struct
from email.message import EmailMessage
from pathlib import Path

import pytest

from chalicelib.errors import BrokenFile, UnsupportedType
from chalicelib.ingest.rtfcompression import decompressed
from tests import hostile
from tests.documents import docx, paragraph, read
from tests.olefiles import ole


def mail(subject: str = "Harbour", text: str = "Hello.") -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "Ann <ann@example.org>"
    message["To"] = "bob@example.org"
    message["Date"] = "Mon, 09 Mar 2026 12:00:00 +0100"
    message.set_content(text)
    return message


HEAD = "# Harbour\n\nFrom: Ann <ann@example.org>\nTo: bob@example.org\nDate: 2026-03-09 12:00:00+01:00\n\n"


# --- E-mails ------------------------------------------------------------------------------------------------


def test_the_head_is_short_and_in_the_metadata(tmp_path: Path) -> None:
    found = read(tmp_path, bytes(mail()), "a.eml")
    assert (found.text, found.title, found.source_type) == (HEAD + "Hello.", "Harbour", "email")
    assert found.metadata == {
        "subject": "Harbour",
        "from": "Ann <ann@example.org>",
        "to": "bob@example.org",
        "date": "2026-03-09 12:00:00+01:00",
    }


def test_plain_text_is_preferred_to_html(tmp_path: Path) -> None:
    message = mail(text="plain")
    message.add_alternative("<p>rich</p>", subtype="html")
    assert read(tmp_path, bytes(message), "a.eml").text == HEAD + "plain"


def test_html_is_read_where_the_plain_text_is_blank(tmp_path: Path) -> None:
    message = mail(text=" \n")
    message.add_alternative("<h2>Rich</h2><ul><li>one<li>two</ul><script>x</script>", subtype="html")
    assert read(tmp_path, bytes(message), "a.eml").text == HEAD + "## Rich\n\n- one\n- two"


def test_attachments_are_read_by_the_parser_of_their_kind(tmp_path: Path) -> None:
    message = mail()
    message.add_attachment(docx(paragraph("in Word")), maintype="application", subtype="x", filename="ü.docx")
    message.add_attachment("a,b\n1,2\n", subtype="csv", filename="t.csv")
    message.add_attachment(
        hostile.text_pdf("in a PDF"), maintype="application", subtype="pdf", filename="p.pdf"
    )
    message.add_attachment(b"\x7fELF\x02" + bytes(99), maintype="application", subtype="x", filename="run")
    found = read(tmp_path, bytes(message), "a.eml")
    assert found.text == (
        HEAD + "Hello.\n\n## Attachment: ü.docx\n\nin Word\n\n## Attachment: t.csv\n\n"
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n\n## Attachment: p.pdf\n\nin a PDF"
    )
    assert found.warnings == ("The attachment 'run' was not read: it is a program; submit it by itself.",)


def test_a_broken_attachment_is_a_warning(tmp_path: Path) -> None:
    message = mail()
    message.add_attachment(docx("")[:300], maintype="application", subtype="x", filename="a.docx")
    found = read(tmp_path, bytes(message), "a.eml")
    assert found.text == HEAD + "Hello."
    assert "'a.docx' was not read: The file is damaged" in found.warnings[0]


def test_a_message_in_a_message_is_read(tmp_path: Path) -> None:
    outer = mail()
    outer.add_attachment(mail("Inner", "inside"))
    assert "## Attachment: Inner\n\n# Inner\n\nFrom: Ann" in read(tmp_path, bytes(outer), "a.eml").text


@pytest.mark.parametrize("as_file", [True, False])
def test_messages_in_messages_end_at_a_depth(tmp_path: Path, as_file: bool) -> None:
    message = mail("Level 9", "innermost")
    for level in range(8, 0, -1):
        outer = mail(f"Level {level}")
        if as_file:
            outer.add_attachment(bytes(message), maintype="application", subtype="x", filename="m.eml")
        else:
            outer.add_attachment(message)
        message = outer
    found = read(tmp_path, bytes(message), "a.eml")
    assert "# Level 6" in found.text
    assert "# Level 7" not in found.text
    assert "5 deep" in found.warnings[0]


def test_headers_in_old_encodings_and_malformed_ones_are_shown(tmp_path: Path) -> None:
    data = (
        b"Subject: =?iso-8859-1?q?Gr=F6=DFe?= =?utf-8?b?IMOc?=\nFrom: =?nonsense?q?x?=\nDate: yesterday\n"
        b"Content-Type: text/plain; charset=nonsense\n\nGr\xf6\xdfe"
    )
    found = read(tmp_path, data, "a.eml")
    assert found.title == "Größe Ü"
    assert (found.metadata["date"], found.text.split("\n")[-1]) == ("yesterday", "Größe")


def test_parts_nested_without_end_are_broken(tmp_path: Path) -> None:
    levels = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (level, level) for level in range(3000)
    )
    with pytest.raises(BrokenFile, match="nested too deeply"):
        read(tmp_path, b"Subject: x\n" + levels + b"\nend", "a.eml")


def test_a_mail_without_a_name_is_known_by_its_headers(tmp_path: Path) -> None:
    data = b"Received: from a by b\n" + bytes(mail())
    assert read(tmp_path, data, "message").source_type == "email"


# --- Outlook ------------------------------------------------------------------------------------------------


def msg(folder: str = "", **texts: str) -> dict[str, bytes]:
    names = {"subject": "0037", "sender": "0C1A", "address": "5D01", "to": "0E04", "body": "1000"}
    streams = {
        f"{folder}__substg1.0_{names[key]}001F": text.encode("utf-16-le") for key, text in texts.items()
    }
    sent = struct.pack("<IIQ", 0x00390040, 6, 134_000_000_000_000_000)
    streams[f"{folder}__properties_version1.0"] = bytes(24 if folder else 32) + sent
    return streams


def attached(number: int, name: str, data: bytes) -> dict[str, bytes]:
    folder = f"__attach_version1.0_#{number:08X}/__substg1.0_"
    return {f"{folder}3707001F": name.encode("utf-16-le"), f"{folder}37010102": data}


def test_an_outlook_message_is_read_with_its_attachments(tmp_path: Path) -> None:
    streams = msg(
        subject="Harbour", sender="Ann", address="ann@example.org", to="Bob", body="Hello.\r\nYours"
    )
    streams |= attached(0, "n.txt", b"a note") | attached(1, "x.bin", bytes(100))
    inner = "__attach_version1.0_#00000002/__substg1.0_3701000D/"
    streams |= msg(inner, subject="Inner", body="inside")
    found = read(tmp_path, ole(streams), "a.msg")
    assert found.text == (
        "# Harbour\n\nFrom: Ann <ann@example.org>\nTo: Bob\nDate: 2025-08-18 14:13:20+00:00\n\nHello.\nYours\n\n"
        "## Attachment: n.txt\n\na note\n\n## Attachment: Inner\n\n# Inner\n\n"
        "Date: 2025-08-18 14:13:20+00:00\n\ninside"
    )
    assert (found.title, found.source_type, len(found.warnings)) == ("Harbour", "msg", 1)


def test_a_body_in_html_or_compressed_rtf_is_read(tmp_path: Path) -> None:
    html = msg(subject="H") | {"__substg1.0_10130102": b"<p>from <b>html</b></p>"}
    assert read(tmp_path, ole(html), "a.msg").text.endswith("\n\nfrom html")
    # The example of [MS-OXRTFCP] 3.1.1.
    packed = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    )
    rtf = msg(subject="R") | {"__substg1.0_10090102": packed}
    assert read(tmp_path, ole(rtf), "a.msg").text.endswith("\n\nhello world")
    assert decompressed(packed) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"


def test_other_ole_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedType, match="PowerPoint"):
        read(tmp_path, ole({"PowerPoint Document": b"x"}), "a.bin")
    with pytest.raises(UnsupportedType, match="old program"):
        read(tmp_path, ole({"Contents": b"x"}), "a.msg")


def test_an_outlook_message_whose_streams_are_cut_off_is_broken(tmp_path: Path) -> None:
    data = ole(msg(subject="x", body="y" * 9000))
    with pytest.raises(BrokenFile):
        read(tmp_path, data[:3000], "a.msg")
