"""Every control beside its twin, the last section of docs/machines.md: what each single difference is worth.

``python -m bench.controls`` prints it, ``python -m bench.controls docs/machines.md`` puts it in its place (two
minutes of one core).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import bitsim
from bench.generated import print_or_put
from bitsim import data
from bitsim.simulation.metrics import Measured, measure, ratios

MARK = "<!-- made by python -m bench.controls -->\n"
PAGE = Path(__file__).parents[1] / "docs" / "machines.md"
TRACES = ("resnet20_digits_pfq", "resnet20_digits_dfq8", "resnet38_cifar_pfq")
SHOWN = ("latency_s", "energy_j")


def pairs() -> list[tuple[str, str]]:
    """(control, twin) of every row of the page's first table."""
    shipped = data.names("hw_configs", ".yaml")
    text = PAGE.read_text().partition(MARK)[0]
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in text.splitlines() if line.startswith("|")]
    return [(row[0], row[1]) for row in rows if row[0] in shipped]


def table(of: Iterable[tuple[str, str]], traces: tuple[str, ...] = TRACES) -> Iterator[str]:
    """Lines: how many times as fast, and as frugal, each control is as its twin."""
    yield "| control | twin | " + " | ".join(traces) + " |"
    yield "|---|---|" + "---|" * len(traces)
    for control, twin in of:
        cells = []
        for trace in traces:
            found = ratios(_measured(trace, control), _measured(trace, twin))
            cells.append(" ".join(f"{found[name]:.2f}" for name in SHOWN))
        yield f"| {control} | {twin} | {' | '.join(cells)} |"


@cache
def _measured(trace: str, machine: str) -> Measured:
    return measure(bitsim.simulate(bitsim.open_trace(trace), bitsim.load_hardware(machine)))


def main() -> None:
    """Print the table, or put it behind the mark of the page given."""
    text = "\n".join(table(pairs())) + "\n"
    print_or_put(text, MARK)


if __name__ == "__main__":
    main()
