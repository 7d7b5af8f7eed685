"""The guide's table of settings, made from `chalicelib/settings.py`: `python -m infra.settings_table` writes it anew.

A field's comment in that module is its description here; a test holds the two together.
"""

from __future__ import annotations

import ast
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from chalicelib.settings import MB, QUEUES, Settings, queue_variable

ROOT: Final = Path(__file__).resolve().parent.parent
GUIDE: Final = ROOT / "docs" / "guide.md"
BEGIN: Final = "<!-- settings: made by python -m infra.settings_table -->"
END: Final = "<!-- settings: end -->"

_SOURCE: Final = ROOT / "chalicelib" / "settings.py"
# Fields whose variables are not named after them.
_QUEUES: Final = "queues"
_ENDPOINT: Final = "endpoint_url"
_ENDPOINT_VARIABLE: Final = "AWS_ENDPOINT_URL"


def table() -> str:
    """Return the table in Markdown: a row for every comment, with the variables and defaults that it is about."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(Settings)}
    rows = ["| variable | default | what |", "|---|---|---|"]
    for comment, group in itertools.groupby(_comments(), key=lambda pair: pair[1]):
        names = [name for name, _comment in group]
        variables = "<br>".join(_variable(name) for name in names)
        values = "<br>".join(_shown(name, defaults[name]) or "–" for name in names)
        rows.append(f"| {variables} | {values} | {_escaped(comment)} |")
    return "\n".join(rows)


def renewed(guide: str) -> str:
    """Return the guide with the table as it is now; raise ValueError where it has no place for it."""
    before, begin, rest = guide.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the guide has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _comments() -> Iterator[tuple[str, str]]:
    """Yield each field of the settings with the comment above it; one below another field shares that one's."""
    source = _SOURCE.read_text(encoding="utf-8")
    lines = source.splitlines()
    (settings,) = (
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == Settings.__name__
    )
    comment = ""
    for field in settings.body:
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        above = []
        for line in reversed(lines[: field.lineno - 1]):
            if not line.strip().startswith("#"):
                break
            above.append(line.strip().removeprefix("#").strip())
        comment = " ".join(reversed(above)) or comment
        yield field.target.id, comment


def _escaped(comment: str) -> str:
    return comment.replace("|", "\\|")


def _variable(field: str) -> str:
    if field == _QUEUES:
        return "<br>".join(f"`{queue_variable(queue)}`" for queue in QUEUES)
    return f"`{_ENDPOINT_VARIABLE if field == _ENDPOINT else f'SYNCBOARD_{field.upper()}'}`"


def _shown(field: str, default: object) -> str:
    """Return a default as one would write it into the environment, and bytes as people count them."""
    if default in (None, "", {}) or default is msgspec.NODEFAULT:
        return ""
    text = f"{default:g}" if isinstance(default, float) else str(default)
    megabytes = f" ({default // MB} MB)" if field.endswith("_bytes") and isinstance(default, int) else ""
    return f"`{text}`{megabytes}"


def main() -> int:
    """Write the table into the guide."""
    GUIDE.write_text(renewed(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
