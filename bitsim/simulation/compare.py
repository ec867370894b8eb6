"""Machines side by side on one trace: per pass and per layer, with ratios to a baseline.

Assumptions
    - Ratios are baseline over machine: above 1 the machine is faster, or spends less.
    - The geometric mean is over (layer, pass) pairs, each counted once whatever its size; the ratio
      of the totals stands beside it, since the two answer different questions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bitsim.conditions import differences
from bitsim.errors import InputError
from bitsim.iso import Resized
from bitsim.simulation.metrics import (
    BETTER,
    WORSE,
    Disagreement,
    Measured,
    OverTraining,
    disagreements,
    document,
    measure,
    over_training,
    verdict,
)
from bitsim.simulation.result import Result

if TYPE_CHECKING:
    import pandas as pd

PASS_ORDER = (
    "forward",
    "elementwise",
    "recompute",
    "elementwise_recompute",
    "elementwise_backward",
    "dgrad",
    "dgrad_second",
    "wgrad",
    "wgrad_accumulate",
    "update",
)
TOTAL = "total"


@dataclass(frozen=True)
class Comparison:
    """Results on the same trace and iterations; `baseline` is one of them."""

    results: tuple[Result, ...]
    baseline: Result
    resized: tuple[Resized, ...] = ()

    @property
    def components(self) -> list[str]:
        """Energy columns without their _pj: every buffer of any machine, array to leakage."""
        buffers = dict.fromkeys(f"{name}_pj" for r in self.results for name in r.prices.buffers)
        columns = dict.fromkeys([*buffers, *self.baseline.prices.component_columns])
        return [name.removesuffix("_pj") for name in columns]

    def differences(self) -> dict[str, dict[str, str]]:
        """{what: {machine: value}} of the conditions that are not equal: clock, bandwidth, node, cells and so on."""
        return differences([result.machine for result in self.results], [result.timing for result in self.results])

    def by_pass(self) -> pd.DataFrame:
        """One row a machine and pass, and `total`: cycles, latency_s, energies in J, utilisation, bound, ratios."""
        return self._table(("pass",), [{"pass": p} for p in (*PASS_ORDER, TOTAL)])

    def by_layer(self) -> pd.DataFrame:
        """One row a machine, layer and pass, in the order they run."""
        layers = [layer.name for layer in self.baseline.trace.layers]
        return self._table(("layer", "pass"), [{"layer": n, "pass": p} for n in layers for p in PASS_ORDER])

    def geometric_means(self) -> dict[str, dict[str, float]]:
        """{machine: {speedup, energy_ratio}} over all (layer, pass) pairs."""
        table = self.by_layer()
        means: dict[str, dict[str, float]] = {}
        for name, rows in table.groupby("hardware", sort=False):
            means[str(name)] = {
                column: math.exp(sum(map(math.log, rows[column])) / len(rows)) for column in ("speedup", "energy_ratio")
            }
        return means

    @cached_property
    def measured(self) -> tuple[Measured, ...]:
        """Metrics of each machine, in the order of the results."""
        return tuple(measure(result) for result in self.results)

    @property
    def measured_baseline(self) -> Measured:
        """Metrics of the baseline."""
        return next(one for one in self.measured if one.hardware == self.baseline.machine.name)

    def disagreements(self) -> tuple[Disagreement, ...]:
        """Pairs of metrics that name different winners, machine by machine."""
        return tuple(d for one in self.measured for d in disagreements(one, self.measured_baseline))

    @cached_property
    def over_training(self) -> tuple[OverTraining, ...]:
        """What effective MACs promise between the cheapest and the dearest iteration, and what each machine keeps."""
        return tuple(one for result in self.results if (one := over_training(result)) is not None)

    def split_pairs(self) -> pd.DataFrame:
        """The rows of `by_layer` where time and energy name different winners."""
        table = self.by_layer()
        time, energy = (table[column].map(verdict) for column in ("speedup", "energy_ratio"))
        return table[((time == BETTER) & (energy == WORSE)) | ((time == WORSE) & (energy == BETTER))]

    def about(self) -> dict[str, Any]:
        """What the comparison says of the machines as a whole, as plain data."""
        return {
            "baseline": self.baseline.machine.name,
            "differences": self.differences(),
            "iso": [one.record() for one in self.resized],
            "geometric_mean": self.geometric_means(),
            "metrics": [document(one, self.measured_baseline) for one in self.measured],
            "disagreements": [asdict(one) for one in self.disagreements()],
            "over_training": [asdict(one) for one in self.over_training],
        }

    def document(self) -> dict[str, Any]:
        """The comparison as one JSON object."""
        return self.about() | {
            "runs": [result.summary() for result in self.results],
            "by_pass": self.by_pass().to_dict("records"),
            "by_layer": self.by_layer().to_dict("records"),
        }

    def _table(self, keys: tuple[str, ...], order: list[dict[str, str]]) -> pd.DataFrame:
        import pandas as pd

        sums = {result.machine.name: _sums(result, keys, self.components) for result in self.results}
        base = sums[self.baseline.machine.name]
        rows = []
        for place in order:
            key = tuple(place.values())
            for name, of_machine in sums.items():
                if key in of_machine:
                    row = of_machine[key]
                    ratios = {
                        "speedup": base[key]["latency_s"] / row["latency_s"],
                        "energy_ratio": base[key]["energy_j"] / row["energy_j"],
                    }
                    rows.append({"hardware": name} | place | row | ratios)
        return pd.DataFrame(rows)


def compare(results: Sequence[Result], baseline: str | None = None, resized: Sequence[Resized] = ()) -> Comparison:
    """Compare results of several machines on one trace; the baseline defaults to the first.

    resized: how bitsim.resize made the machines equal, if it did.  Raises InputError unless there are two or
    more machines, all results are of one trace and iterations, and the baseline is one of them.
    """
    names = [result.machine.name for result in results]
    check_machines(names, baseline)
    if len({(r.trace.trace_hash, r.iteration_range) for r in results}) > 1:
        raise InputError("compare: results of different traces or iterations, allowed: the same for all")
    if not all(result.distinct() for result in results):
        raise InputError("compare: nothing ran in the passes and iterations chosen, so there is no ratio to form")
    return Comparison(tuple(results), results[names.index(baseline) if baseline else 0], tuple(resized))


def check_machines(names: Sequence[str], baseline: str | None) -> None:
    """InputError unless there are two or more machines, each once, and the baseline is one of them."""
    if len(names) < 2:
        raise InputError("compare: one machine, needs two or more")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"compare: {', '.join(twice)} given twice, allowed: each machine once")
    if baseline is not None and baseline not in names:
        raise InputError(f"--baseline {baseline}: is none of {', '.join(names)}")


def _sums(result: Result, keys: tuple[str, ...], components: list[str]) -> dict[tuple[str, ...], dict[str, Any]]:
    """Totals of each key over the whole range; utilisation and bound weighted by cycles."""
    totals: dict[tuple[str, ...], dict[str, Any]] = {}
    bounds: dict[tuple[str, ...], dict[str, int]] = {}
    clock = float(result.machine.clock_hz)
    for record in result.distinct():
        times = record["occurrences"] * record["iterations"]
        cycles = record["cycles"] * times
        places = [tuple(record[k] for k in keys)]
        if keys == ("pass",):
            places.append((TOTAL,))
        for place in places:
            into = totals.setdefault(place, {"cycles": 0, "latency_s": 0.0, "energy_j": 0.0, "utilisation": 0.0})
            into["cycles"] += cycles
            into["latency_s"] += cycles / clock
            into["energy_j"] += record["energy_pj"] * times * 1e-12
            into["utilisation"] += record["utilisation"] * cycles
            for name in components:
                into[f"{name}_j"] = into.get(f"{name}_j", 0.0) + record.get(f"{name}_pj", 0.0) * times * 1e-12
            votes = bounds.setdefault(place, {})
            votes[record["bound"]] = votes.get(record["bound"], 0) + cycles
    for place, into in totals.items():
        into["utilisation"] /= into["cycles"]
        into["bound"] = max(sorted(bounds[place]), key=bounds[place].__getitem__)
    return totals
