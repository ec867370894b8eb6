"""Running a row, or an iteration, of a result folder again, so that its timeline can be drawn.

What a folder holds is enough for one row: the machine's file with its overrides, layers.csv, and the row's own widths
and samples.  Which rows an iteration has stands in the trace alone, which has to be at hand, and to be the same.
What is run again must give the cycles that stand in the folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from bitsim import __version__
from bitsim.accelerators.registry import Machine, load_hardware
from bitsim.errors import InputError
from bitsim.explain.choice import find_layer
from bitsim.explain.programs import Program, of_iteration, of_pass, widths_of
from bitsim.explain.timeline import Timeline, draw
from bitsim.report.folder import LAYERS_COPY, RUN_COPY
from bitsim.report.result_folder import batches
from bitsim.report.summary_file import RunSummary, Summary, read_summary
from bitsim.simulation.cost import CostModel
from bitsim.simulation.overlap import in_order
from bitsim.simulation.run import ACCUMULATE, simulate
from bitsim.trace import open_trace
from bitsim.trace.layers_file import read_layers
from bitsim.trace.run_file import read_run

ROWS_FILE, SUMMARY_FILE, ITERATIONS_FILE = "rows.parquet", "summary.json", "iterations.parquet"
ASKED = ("samples", "input_bits", "weight_bits", "output_bits")
HELD = ("cycles", "tiles", "dram_read_bits", "dram_write_bits")


@dataclass(frozen=True)
class Replay:
    """Programs to draw.  about: what they are of; cycles: what the folder says they take."""

    runs: list[list[Program]]
    timing: np.ndarray
    about: dict[str, Any]
    cycles: int
    place: Path

    def draw(self, first: int, last: int) -> Timeline:
        """The timeline of tiles [first, last).  InputError if the run differs from the folder."""
        tiles = sum(program.nest.length for programs in self.runs for program in programs)
        if first >= tiles:
            raise InputError(
                f"--tiles {first}:{last}: there are {tiles} tiles, allowed: a range that begins below {tiles}"
            )
        drawn = draw(self.runs, self.timing, first, last)
        if drawn.cycles != self.cycles:
            raise InputError(
                f"{self.place}: {self.cycles} cycles where this version, {__version__}, takes {drawn.cycles}, "
                "allowed: a folder that the same version wrote"
            )
        return drawn


class Folder:
    """A result folder, as far as running from it again needs."""

    def __init__(self, path: Path, hardware: str | None) -> None:
        if not (path / SUMMARY_FILE).is_file():
            raise InputError(
                f"{path}: has no {SUMMARY_FILE}, allowed: a folder that --out of run, compare or demo wrote"
            )
        self.path, self.summary = path, read_summary(path / SUMMARY_FILE)
        self.run = _run_of(self.summary, hardware)
        if self.run.timing == "analytical":
            raise InputError(f"{path / SUMMARY_FILE}: a closed-form model has no tiles to draw, allowed: exact timing")
        if not self.run.choices:
            raise InputError(f"{path / SUMMARY_FILE}: lacks the key choices: written before timelines, run again")
        self.machine = self._machine()
        self.model = CostModel(self.machine, self.run.choices["objective"])
        self.about = {
            "hardware": self.machine.name,
            "trace": self.run.trace,
            "clock_hz": float(self.machine.clock_hz),
            "memory_bits_per_cycle": _plain(self.machine.rate),
            "overlap": self.run.choices["overlap"],
        }

    def _machine(self) -> Machine:
        machine = load_hardware(self.path / f"{self.run.hardware}.yaml", self.run.overrides)
        machine.source.check_unchanged(self.run.config_hash)
        return machine

    def row(self, layer_name: str, pass_name: str, number: int) -> Replay:
        """Row `number` (from 1) of a pass of a layer.  InputError if there is none, or it depends on its neighbours."""
        if self.run.choices["overlap"] == "overlap":
            raise InputError(
                f"{self.path}: rows of --overlap overlap depend on their neighbours, allowed: --iteration with --trace"
            )
        batch = read_run(self.path / RUN_COPY).batch
        layers = read_layers(self.path / LAYERS_COPY, batch)
        if pass_name == ACCUMULATE:
            raise InputError(
                f"--pass {ACCUMULATE}: a stream of sums without a mapping, allowed: a pass, or --iteration"
            )
        layer = find_layer(layers, layer_name, pass_name)
        rows = self._rows(layer_name, pass_name)
        if not 1 <= number <= len(rows):
            raise InputError(
                f"--row {number}: layer {layer_name} has {len(rows)} rows of {pass_name}, allowed: 1 and up"
            )
        row = rows[number - 1]
        bits = (row["input_bits"], row["weight_bits"], row["output_bits"])
        widths = widths_of(pass_name, *bits)
        runs = of_pass(self.model, layer, pass_name, row["samples"], widths)
        about = self.about | {"layer": layer_name, "pass": pass_name, "row": f"{number} of {len(rows)}"}
        about |= {name: row[name] for name in ASKED}
        return Replay(runs, self.machine.port.array(), about, row["cycles"], self.path / ROWS_FILE)

    def _rows(self, layer_name: str, pass_name: str) -> list[dict[str, int]]:
        """Distinct rows of a pass of a layer on the machine, in the order of the file."""
        found: dict[tuple[int, ...], dict[str, int]] = {}
        needed = ("hardware", "layer", "pass", *ASKED, *HELD)
        for frame in batches(self.path / ROWS_FILE, needed):
            ours = (frame["hardware"] == self.machine.name) & (frame["layer"] == layer_name)
            for record in frame.loc[ours & (frame["pass"] == pass_name), [*ASKED, *HELD]].to_dict("records"):
                row = {str(name): int(value) for name, value in record.items()}
                found.setdefault(tuple(row.values()), row)
        return list(found.values())

    def iteration(self, number: int, trace: str | None) -> Replay:
        """All rows of one iteration in the order they run; trace: folder or name, default the name in the summary."""
        first, last = self.run.iteration_range
        if not first <= number < last:
            raise InputError(f"--iteration {number}: allowed: {first} to {last - 1}")
        opened = open_trace(trace if trace is not None else self._shipped())
        if opened.trace_hash != self.run.trace_hash:
            raise InputError(f"--trace {opened.path}: is not the trace the results are of, or has changed since")
        choices = self.run.choices
        result = simulate(
            opened,
            self.machine,
            objective=choices["objective"],
            passes=choices["passes"].split(","),
            samples=choices["samples"],
            iterations=(number, number + 1),
        )
        steps = in_order([row for _, _, rows in result.run_rows.spans() for row in rows])
        if not steps:
            raise InputError(f"--iteration {number}: no layer ran in it")
        runs = of_iteration(self.model, opened.layers, steps, choices["overlap"] == "overlap")
        about = self.about | {"iteration": number, "samples": choices["samples"], "passes": choices["passes"]}
        return Replay(runs, self.machine.port.array(), about, self._cycles_of(number), self.path / ITERATIONS_FILE)

    def _shipped(self) -> str:
        """The name of the trace, if one of this name is shipped."""
        from bitsim import data

        if self.run.trace not in data.names("traces"):
            raise InputError(f"--iteration: needs the trace {self.run.trace}, allowed: --trace with its folder")
        return self.run.trace

    def _cycles_of(self, iteration: int) -> int:
        needed = ("hardware", "iteration_start", "iteration_end", "cycles")
        for frame in batches(self.path / ITERATIONS_FILE, needed):
            inside = (frame["iteration_start"] <= iteration) & (iteration < frame["iteration_end"])
            ours = frame.loc[inside & (frame["hardware"] == self.machine.name), "cycles"]
            if len(ours):
                return int(ours.iloc[0])
        raise InputError(f"{self.path / ITERATIONS_FILE}: has no iteration {iteration} of {self.machine.name}")


def _run_of(summary: Summary, hardware: str | None) -> RunSummary:
    names = [run.hardware for run in summary.runs]
    if hardware is None:
        return summary.runs[0]
    for run in summary.runs:
        if run.hardware == hardware:
            return run
    raise InputError(f"--hw {hardware}: is none of the machines of the folder, allowed: {', '.join(names)}")


def _plain(rate: Fraction) -> int | float:
    return rate.numerator if rate.denominator == 1 else float(rate)
