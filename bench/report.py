"""Making the report of a shipped trace: seconds and size."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import bitsim
from bitsim.report.folder import write_folder
from bitsim.report.html import report_html
from bitsim.report.result_folder import read_folder

MACHINES = ("bitfusion_16x32_192b", "eyeriss_12x14_108k_500mhz")


def report_cost(trace: str, measure: Callable[[Callable[[], object], int], float]) -> tuple[float, float]:
    """(seconds by `measure` from a folder to its page, size in MB) of a shipped trace on two machines."""
    opened = bitsim.open_trace(trace)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "out"
        write_folder(folder, [bitsim.simulate(opened, bitsim.load_hardware(name)) for name in MACHINES])
        pages: list[str] = []
        seconds = measure(lambda: pages.append(report_html(read_folder(folder))), 3)
        return seconds, len(pages[0].encode()) / 1e6
