"""`python -m case_store.audit.catalogue`: print the page about audit events; `--write FILE` writes it there."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from case_store.audit.catalogue.reference import page


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(prog="python -m case_store.audit.catalogue", description=__doc__)
    parser.add_argument(
        "--write",
        metavar="FILE",
        type=Path,
        nargs="?",
        const=Path("docs/reference/audit-events.md"),
        help="write it; without FILE to docs/reference/audit-events.md",
    )
    file = parser.parse_args().write
    if file is None:
        sys.stdout.write(page())
    else:
        file.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
