"""Tables for people who read measurements."""

from collections.abc import Sequence
from statistics import median, quantiles


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with aligned columns."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    print(f"\n{title}")
    for row in [head, ["-" * width for width in widths], *rows]:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def seconds(values: Sequence[float]) -> tuple[str, str]:
    """Return median and 95th percentile, in seconds."""
    return f"{median(values):.2f}", f"{_p95(values):.2f}"


def _p95(values: Sequence[float]) -> float:
    return max(values) if len(values) < 2 else quantiles(values, n=20, method="inclusive")[-1]  # noqa: PLR2004
