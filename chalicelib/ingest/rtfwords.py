"""Control words of RTF 1.9.1, by what a reader of text does with them."""

from __future__ import annotations

from typing import Final

# Words that stand for characters.
TEXTS: Final = {
    "line": "\n", "tab": "\t", "emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’", "ldblquote": "“",
    "rdblquote": "”", "bullet": "•", "emspace": " ", "enspace": " ", "~": "\u00a0", "_": "-", "\n": "\n", "\r": "\n",
    "\\": "\\", "{": "{", "}": "}",
}  # fmt: skip
# Destinations whose text is gathered apart from the document's.
COLLECTED: Final = frozenset(
    {"footnote", "listtext", "pntext", "title", "author", "fonttbl", "stylesheet", "info"}
)
# Destinations without text for people. Those marked `\*` are skipped without being named here.
SKIPPED: Final = frozenset(
    {
        "colortbl", "pict", "header", "headerl", "headerr", "headerf", "footer", "footerl",
        "footerr", "footerf", "object", "objdata", "nonshppict", "shprslt", "sp", "fldinst",
        "xe", "tc", "annotation", "atnid", "atnauthor", "listtable", "listoverridetable", "revtbl",
        "rsidtbl", "generator", "themedata", "datastore", "latentstyles", "operator", "company",
        "creatim", "revtim", "printim", "doccomm", "filetbl",
    }
)  # fmt: skip
# Optional destinations (`\*`) whose text is shown: text boxes.
OPENED: Final = frozenset({"shpinst", "shptxt"})
# Windows code page by font character set (RTF 1.9.1, font table).
CHARSETS: Final = {
    0: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "big5", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874",
    238: "cp1250",
}  # fmt: skip
