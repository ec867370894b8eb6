"""How CPU time grows with what a user can make larger, measured: ``python -m bench --laws``.

Each law is measured at sizes on a geometric scale, least CPU time of several runs, and fitted (bench.fit).  Machines
and traces are made before the clock starts, and each size has been run once before: kernels are compiled.  Layers are
of shapes not met before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

import bitsim
from bench.big_traces import gpt2_xl_trace
from bench.design_points import MACHINE, TRAINING, cycles, resnet18
from bench.fit import PowerLaw, power_law
from bench.measure import least_cpu_s, mean_least_cpu_s, three_digits
from bitsim.simulation.cost import CostModel
from bitsim.trace import Trace
from bitsim.trace.writer import write_trace
from bitsim.workload import Layer

NUMBERS = count()  # of small layers: none is met twice
SWEPT_TRACE = "resnet38_cifar_pfq"
RUNS = 3
ROWS_OF_TABLE = (400_000, 800_000, 1_600_000, 3_200_000, 6_400_000)


@dataclass(frozen=True)
class Law:
    """What is made larger, in what unit; CPU seconds at a size; and what is to be seen."""

    name: str
    unit: str
    sizes: tuple[int, ...]
    measure: Callable[[int], float]
    says: str


def small_layer(number: int) -> Layer:
    """A 3x3 convolution; no two numbers have the same shape."""
    return Layer(f"layer{number}", "conv", 1, 8 + number % 40, 8 + number // 40, 14, 14, 3, 3, 1, 1, 1, 1, 1, 1)


def made_trace(folder: Path, listed: list[Layer], widths: list[tuple[int, int, int]]) -> Trace:
    """Layers of which iteration i runs all at widths[i] (activation, weight, gradient)."""
    run = {
        "schema": 1,
        "name": "made",
        "model": "small layers",
        "dataset": "none",
        "batch": 8,
        "iterations": len(widths),
        "source": "made for measurements of speed",
        "synthetic": True,
    }
    rows = [
        {"iteration_start": i, "iteration_end": i + 1, "layer": layer.name}
        | dict(zip(("activation_bits", "weight_bits", "gradient_bits"), bits, strict=True))
        for i, bits in enumerate(widths)
        for layer in listed
    ]
    return write_trace(folder, run, listed, rows)


def simulating_s(layers: int, widths: list[tuple[int, int, int]]) -> float:
    """CPU seconds of simulating `layers` layers whose shapes were not met before, the trace open already."""
    machine = bitsim.load_hardware(MACHINE)
    with tempfile.TemporaryDirectory() as folder:

        def works() -> Iterator[Callable[[], object]]:
            for number in count():
                listed = [small_layer(next(NUMBERS)) for _ in range(layers)]
                trace = made_trace(Path(folder) / f"made{number}", listed, widths)
                yield lambda trace=trace: bitsim.simulate(trace, machine).totals

        return mean_least_cpu_s(works(), 1, RUNS)


def of_layers(layers: int) -> float:
    """All three products of `layers` layers of different shapes, one precision."""
    return simulating_s(layers, [(8, 8, 8)])


def of_widths(widths: int) -> float:
    """Four layers at `widths` different widths, up to 256, no two of which are alike for any product."""
    return simulating_s(4, [(1 + n % 16, 1 + n // 16, 1 + 5 * n % 16) for n in range(widths)])


@cache
def reading_and_simulating(rows: int) -> tuple[float, float]:
    """Of a table of about `rows` rows of GPT-2 XL that draws from four precisions anew in each iteration."""
    machine = bitsim.load_hardware(MACHINE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace"
        gpt2_xl_trace(path, rows)
        reading = least_cpu_s(lambda: bitsim.open_trace(path), RUNS)
        trace = bitsim.open_trace(path)
        return reading, least_cpu_s(lambda: bitsim.simulate(trace, machine).totals, RUNS)


def of_points(points: int) -> float:
    """A sweep of `points` machines, each of other rows of the array, on the ResNet-38 trace."""
    trace, machine = bitsim.open_trace(SWEPT_TRACE), bitsim.load_hardware(MACHINE)
    rows = list(range(8, 8 + points))
    return least_cpu_s(lambda: bitsim.sweep(trace, machine, {"array.rows": rows}), 2)


def of_array(units: int) -> float:
    """A training iteration of ResNet-18, batch 1, on a square array."""
    side, layers = round(units**0.5), resnet18()
    machine = bitsim.load_hardware(MACHINE, {"array.rows": side, "array.cols": side})
    return least_cpu_s(lambda: cycles(CostModel(machine), layers, TRAINING), RUNS)


LAWS = (
    Law("layers of different shapes", "layers", (8, 16, 32, 64, 128), of_layers, "every shape is mapped once"),
    Law(
        "different widths",
        "widths",
        (8, 16, 32, 64, 128, 256),
        of_widths,
        "a distinct row is costed once, and shares what others found",
    ),
    Law(
        "iterations, reading",
        "rows",
        ROWS_OF_TABLE,
        lambda rows: reading_and_simulating(rows)[0],
        "a table is read once, row by row",
    ),
    Law(
        "iterations, simulating",
        "rows",
        ROWS_OF_TABLE,
        lambda rows: reading_and_simulating(rows)[1],
        "cost follows distinct rows, not iterations",
    ),
    Law("points of a sweep", "points", (4, 8, 16, 32, 64), of_points, "a point costs what it costs alone"),
    Law(
        "size of the array", "units", (16, 64, 256, 1024, 4096, 16384), of_array, "no cycle is stepped, no unit counted"
    ),
)


def show() -> None:
    """Measure each law and print sizes, times, fit and words."""
    for law in LAWS:
        times = [law.measure(size) for size in law.sizes]
        print(f"{law.name}: {law.says}")
        print("  " + f"{law.unit:8}" + "".join(f"{size:>11,}" for size in law.sizes))
        print("  " + f"{'CPU ms':8}" + "".join(f"{three_digits(1e3 * time):>11}" for time in times))
        print("  " + in_words(power_law(law.sizes, times)), flush=True)


def in_words(found: PowerLaw) -> str:
    """The exponents of a fit."""
    if found.exponent is None or found.constant_s is None:
        return f"does not grow: exponent {found.slope:.2f}"
    constant = f"{1e3 * found.constant_s:.2g} ms"
    return f"exponent {found.exponent:.2f} beside a constant of {constant} ({found.slope:.2f} with it)"
