"""Whole training runs: tables of tens and hundreds of millions of rows, each opened and simulated in its own process.

Run ``python -m bench --large`` (72.5 million rows of ResNet-50, 520 million of GPT-2 XL; 0.6 GB of disk in the
temporary folder, cleaned up after) or ``python -m bench.scale FOLDER`` for a trace of your own.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HARDWARE = "bitfusion_16x32_192b"
NEEDED_BYTES = 2**30


def measure(folder: Path) -> str:
    """Time and memory of opening and simulating one trace in this process, kernels compiled and a trace run before."""
    import bitsim

    machine = bitsim.load_hardware(HARDWARE)
    bitsim.simulate(bitsim.open_trace("resnet38_cifar_pfq"), machine)
    warm_up_kernels()
    wall, cpu = time.perf_counter(), time.process_time()
    trace = bitsim.open_trace(folder)
    cycles = bitsim.simulate(trace, machine).totals["cycles"]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{wall:.1f} s, {cpu:.1f} CPU s, peak memory {peak_mb:.0f} MB, {cycles:.4g} cycles"


def warm_up_kernels() -> None:
    """Load the compiled kernels that only tables of many rows use."""
    import bitsim
    from bench.big_traces import resnet50_trace

    with tempfile.TemporaryDirectory() as folder:
        resnet50_trace(Path(folder) / "few", 100_000)
        bitsim.open_trace(Path(folder) / "few")


def large() -> None:
    """Make the two traces, measure each in a fresh process, and remove them."""
    from bench.big_traces import gpt2_xl_trace, resnet50_trace

    makers: tuple[tuple[str, Callable[[Path, int], int], int], ...] = (
        ("ResNet-50, widths per sample", resnet50_trace, 72_500_000),
        ("GPT-2 XL, widths per iteration", gpt2_xl_trace, 520_000_000),
    )
    with tempfile.TemporaryDirectory(prefix="bitsim-bench-") as folder:
        if shutil.disk_usage(folder).free < NEEDED_BYTES:
            sys.exit(f"{folder}: less than {NEEDED_BYTES} bytes free")
        for name, make, rows in makers:
            path = Path(folder) / "trace"
            written = make(path, rows)
            command = [sys.executable, "-m", "bench.scale", str(path)]
            found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            print(f"{name}, {written / 1e6:.1f} million rows: {found}", flush=True)
            shutil.rmtree(path)


if __name__ == "__main__":
    print(measure(Path(sys.argv[1])))
