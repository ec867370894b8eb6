"""One table: every benchmark with its bound, its figure and whether it is met.

``python -m bench`` takes under two minutes; ``--sweep`` and ``--quality`` add what takes longer, ``--only TEXT``
measures what has TEXT in its name.  ``--large`` runs whole training runs row by row; ``--laws`` shows how time grows
with layers, widths, iterations, points and the array.
"""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import version

from bench import benchmarks
from bench.benchmarks import Benchmark
from bench.measure import three_digits

VERDICT = {True: "met", False: "MISSED", None: "-"}


def table(rows: list[Benchmark]) -> None:
    """Measure and print, a row at a time."""
    width = max(len(row.name) for row in rows)
    print(f"{'benchmark':{width}}  {'bound':>16}  {'figure':>16}")
    for row in rows:
        figure = row.measure()
        bound = "-" if row.bound is None else f"{'<=' if row.most else '>='} {row.bound:,g} {row.unit}"
        print(
            f"{row.name:{width}}  {bound:>16}  {three_digits(figure):>8} {row.unit:<7}  {VERDICT[row.met(figure)]}",
            flush=True,
        )


def conditions() -> str:
    """Under what the table was measured; load: processes that wanted to run, mean of the last minute."""
    load = os.getloadavg()[0]
    return (
        f"Python {platform.python_version()}, numpy {version('numpy')}, numba {version('numba')}, "
        f"{os.cpu_count()} cores, load {load:.1f}; CPU time, least of several runs where cheap"
    )


def main() -> None:
    """Parse what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--sweep", action="store_true", help="also a sweep of 1,000 points")
    parser.add_argument("--quality", action="store_true", help="also the search against the best of all mappings")
    parser.add_argument("--seed", type=int, help="of --quality; default: a fresh one, printed")
    parser.add_argument("--only", default="", metavar="TEXT", help="benchmarks with TEXT in their name")
    parser.add_argument("--large", action="store_true", help="instead: whole training runs, row by row")
    parser.add_argument("--laws", action="store_true", help="instead: how time grows, fitted; under three minutes")
    asked = parser.parse_args()
    if asked.large:
        from bench.scale import large

        return large()
    if asked.laws:
        from bench.laws import show

        print(conditions())
        return show()
    rows = benchmarks.always()
    if asked.sweep:
        rows += benchmarks.long_sweep()
    if asked.quality:
        rows += benchmarks.quality(asked.seed)
    rows = [row for row in rows if asked.only in row.name]
    if not rows:
        parser.error(f"--only {asked.only}: no such benchmark")
    print(conditions())
    table(rows)


if __name__ == "__main__":
    main()
