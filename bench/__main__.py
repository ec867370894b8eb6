"""Measure and print.  Warm figures are medians of several runs in one process; CPU seconds of this process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import bitsim
from bench.big_traces import resnet50_trace
from bench.random_layers import random_nests
from bench.report import report_cost
from bench.scale import large
from bitsim import data
from bitsim.analytical.bitfusion_isca18 import best_values
from bitsim.kernels.collapsed import collapsed_cycles
from bitsim.kernels.event import event_cycles
from bitsim.kernels.program import PortTiming
from bitsim.kernels.stepped import NO_LOG, NO_STALLS, stepped_cycles
from bitsim.reproduce import bitfusion


def cpu_s(work: Callable[[], object], runs: int = 5) -> float:
    """Median CPU seconds of `work`, after one warm-up."""
    work()
    times = []
    for _ in range(runs):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def random_program(tiles: int) -> np.ndarray:
    """A program of `tiles` tiles that reloads one operand each and accumulates now and then (seed 0)."""
    rng = np.random.default_rng(0)
    table = np.zeros((tiles, 7), np.int64)
    table[:, 0], table[:, 3], table[:, 4] = rng.integers(1, 200, (3, tiles))
    table[:, 5] = 49
    new = rng.random(tiles) < 0.7
    new[0] = True
    table[:, 6] = 1 + 4 * new + 8 * np.append(new[1:], True)
    table[0, 6] |= 2 + 16
    return table


def million_rows_per_s() -> float:
    """Speed of opening a table of two million rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace"
        rows = resnet50_trace(path, 2_000_000)
        return rows / cpu_s(lambda: bitsim.open_trace(path), 3) / 1e6


def published_search() -> None:
    """The 61 rows as of a new design point: none known from before."""
    best_values.cache_clear()
    bitfusion.rows()


def main() -> None:
    """Print one figure a line."""
    trace = bitsim.open_trace("resnet38_cifar_pfq")
    for name in ("bitfusion_16x32_192b", "eyeriss_12x14_108k_500mhz"):
        machine = bitsim.load_hardware(name)
        seconds = cpu_s(lambda machine=machine: bitsim.simulate(trace, machine).totals, 3)
        print(f"resnet38_cifar_pfq, 64,000 iterations, {name}, warm: {seconds:.2f} s")
    program, timing = random_program(200_000), PortTiming(40).array()
    cycles = int(event_cycles(program, timing).sum())
    event = cpu_s(lambda: event_cycles(program, timing))
    stepped = cpu_s(lambda: stepped_cycles(program, timing, NO_STALLS, NO_LOG), 3)
    print(
        f"event recurrence: {len(program) / event / 1e6:.1f} Mtile/s, {stepped / event:.0f} times the per-cycle model"
    )
    nests = random_nests(10_000, seed=0)
    collapsed = cpu_s(lambda: [collapsed_cycles(nest.rows, nest.runs, timing) for nest in nests])
    tiles = sum(int(nest.counts.sum()) for nest in nests)
    print(f"collapsed, 10,000 random layers of {tiles / 1e4:.0f} tiles: {1e4 / collapsed:,.0f} layers/s")
    print(f"per-cycle model: {cycles / stepped / 1e6:.0f} Mcycle/s")
    print(f"BitFusion's published search, 61 layers: {cpu_s(published_search) * 1e3:.0f} ms")
    print(f"2 million rows of ResNet-50, widths per sample: {million_rows_per_s():.1f} million rows a CPU second")
    for name in data.names("traces"):
        seconds, size_mb = report_cost(name, cpu_s)
        print(f"report of {name} on two machines: {seconds:.2f} s, {size_mb:.1f} MB")
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bitsim", "--help"], check=True, stdout=subprocess.DEVNULL)
    print(f"bitsim --help, process: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    if sys.argv[1:] == ["--large"]:
        large()
    else:
        main()
