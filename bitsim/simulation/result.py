"""What a simulation returns: rows, totals, totals per iteration.  Totals = sum of cost x occurrences x iterations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bitsim import __version__
from bitsim.accelerators.registry import Machine
from bitsim.conditions import conditions
from bitsim.energy import PriceList
from bitsim.simulation.cost import COST_COLUMNS
from bitsim.simulation.machine_facts import machine_facts
from bitsim.simulation.rows import RunRows
from bitsim.trace import Trace

if TYPE_CHECKING:
    import pandas as pd

# Quantities that do not add up over occurrences and iterations.
NOT_SUMMED = frozenset(
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
    choices: dict[str, str] = field(default_factory=dict)  # objective, passes, samples and overlap it was asked for

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
        return [*_HEAD, *COST_COLUMNS, *self.prices.counter_columns, *self.prices.energy_pj({}, 0)]

    def distinct(self) -> list[dict[str, Any]]:
        """One record per distinct (layer, pass, widths, samples, occurrences), in layer order."""
        merged: dict[tuple, list] = {}
        for row, iterations in self.run_rows.counts():
            key = (row.layer_index, row.pass_name, row.samples, row.occurrences, row.group, id(row.cost))
            merged.setdefault(key, [row, 0])[1] += iterations
        return [row.record(count) for _, (row, count) in sorted(merged.items(), key=lambda item: item[0][0])]

    def by_trace_row(self) -> Iterator[dict[str, Any]]:
        """One record per trace range, layer and pass, by iteration_start, then layer order; as many as the trace."""
        for start, end, rows in self.run_rows.spans():
            place = {"iteration_start": start, "iteration_end": end}
            for row in rows:
                yield place | row.record(end - start)

    def records(self, kind: str) -> Iterable[dict[str, Any]]:
        """Rows as records, kind `distinct` or `trace`."""
        return self.distinct() if kind == "distinct" else self.by_trace_row()

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The distinct rows as a frame, units in the column names."""
        import pandas as pd

        return pd.DataFrame(self.distinct(), columns=self.columns)

    @cached_property
    def totals(self) -> dict[str, int | float]:
        """Sum of every additive column over occurrences and iterations; integers stay exact, beyond 64 bits too."""
        summed = [name for name in self.columns if name not in NOT_SUMMED and name not in _HEAD]
        total: dict[str, int | float] = dict.fromkeys(summed, 0)
        for record in self.distinct():
            times = record["occurrences"] * record["iterations"]
            for name in summed:
                total[name] += record[name] * times
        total["latency_s"] = float(total.get("cycles", 0) / self.machine.clock_hz)
        total["energy_j"] = total.get("energy_pj", 0) * 1e-12
        return total

    @property
    def total(self) -> pd.DataFrame:
        """Totals of the run as a frame of one row; integers beyond 64 bits are Python's."""
        import pandas as pd

        return pd.DataFrame([self.totals])

    def per_iteration(self) -> pd.DataFrame:
        """Cost of one iteration in each range of iterations over which nothing changes.

        Columns iteration_start, iteration_end, cycles, latency_s, energy_j and the energy parts in pJ.
        """
        import pandas as pd

        return pd.concat(self.iteration_runs(), ignore_index=True)

    def iteration_runs(self) -> Iterator[pd.DataFrame]:
        """`per_iteration` in pieces, for runs of more ranges than memory should hold."""
        import pandas as pd

        names = self.energy_columns
        for run in self.run_rows.iterations(names):
            frame = pd.DataFrame({"iteration_start": run.start, "iteration_end": run.end, "cycles": run.cycles})
            frame["latency_s"] = frame["cycles"] / float(self.machine.clock_hz)
            for place, name in enumerate(names):
                frame[name] = run.values[:, place]
            frame["energy_j"] = frame["energy_pj"] * 1e-12
            yield frame

    @property
    def iteration_columns(self) -> list[str]:
        """Columns of `per_iteration`."""
        return [*PLACE, "cycles", "latency_s", *self.energy_columns, "energy_j"]

    @property
    def energy_columns(self) -> list[str]:
        """Columns of energy in pJ: each component, and their sum."""
        return [*self.prices.component_columns, "energy_pj"]

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
            "choices": self.choices,
            "iterations": count,
            "iteration_range": list(self.iteration_range),
            "cycles": totals.get("cycles", 0),
            "latency_s": totals["latency_s"],
            "energy_j": totals["energy_j"],
            "cycles_per_iteration": totals.get("cycles", 0) / count,
            "latency_s_per_iteration": totals["latency_s"] / count,
            "energy_j_per_iteration": totals["energy_j"] / count,
            "machine": machine_facts(self.machine),
            "conditions": conditions(self.machine, self.timing),
            "price_sources": self.prices.sources(),
            "notes": self.prices.notes(),
            "version": __version__,
        }
