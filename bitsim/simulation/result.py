"""What a simulation returns: rows, totals, totals per iteration.  Totals = sum of cost x occurrences x iterations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bitsim import __version__
from bitsim.accelerators.registry import Machine
from bitsim.energy import PriceList
from bitsim.errors import InputError
from bitsim.simulation.cost import COST_COLUMNS
from bitsim.simulation.rows import RunRows
from bitsim.trace import Trace

if TYPE_CHECKING:
    import pandas as pd

INT64_MAX = 2**63 - 1
# Quantities that add up over occurrences and iterations.
_NOT_SUMMED = frozenset(
    {
        "input_bits",
        "weight_bits",
        "output_bits",
        "input_hw_bits",
        "weight_hw_bits",
        "accumulator_bits",
        "required_accumulator_bits",
        "passes",
        "orientation",
        "utilisation",
        "bound",
    }
)


_HEAD = ("layer", "pass", "samples", "occurrences", "iterations")
PLACE = ("iteration_start", "iteration_end")


@dataclass(frozen=True)
class Result:
    """One trace on one machine."""

    trace: Trace
    machine: Machine
    iteration_range: tuple[int, int]
    run_rows: RunRows
    prices: PriceList
    analytical: bool = False  # of a published closed-form model, not of the exact engine

    @property
    def timing(self) -> str:
        """What gave the cycles: the engines are equal, a closed-form model is something else."""
        return "analytical" if self.analytical else "exact"

    @property
    def iterations(self) -> int:
        """Iterations simulated."""
        return self.iteration_range[1] - self.iteration_range[0]

    @property
    def columns(self) -> list[str]:
        """Columns of a row, in order, whether or not there is one."""
        return [*_HEAD, *COST_COLUMNS, *self.prices.traffic_columns, *self.prices.energy_pj({}, 0)]

    def distinct(self) -> list[dict[str, Any]]:
        """One record per distinct (layer, pass, widths, samples, occurrences), in layer order."""
        merged: dict[tuple, list] = {}
        for row, iterations in self.run_rows.counts():
            key = (row.layer_index, row.pass_name, row.samples, row.occurrences, id(row.cost))
            merged.setdefault(key, [row, 0])[1] += iterations
        return [row.record(count) for _, (row, count) in sorted(merged.items(), key=lambda item: item[0][0])]

    def by_trace_row(self) -> list[dict[str, Any]]:
        """One record per trace range, layer and pass, sorted by iteration_start, then layer order."""
        records = []
        for start, end, rows in self.run_rows.spans():
            place = {"iteration_start": start, "iteration_end": end}
            records += [place | row.record(end - start) for row in rows]
        return records

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The distinct rows as a frame, units in the column names."""
        import pandas as pd

        return pd.DataFrame(self.distinct(), columns=self.columns)

    @cached_property
    def totals(self) -> dict[str, int | float]:
        """Sum of every additive column over occurrences and iterations; integers stay exact."""
        summed = [name for name in self.columns if name not in _NOT_SUMMED and name not in _HEAD]
        total: dict[str, int | float] = dict.fromkeys(summed, 0)
        for record in self.distinct():
            times = record["occurrences"] * record["iterations"]
            for name in summed:
                total[name] += record[name] * times
        over = [
            f"{name}: {value} would pass int64, allowed {INT64_MAX}"
            for name, value in total.items()
            if value > INT64_MAX
        ]
        if over:
            raise InputError([f"{self.trace.name}: {fault}; choose fewer --iterations" for fault in over])
        total["latency_s"] = float(total.get("cycles", 0) / self.machine.clock_hz)
        total["energy_j"] = total.get("energy_pj", 0) * 1e-12
        return total

    @property
    def total(self) -> pd.DataFrame:
        """Totals of the run as a frame of one row."""
        import pandas as pd

        return pd.DataFrame([self.totals])

    def per_iteration(self) -> pd.DataFrame:
        """Cost of one iteration in each range of iterations over which nothing changes.

        Columns iteration_start, iteration_end, cycles, latency_s, energy_j and the energy parts in pJ.
        """
        import numpy as np
        import pandas as pd

        spans = list(self.run_rows.spans())
        edges = np.unique([edge for start, end, _ in spans for edge in (start, end)] or self.iteration_range)
        names = ["cycles", *[f"{b}_pj" for b in self.prices.buffers], "array_pj", "dram_pj", "dram_static_pj"]
        names += ["leakage_pj", "energy_pj"]
        steps = {name: np.zeros(len(edges), np.int64 if name == "cycles" else np.float64) for name in names}
        cost_of: dict[int, dict[str, float]] = {}  # by list of rows: few lists serve many spans
        starts = np.searchsorted(edges, [start for start, _, _ in spans]).tolist()
        ends = np.searchsorted(edges, [end for _, end, _ in spans]).tolist()
        for (_, _, rows), start, end in zip(spans, starts, ends, strict=True):
            if id(rows) not in cost_of:
                cost_of[id(rows)] = {n: sum(r.cost.values[n] * r.occurrences for r in rows) for n in names}  # type: ignore[misc]
            for name, value in cost_of[id(rows)].items():
                steps[name][start] += value
                steps[name][end] -= value
        frame = pd.DataFrame({"iteration_start": edges[:-1], "iteration_end": edges[1:]})
        running = np.cumsum(steps["cycles"])[:-1] > 0
        for name in names:
            # Sums of floats going up and down leave a residue, such as -1e-11 pJ where nothing runs.
            frame[name] = np.where(running, np.maximum(np.cumsum(steps[name])[:-1], 0), 0)
        frame.insert(3, "latency_s", frame["cycles"] / float(self.machine.clock_hz))
        frame["energy_j"] = frame["energy_pj"] * 1e-12
        return frame

    def summary(self) -> dict[str, Any]:
        """The JSON object of one run, without rows."""
        totals, count = self.totals, self.iterations
        return {
            "hardware": self.machine.name,
            "trace": self.trace.name,
            "config_hash": self.machine.source.config_hash,
            "trace_hash": self.trace.trace_hash,
            "overrides": self.machine.source.overrides,
            "timing": self.timing,
            "iterations": count,
            "iteration_range": list(self.iteration_range),
            "cycles": totals.get("cycles", 0),
            "latency_s": totals["latency_s"],
            "energy_j": totals["energy_j"],
            "cycles_per_iteration": totals.get("cycles", 0) / count,
            "latency_s_per_iteration": totals["latency_s"] / count,
            "energy_j_per_iteration": totals["energy_j"] / count,
            "price_sources": self.prices.sources(),
            "version": __version__,
        }
