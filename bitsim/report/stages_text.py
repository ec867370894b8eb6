"""PFQ's stages over eps and alpha, as a table, CSV or JSON."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from typing import Any

from bitsim.schedules import Bits
from bitsim.synthetic.stages import StagePoint


def print_stages(points: Sequence[StagePoint], ladder: Sequence[Bits], form: str) -> None:
    """Print one line a point to stdout: epochs in each stage, effective MACs relative to the last stage throughout."""
    names = [f"epochs_{str(bits).replace('/', '_')}" for bits in ladder]
    if len(set(names)) < len(names):
        names = [f"epochs_stage_{stage}" for stage in range(1, len(ladder) + 1)]
    records: list[dict[str, Any]] = [
        {"eps": point.eps, "alpha": point.alpha}
        | dict(zip(names, point.epochs, strict=True))
        | {"effective_macs_percent": round(point.cost_percent, 4)}
        for point in points
    ]
    if form == "json":
        print(json.dumps(records, indent=1))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    else:
        _table(records, [str(bits) for bits in ladder])


def _table(records: list[dict[str, Any]], ladder: list[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from bitsim.report.console import plain_console

    table = Table(title="epochs in each stage (activation/weight/gradient bits)", box=SIMPLE_HEAD, show_edge=False)
    for name in ("eps", "alpha", *ladder, "effective MACs"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        eps, alpha, *epochs, percent = record.values()
        table.add_row(f"{eps:g}", f"{alpha:g}", *map(str, epochs), f"{percent:.1f} %")
    console = plain_console()
    console.print(table)
    console.print("100 %: the last stage throughout", highlight=False)
