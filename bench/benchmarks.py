"""The named benchmarks: what each measures, and the bound it is held to.

A figure is printed whether it meets its bound or not.  CPU seconds, so that a busy machine counts little; ratios and
rates where they say more.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import bitsim
from bench import engine_rates
from bench.big_traces import resnet50_trace
from bench.design_points import COLUMNS, MEMORY_PRICES, TRAINING, new_points, price_points
from bench.measure import least_cpu_s, mean_least_cpu_s, usage
from bench.report import report_cost
from bench.search_quality import gaps
from bitsim import data
from bitsim.analytical.bitfusion_isca18 import best_values
from bitsim.reproduce import bitfusion
from bitsim.workload import FORWARD

TRACE = "resnet38_cifar_pfq"
FIRST_RESULT = ["-m", "bitsim", "run", TRACE, "--hw", "bitfusion_16x32_192b", "--iterations", "0:1"]
QUALITY_LAYERS = 200


@dataclass(frozen=True)
class Benchmark:
    """One row of the table.  most: whether the bound is the most that is allowed, else the least; None: no promise."""

    name: str
    unit: str
    bound: float | None
    measure: Callable[[], float]
    most: bool = True

    def met(self, figure: float) -> bool | None:
        """Whether `figure` meets the bound; None where there is none."""
        if self.bound is None:
            return None
        return figure <= self.bound if self.most else figure >= self.bound


def published_search() -> None:
    """The 61 rows as of a new design point: none known from before."""
    best_values.cache_clear()
    bitfusion.rows()


def whole_run_s(machine_name: str) -> float:
    """CPU seconds of all 64,000 iterations of the synthetic ResNet-38 trace, the trace open, nothing mapped before."""
    trace, machine = bitsim.open_trace(TRACE), bitsim.load_hardware(machine_name)
    return least_cpu_s(lambda: bitsim.simulate(trace, machine).totals, 3)


def additions() -> int:
    """A million of them, by which figures of one machine can be compared with those of another."""
    total = 0
    for number in range(1_000_000):
        total += number
    return total


def million_rows_per_s() -> float:
    """Rows a CPU second of opening a table of two million rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace"
        rows = resnet50_trace(path, 2_000_000)
        return rows / least_cpu_s(lambda: bitsim.open_trace(path), 3) / 1e6


def slowest_report_s() -> float:
    """CPU seconds from a result folder to its page, of the shipped trace that takes longest."""
    return max(report_cost(name, least_cpu_s)[0] for name in data.names("traces"))


def process_cpu_s(arguments: list[str], runs: int = 3) -> float:
    """Least CPU seconds of a process, kernels compiled before."""
    usage(arguments)
    return min(usage(arguments).cpu_s for _ in range(runs))


def cold_first_result_s() -> float:
    """Least CPU seconds, of two processes, to the first result where no kernel was compiled before."""
    measured = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            measured.append(usage(FIRST_RESULT, {"BITSIM_CACHE": folder}).cpu_s)
    return min(measured)


def demo_peak_mb() -> float:
    """Peak memory of the demo."""
    with tempfile.TemporaryDirectory() as folder:
        return usage(["-m", "bitsim", "demo", "--out", str(Path(folder) / "demo")]).peak_mb


def sweep_cpu_s() -> float:
    """CPU seconds of a sweep of 1,000 points in one process, start-up included."""
    command = [sys.executable, "-m", "bench.sweep", "1"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(answer.splitlines()[-1])["cpu_s"])


def milliseconds(measure: Callable[[], float]) -> Callable[[], float]:
    """`measure` of seconds in milliseconds."""
    return lambda: measure() * 1e3


def always() -> list[Benchmark]:
    """What `python -m bench` measures; under two minutes."""
    return [
        Benchmark("yardstick: a million additions in Python", "ms", None, milliseconds(lambda: least_cpu_s(additions))),
        Benchmark("ResNet-18 forward, batch 1, new design point", "ms", 8, _new_point_ms((FORWARD,))),
        Benchmark("ResNet-18 training iteration, batch 1, new design point", "ms", 25, _new_point_ms(TRAINING)),
        Benchmark(
            "ResNet-18 forward, batch 1, only a price changed",
            "ms",
            1,
            milliseconds(lambda: mean_least_cpu_s(price_points((FORWARD,)), len(MEMORY_PRICES), 100)),
        ),
        Benchmark(
            "published search of BitFusion, 61 layers", "ms", 60, milliseconds(lambda: least_cpu_s(published_search))
        ),
        Benchmark("process start to first result, kernels compiled", "s", 2.5, lambda: process_cpu_s(FIRST_RESULT)),
        Benchmark("process start to first result, nothing compiled", "s", 12, cold_first_result_s),
        Benchmark("bitsim --help", "s", 0.4, lambda: process_cpu_s(["-m", "bitsim", "--help"])),
        Benchmark("peak memory of bitsim demo", "MB", 400, demo_peak_mb),
        *(
            Benchmark(f"ResNet-38, 64,000 iterations, {name}", "s", 2, lambda name=name: whole_run_s(name))
            for name in ("bitfusion_16x32_192b", "eyeriss_12x14_108k_500mhz")
        ),
        Benchmark("event recurrence", "Mtile/s", None, engine_rates.event_mtiles_per_s, most=False),
        Benchmark("per-cycle model", "Mcycle/s", None, engine_rates.stepped_mcycles_per_s, most=False),
        Benchmark("event recurrence, times the per-cycle model", "x", 20, engine_rates.event_over_stepped, most=False),
        Benchmark("collapsed, random layers", "layer/s", None, engine_rates.collapsed_layers_per_s, most=False),
        Benchmark("opening 2 million rows of widths per sample", "Mrow/s", None, million_rows_per_s, most=False),
        Benchmark("report of a shipped trace, the slowest", "s", None, slowest_report_s),
    ]


def long_sweep() -> list[Benchmark]:
    """`--sweep`: about a minute more."""
    return [Benchmark("sweep of 1,000 points, one process", "CPU s", 60, sweep_cpu_s)]


def quality(seed: int | None = None) -> list[Benchmark]:
    """`--quality`: the search against the best of all mappings, on layers not seen before unless a seed is given."""
    chosen = secrets.randbelow(2**31) if seed is None else seed

    @cache
    def found(machine: str) -> tuple[float, ...]:
        return tuple(100 * gap.cycles for gap in gaps(machine, QUALITY_LAYERS, chosen, energy=False))

    what = f"cycles above the best mapping, {QUALITY_LAYERS} random layers, seed {chosen}"
    return [
        row
        for machine in ("bitfusion_16x32_192b", "eyeriss_12x14_108k")
        for row in (
            Benchmark(
                f"{what}, {machine}: mean", "%", 0.1, lambda machine=machine: sum(found(machine)) / QUALITY_LAYERS
            ),
            Benchmark(f"{what}, {machine}: worst", "%", 1, lambda machine=machine: max(found(machine))),
        )
    ]


def _new_point_ms(passes: tuple[str, ...]) -> Callable[[], float]:
    return milliseconds(lambda: mean_least_cpu_s(new_points(passes), len(COLUMNS)))
