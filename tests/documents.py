"""Small documents of many formats, good and hostile, built from scratch."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from chalicelib.ingest.content import HEAD_BYTES, sniff
from chalicelib.ingest.document import Extracted, ProgressCallback, ignore_progress
from chalicelib.ingest.extraction import ExtractionLimits, extract

LIMITS = ExtractionLimits(memory_bytes=192 * 1024**2, seconds=10, max_pages=2000)

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_P = "http://schemas.openxmlformats.org/presentationml/2006/main"
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_CONTAINER = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
_ODF = "urn:oasis:names:tc:opendocument:xmlns:"


def read(
    folder: Path,
    data: bytes,
    name: str,
    *,
    password: str | None = None,
    on_progress: ProgressCallback = ignore_progress,
    limits: ExtractionLimits = LIMITS,
) -> Extracted:
    """Return what a file says, the whole way through detection and the sandbox."""
    path = folder / "source"
    path.write_bytes(data)
    content = sniff(data[:HEAD_BYTES], filename=name, size=len(data))
    return extract(
        path, content=content, filename=name, password=password, on_progress=on_progress, limits=limits
    )


def zip_of(files: Mapping[str, str | bytes]) -> bytes:
    """Return a ZIP file, compressed but for an entry "mimetype"."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data, zipfile.ZIP_STORED if name == "mimetype" else None)
    return out.getvalue()


def relations(**targets: tuple[str, str]) -> str:
    """Return a part of relationships: id=(last segment of the type, target)."""
    items = "".join(
        f'<Relationship Id="{key}" Type="{_R}/{kind}" Target="{target}"/>'
        for key, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{items}</Relationships>'


def core(**values: str) -> str:
    """Return a `docProps/core.xml`."""
    items = "".join(f"<dc:{key}>{value}</dc:{key}>" for key, value in values.items())
    return (
        f'<cp:coreProperties xmlns:cp="{_PACKAGE}/metadata/core-properties" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/">{items}</cp:coreProperties>'
    )


def wordml(name: str, content: str) -> str:
    """Return a part of a Word document with the root `w:name`."""
    mc = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    return (
        f'<w:{name} xmlns:w="{_W}" xmlns:mc="{mc}" xmlns:wps="urn:wps" xmlns:v="urn:v">{content}</w:{name}>'
    )


def paragraph(text: str, style: str = "", properties: str = "") -> str:
    """Return a Word paragraph."""
    style = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{style}{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def docx(body: str, parts: Mapping[str, str | bytes] | None = None, **links: tuple[str, str]) -> bytes:
    """Return a docx whose body is `body`; `links` are the main part's relationships, `parts` what they lead to."""
    return zip_of(
        {
            "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
            "_rels/.rels": relations(r1=("officeDocument", "word/document.xml")),
            "word/document.xml": wordml("document", f"<w:body>{body}</w:body>"),
            "word/_rels/document.xml.rels": relations(**links),
            **(parts or {}),
        }
    )


def pptx(*slides: str, notes: str = "") -> bytes:
    """Return a pptx of slides, each the content of its shape tree; `notes` are those of the first."""
    names = f'xmlns:p="{_P}" xmlns:a="{_A}" xmlns:r="{_R}"'
    ids = "".join(f'<p:sldId id="{256 + at}" r:id="s{at}"/>' for at in range(len(slides)))
    files = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
        "_rels/.rels": relations(r1=("officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f"<p:presentation {names}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
        # In the package they lie in another order than in the show.
        "ppt/_rels/presentation.xml.rels": relations(
            **{f"s{at}": ("slide", f"slides/slide{len(slides) - at}.xml") for at in range(len(slides))}
        ),
    }
    for at, content in enumerate(slides):
        files[f"ppt/slides/slide{len(slides) - at}.xml"] = (
            f"<p:sld {names}><p:cSld><p:spTree>{content}</p:spTree></p:cSld></p:sld>"
        )
    if notes:
        files[f"ppt/slides/_rels/slide{len(slides)}.xml.rels"] = relations(n=("notesSlide", "../notes/n.xml"))
        files["ppt/notes/n.xml"] = (
            f"<p:notes {names}><p:cSld><p:spTree>{shape(notes, 'body')}</p:spTree></p:cSld></p:notes>"
        )
    return zip_of(files)


def shape(text: str, kind: str = "") -> str:
    """Return a shape on a slide, a placeholder of `kind` if given; a line is a paragraph, tabs are its level."""
    mark = f'<p:ph type="{kind}"/>' if kind else ""
    lines = "".join(
        f'<a:p><a:pPr lvl="{len(line) - len(line.lstrip())}"/><a:r><a:t>{line.strip()}</a:t></a:r></a:p>'
        for line in text.split("\n")
    )
    return f"<p:sp><p:nvSpPr><p:nvPr>{mark}</p:nvPr></p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"


def xlsx(sheets: Mapping[str, str]) -> bytes:
    """Return an xlsx: sheet name to the XML of its rows; cell style 1 is a date."""
    names = "".join(
        f'<sheet name="{name}" sheetId="{at}" r:id="s{at}"/>' for at, name in enumerate(sheets, 1)
    )
    files = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
        "_rels/.rels": relations(r1=("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{_S}" xmlns:r="{_R}"><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": relations(
            **{f"s{at}": ("worksheet", f"worksheets/sheet{at}.xml") for at in range(1, len(sheets) + 1)},
            st=("styles", "styles.xml"),
        ),
        "xl/styles.xml": f'<styleSheet xmlns="{_S}"><cellXfs><xf numFmtId="0"/>'
        '<xf numFmtId="14"/></cellXfs></styleSheet>',
    }
    for at, rows in enumerate(sheets.values(), 1):
        files[f"xl/worksheets/sheet{at}.xml"] = (
            f'<worksheet xmlns="{_S}"><sheetData>{rows}</sheetData></worksheet>'
        )
    return zip_of(files)


def odf(kind: str, content: str, styles: str = "", parts: Mapping[str, str] | None = None) -> bytes:
    """Return an OpenDocument file of `kind` ("text", "presentation", "spreadsheet")."""
    spaces = " ".join(
        f'xmlns:{name}="{_ODF}{uri}:1.0"'
        for name, uri in (
            ("office", "office"),
            ("text", "text"),
            ("table", "table"),
            ("draw", "drawing"),
            ("style", "style"),
            ("presentation", "presentation"),
        )
    )
    return zip_of(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "META-INF/manifest.xml": f'<m:manifest xmlns:m="{_ODF}manifest:1.0"/>',
            "content.xml": f"<office:document-content {spaces}><office:automatic-styles>{styles}"
            f"</office:automatic-styles><office:body><office:{kind}>{content}</office:{kind}></office:body>"
            "</office:document-content>",
            **(parts or {}),
        }
    )


def epub(chapters: Mapping[str, str], ncx: str = "", parts: Mapping[str, str] | None = None) -> bytes:
    """Return an EPUB: chapter's file name to the content of its body; stored in reverse order."""
    items = "".join(
        f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in chapters
    )
    spine = "".join(f'<itemref idref="{name}"/>' for name in chapters)
    return zip_of(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": _CONTAINER,
            "OPS/book.opf": '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
            "<dc:title>The Harbour</dc:title><dc:creator>A. Person</dc:creator><dc:language>en</dc:language>"
            f'</metadata><manifest>{items}<item id="ncx" href="toc.ncx" media-type="x"/></manifest>'
            f'<spine toc="ncx">{spine}</spine></package>',
            **({"OPS/toc.ncx": ncx} if ncx else {}),
            **{
                f"OPS/{name}": '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title>'
                f"</head><body>{body}</body></html>"
                for name, body in reversed(list(chapters.items()))
            },
            **(parts or {}),
        }
    )
