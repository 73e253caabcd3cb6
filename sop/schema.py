"""The SOP format as a JSON Schema, for editors that help while one writes.

Put this line at the top of an SOP: `# yaml-language-server: $schema=PATH/sop.schema.json`.
`python -m sop.schema` prints it; `sop/sop.schema.json` is kept in step by a test.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from sop.model import Sop

FILE = Path(__file__).parent / "sop.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of an SOP file."""
    described = _plain(Sop.model_json_schema(by_alias=True))
    described["title"] = "Casewright SOP"
    return {"$schema": DIALECT, **described}


def text() -> str:
    """Return the JSON Schema as it is kept in the file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _plain(part: Any) -> Any:  # noqa: ANN401 - JSON is what it is
    """Remove what only says the same again: made-up titles, and null for fields one leaves out."""
    if isinstance(part, list):
        return [_plain(one) for one in part]
    if not isinstance(part, dict):
        return part
    kept = {name: _plain(one) for name, one in part.items() if name != "title" or not isinstance(one, str)}
    choices = [one for one in kept.get("anyOf", []) if one != {"type": "null"}]
    if len(choices) == 1 and len(choices) < len(kept["anyOf"]):
        del kept["anyOf"]
        kept = choices[0] | kept
    if kept.get("default", "") is None:
        del kept["default"]
    return kept


def main() -> None:
    """Print the JSON Schema."""
    sys.stdout.write(text())


if __name__ == "__main__":
    main()
