"""A SAM template as plain CloudFormation: what AWS does with its transform, for emulators that have none.

    python -m infra.expansion template.yaml expanded.yaml

Runs in the packaging environment (`infra.interpreters`), which has SAM's translator.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra import templates


class _NoManagedPolicies:
    """Ours are written out: none is looked up by name."""

    def load(self) -> Mapping[str, str]:
        """Return no names."""
        return {}


def expand(template: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return `template` with all `AWS::Serverless` resources turned into what they stand for."""
    from samtranslator.translator.transform import transform

    expanded: dict[str, Any] = transform(template, dict(parameters), _NoManagedPolicies())
    return expanded


def main(arguments: list[str]) -> int:
    """Expand a file into another one."""
    source, target = map(Path, arguments)
    templates.write(expand(templates.read(source), {}), target)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
