"""A sweep of 1,000 machines on the ResNet-38 trace: arrays x buffers x bandwidths, on one process and on two.

Run ``python -m bench.sweep``.  Each engine runs in a process of its own, kernels compiled before; CPU seconds are
those of all its processes, start-up included.
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRACE, HARDWARE = "resnet38_cifar_pfq", "bitfusion_16x32_192b"
GRID = {
    "array.rows": "8,12,16,24,32",
    "array.cols": "16,32",
    "weight_buffer": "32KiB:512KiB:x2",
    "input_buffer": "16KiB:128KiB:x2",
    "memory.bandwidth": "24Gbit/s,48Gbit/s,96Gbit/s,192Gbit/s,384Gbit/s",
}


def measure(jobs: int) -> dict[str, float | int | str]:
    """Points, failures, seconds, CPU seconds and hash of sweep.parquet of the sweep in this process and its own."""
    import bitsim

    trace, machine = bitsim.open_trace(TRACE), bitsim.load_hardware(HARDWARE)
    with tempfile.TemporaryDirectory(prefix="bitsim-bench-") as folder:
        begun = time.perf_counter()
        found = bitsim.sweep(trace, machine, GRID, jobs=jobs, out=Path(folder) / "sweep")
        seconds = time.perf_counter() - begun
        digest = hashlib.sha256((Path(folder) / "sweep/sweep.parquet").read_bytes()).hexdigest()
    if jobs > 1:
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)  # so that its processes are counted
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "points": len(found.records),
        "failed": len(found.failures),
        "seconds": seconds,
        "cpu_s": sum(one.ru_utime + one.ru_stime for one in used),
        "peak_mb": max(one.ru_maxrss for one in used) / 1024,
        "hash": digest,
    }


def main() -> None:
    """Measure one process and two, and print them side by side."""
    found = {}
    for jobs in (1, 2):
        command = [sys.executable, "-m", "bench.sweep", str(jobs)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[jobs] = one = json.loads(answer.splitlines()[-1])
        print(
            f"sweep, {one['points']:,} points of {TRACE} ({one['failed']} failed), {jobs} process{'es' * (jobs > 1)}: "
            f"{one['seconds']:.1f} s, {one['cpu_s']:.1f} CPU s, peak memory of a process {one['peak_mb']:.0f} MB",
            flush=True,
        )
    same = "the same to the byte" if found[1]["hash"] == found[2]["hash"] else "DIFFERENT"
    print(f"CPU seconds of two processes: {found[2]['cpu_s'] / found[1]['cpu_s']:.2f} times one; sweep.parquet {same}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(int(sys.argv[1]))))
    else:
        main()
