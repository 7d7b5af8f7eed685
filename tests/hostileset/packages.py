"""Office files made to break their readers: entities without end, cells without end, circles."""

from __future__ import annotations

import io
import struct
import zipfile
from functools import partial

from tests.documents import docx, epub, odf, paragraph, pptx, relations, shape, wordml, xlsx, zip_of
from tests.hostileset.cases import MB, NOISE, NOTE, case
from tests.olefiles import ole


def entities(element: str, content: str) -> str:
    """Return XML in which nine levels of entities stand for a billion words."""
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE x [<!ENTITY e0 "laugh">{levels}]><{element}>{content.replace("@", "&e9;")}</{element}>'


def quadratic(element: str) -> str:
    """Return XML in which one long entity is used 20,000 times: two gigabytes."""
    return f'<!DOCTYPE x [<!ENTITY a "{"a" * 100_000}">]><{element}>{"&a;" * 20_000}</{element}>'


def external(element: str) -> str:
    return f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><{element}>&a;</{element}>'


def replaced(data: bytes, part: str, content: str | bytes) -> bytes:
    """Return a ZIP file with one part put in the place of another."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    return zip_of({**parts, part: content})


GOOD_DOCX = docx(paragraph(NOTE))
GOOD_ODT = odf("text", f"<text:p>{NOTE}</text:p>")
GOOD_XLSX = xlsx({"Berths": '<row r="1"><c r="A1" t="inlineStr"><is><t>harbour</t></is></c></row>'})
GOOD_PPTX = pptx(shape(NOTE))
GOOD_EPUB = epub({"one.xhtml": f"<p>{NOTE}</p>"})
# Format, a good file, the part with its text, the root of that part.
PACKAGES = (
    ("docx", GOOD_DOCX, "word/document.xml", "document"),
    ("pptx", GOOD_PPTX, "ppt/slides/slide1.xml", "sld"),
    ("xlsx", GOOD_XLSX, "xl/workbook.xml", "workbook"),
    ("odt", GOOD_ODT, "content.xml", "document-content"),
    ("epub", GOOD_EPUB, "OPS/book.opf", "package"),
)


REPEATING_BOOK = (
    '<package><manifest><item id="a" href="one.xhtml" media-type="application/xhtml+xml"/></manifest><spine>'
    + '<itemref idref="a"/>' * 100_000
    + "</spine></package>"
)


def big_part(megabytes: int) -> bytes:
    """Return a docx whose text is this long."""
    out = io.BytesIO(GOOD_DOCX)
    with (
        zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("word/big.xml", "w") as part,
    ):
        for _ in range(megabytes):
            part.write(b"a" * MB)
    return out.getvalue()


def cyclic_ole(what: str) -> bytes:
    """Return an Outlook message whose chain of sectors ("fat"), or tree of names ("tree"), runs in a circle."""
    data = bytearray(
        ole({"__substg1.0_1000001F": NOTE.encode("utf-16-le") * 500, "__properties_version1.0": bytes(32)})
    )
    fat_sector = struct.unpack_from("<I", data, 76)[0]
    fat = 512 * (fat_sector + 1)
    if what == "fat":
        for at in range(20):
            struct.pack_into("<I", data, fat + 4 * at, (at + 1) % 20)
    else:
        directory = 512 * (struct.unpack_from("<I", data, 48)[0] + 1)
        for number in range(3):
            struct.pack_into("<III", data, directory + 128 * number + 68, 1, 2, 1)
    return bytes(data)


def circular_folders() -> bytes:
    """Return an OLE file of nobody's kind, with a folder that is in itself."""
    data = bytearray(ole({"a/Contents": NOTE.encode()}))
    directory = 512 * (struct.unpack_from("<I", data, 48)[0] + 1)
    struct.pack_into("<I", data, directory + 128 + 76, 1)
    return bytes(data)


def wide_ole() -> bytes:
    """Return an OLE file whose header claims 2^30 sectors of allocation tables."""
    data = bytearray(cyclic_ole("fat"))
    struct.pack_into("<I", data, 44, 1 << 30)
    struct.pack_into("<II", data, 68, 5, 1 << 30)
    return bytes(data)


def compressed_rtf_message() -> bytes:
    """Return a message whose compressed body says that it unpacks to 4 GB ([MS-OXRTFCP] 2.1.3.1)."""
    body = struct.pack("<IIII", 100, 0xFFFFFFF0, 0x75465A4C, 0) + bytes(84)
    return ole({"__substg1.0_10090102": body, "__properties_version1.0": bytes(32)})


PACKAGED = [
    case("a.docx", "258 MB in 250 KB", partial(big_part, 258), "too_large"),
    *(
        case(
            f"a.{kind}",
            f"billion laughs in {kind}",
            replaced(good, part, entities(root, "@")),
            "broken_file empty_file",
        )
        for kind, good, part, root in PACKAGES
    ),
    *(
        case(
            f"a.{kind}",
            f"quadratic entities in {kind}",
            replaced(good, part, quadratic(root)),
            "broken_file empty_file",
        )
        for kind, good, part, root in PACKAGES
    ),
    *(
        case(
            f"a.{kind}",
            f"external entity in {kind}",
            replaced(good, part, external(root)),
            "broken_file empty_file",
        )
        for kind, good, part, root in PACKAGES
    ),
    *(
        case(f"a.{kind}", f"cut off {kind}", good[: len(good) // 2], "broken_file")
        for kind, good, _, _ in PACKAGES
    ),
    *(
        case(f"a.{kind}", f"{kind} without its text", replaced(good, part, b""), "broken_file")
        for kind, good, part, _ in PACKAGES
    ),
    case(
        "a.docx",
        "elements nested 100000 deep",
        replaced(GOOD_DOCX, "word/document.xml", "<a>" * 100_000),
        "broken_file",
    ),
    case(
        "a.docx",
        "tables nested 60 deep",
        docx(paragraph(NOTE) + "<w:tbl><w:tr><w:tc>" * 60 + paragraph("x") + "</w:tc></w:tr></w:tbl>" * 60),
        says="harbour",
    ),
    case(
        "a.docx",
        "cell that spans a billion columns",
        docx(
            f'<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="1000000000"/></w:tcPr>{paragraph(NOTE)}</w:tc>'
            f"<w:tc>{paragraph('x')}</w:tc></w:tr></w:tbl>"
        ),
        says="harbour",
    ),
    case(
        "a.docx",
        "styles based on each other",
        docx(
            paragraph(NOTE, "a"),
            {
                "word/styles.xml": wordml(
                    "styles",
                    "".join(
                        f'<w:style w:styleId="{one}"><w:basedOn w:val="{other}"/></w:style>'
                        for one, other in ("ab", "ba")
                    ),
                )
            },
            s=("styles", "styles.xml"),
        ),
        says="harbour",
    ),
    case(
        "a.pptx",
        "slide that is its own notes",
        replaced(
            GOOD_PPTX,
            "ppt/slides/_rels/slide1.xml.rels",
            relations(n=("notesSlide", "slide1.xml")),
        ),
        says="harbour",
    ),
    case(
        "a.xlsx",
        "cell in the far corner",
        xlsx(
            {
                "S": '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
            }
        ),
        "parser_crashed too_large",
    ),
    case(
        "a.xlsx",
        "cell beyond all corners",
        xlsx({"S": '<row r="99999999999"><c r="ZZZZZZZZ99999999999"><v>1</v></c></row>'}),
        "broken_file empty_file parser_crashed",
        says="",
    ),
    case(
        "a.ods",
        "cell repeated a billion times",
        odf(
            "spreadsheet",
            '<table:table table:name="S"><table:table-row table:number-rows-repeated="1000000000">'
            '<table:table-cell office:value-type="string" table:number-columns-repeated="1000000000">'
            "<text:p>harbour</text:p></table:table-cell></table:table-row></table:table>",
        ),
        "parser_crashed too_large broken_file",
        says="harbour",
    ),
    case(
        "a.odt",
        "blank repeated two billion times",
        odf("text", f'<text:p>{NOTE}<text:s text:c="2000000000"/>x</text:p>'),
        "too_large",
        says="harbour",
    ),
    case(
        "a.odt",
        "cell repeated a billion times",
        odf(
            "text",
            '<table:table><table:table-row><table:table-cell table:number-columns-repeated="1000000000">'
            f"<text:p>{NOTE}</text:p></table:table-cell></table:table-row></table:table>",
        ),
        "too_large",
        says="harbour",
    ),
    case(
        "a.epub",
        "chapter in the spine 100000 times",
        epub({"one.xhtml": f"<p>{NOTE * 300}</p>"}, parts={"OPS/book.opf": REPEATING_BOOK}),
        "too_large",
        says="harbour",
    ),
    case("a.msg", "sectors in a circle", partial(cyclic_ole, "fat"), "broken_file", says="harbour"),
    case("a.msg", "names in a circle", partial(cyclic_ole, "tree"), "broken_file", says="harbour"),
    case("a.msg", "folder in itself", circular_folders, "broken_file"),
    case("a.msg", "folders nested 1200 deep", lambda: ole({"/".join(["a"] * 1200): b"x"}), "broken_file"),
    case(
        "a.msg",
        "tables of a billion sectors",
        wide_ole,
        "broken_file empty_file parser_crashed unsupported_type",
    ),
    case("a.msg", "compressed body of 4 GB", compressed_rtf_message, "broken_file empty_file too_large"),
    case(
        "a.doc",
        "noise in an old document",
        lambda: ole({"WordDocument": struct.pack("<HH", 0xA5EC, 0xC1) + NOISE, "1Table": NOISE}),
        "broken_file empty_file password_required unsupported_type",
    ),
    case("a.xls", "noise in an old workbook", lambda: ole({"Workbook": NOISE}), "broken_file"),
    case(
        "a.doc", "header before nothing", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "broken_file unsupported_type"
    ),
]
