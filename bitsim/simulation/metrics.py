"""Metrics of one run side by side, and where two of them name different winners.

The ladder goes from what knows no hardware to what a user pays: MACs (shapes), effective MACs and bit operations (the
trace's widths), occupied bit operations (widths the hardware runs at), cycles (lanes, fill, waits), time (clock),
energy, energy-delay product, work per time and area.

Assumptions
    - Energy-delay product is of the whole range: energy x time.  Throughput is nominal MACs a second over the
      area that bitsim.area knows.
    - Two machines count as equal in a metric within TIE: the search for mappings is no closer (README).
    - What stands between bit operations and cycles is a product, exact by definition:
      cycles = bit operations x widths / (peak x filled x issuing).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bitsim.area import area_of
from bitsim.errors import InputError
from bitsim.simulation.result import Result

TIE = 0.005
BETTER, EQUAL, WORSE = "better", "equal", "worse"


@dataclass(frozen=True)
class Metric:
    """A figure machines are ranked by; label: in words; unit: s or J where it has a prefix when shown."""

    name: str
    label: str
    unit: str = ""
    more_is_better: bool = False


METRICS = (
    Metric("macs", "MACs"),
    Metric("effective_macs", "effective MACs"),
    Metric("bit_ops", "bit operations"),
    Metric("occupied_bit_ops", "occupied bit op."),
    Metric("cycles", "cycles"),
    Metric("latency_s", "time", "s"),
    Metric("energy_j", "energy", "J"),
    Metric("edp_j_s", "EDP (J s)"),
    Metric("macs_per_s_per_core_mm2", "MACs/s per core mm2", more_is_better=True),
    Metric("macs_per_s_per_chip_mm2", "MACs/s per chip mm2", more_is_better=True),
)
METRIC_OF = {metric.name: metric for metric in METRICS}

# Pairs worth words where they name different winners, and the factors that lie between them (none: energy's parts do).
PAIRS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("effective_macs", "cycles", ("widths", "peak", "filled", "issuing")),
    ("effective_macs", "energy_j", ()),
    ("occupied_bit_ops", "cycles", ("peak", "filled", "issuing")),
    ("cycles", "latency_s", ("clock",)),
    ("latency_s", "energy_j", ()),
    ("latency_s", "edp_j_s", ("energy",)),
    ("latency_s", "macs_per_s_per_core_mm2", ("core",)),
    ("latency_s", "macs_per_s_per_chip_mm2", ("chip",)),
)


@dataclass(frozen=True)
class Measured:
    """One machine: its metrics by name, what lies between them, energy of each component in J.

    factors: widths (occupied bit operations per bit operation of the trace), peak (bit products a cycle), filled (share
    of the array while it issues), issuing (share of cycles), clock (Hz), energy (J), core and chip (mm2).
    """

    hardware: str
    values: dict[str, float]
    factors: dict[str, float]
    components_j: dict[str, float]


@dataclass(frozen=True)
class Factor:
    """Something two machines differ in: its value for the baseline and the machine, and what it does to the ratio."""

    name: str
    baseline: float
    machine: float
    times: float


@dataclass(frozen=True)
class Component:
    """Energy of one component on the baseline and on the machine, in J."""

    name: str
    baseline_j: float
    machine_j: float


@dataclass(frozen=True)
class Disagreement:
    """Two metrics that name different winners between a machine and the baseline.

    Ratios are as everywhere, above 1 is better for the machine.  factors: what turns the first ratio into the second,
    their `times` multiplied; components: where the second is energy, in place of factors, largest difference first.
    """

    hardware: str
    first: str
    second: str
    first_ratio: float
    second_ratio: float
    factors: tuple[Factor, ...]
    components: tuple[Component, ...]


@dataclass(frozen=True)
class OverTraining:
    """The cheapest iteration over the dearest, by effective MACs, and what the same two cost on a machine."""

    hardware: str
    effective_macs: float
    cycles: float
    energy: float


def measure(result: Result) -> Measured:
    """Metrics of `result` over its whole range."""
    totals, machine = result.totals, result.machine
    areas, peak = _areas(result), machine.accelerator.peak_bit_products_per_cycle
    values = {m.name: totals[m.name] for m in METRICS if m.name in totals}
    values["edp_j_s"] = values["energy_j"] * values["latency_s"]
    for name, mm2 in areas.items():
        values[f"macs_per_s_per_{name}_mm2"] = values["macs"] / values["latency_s"] / mm2
    factors = areas | {"clock": float(machine.clock_hz), "energy": values["energy_j"]}
    if values["bit_ops"]:
        factors |= {
            "widths": values["occupied_bit_ops"] / values["bit_ops"],
            "peak": float(peak),
            "filled": values["occupied_bit_ops"] / (peak * totals["issue_cycles"]),
            "issuing": totals["issue_cycles"] / totals["cycles"],
        }
    names = [name for name in result.energy_columns if name != "energy_pj"]
    components_j = {name.removesuffix("_pj"): totals[name] * 1e-12 for name in names}
    return Measured(machine.name, values, factors, components_j)


def ratios(machine: Measured, baseline: Measured) -> dict[str, float]:
    """{metric: ratio}, above 1 where the machine is better; 1 where both are 0."""
    found = {}
    for metric in METRICS:
        if metric.name in machine.values and metric.name in baseline.values:
            own, base = machine.values[metric.name], baseline.values[metric.name]
            if metric.more_is_better:
                own, base = base, own
            found[metric.name] = 1.0 if own == base else base / own
    return found


def verdict(ratio: float) -> str:
    """better, equal or worse than the baseline."""
    return EQUAL if abs(ratio - 1) <= TIE else BETTER if ratio > 1 else WORSE


def disagreements(machine: Measured, baseline: Measured) -> tuple[Disagreement, ...]:
    """The pairs of metrics that name different winners between `machine` and `baseline`, with the reasons."""
    by_metric = ratios(machine, baseline)
    found = []
    for first, second, names in PAIRS:
        known = {first, second} <= by_metric.keys() and set(names) <= machine.factors.keys() & baseline.factors.keys()
        if known and verdict(by_metric[first]) != verdict(by_metric[second]):
            reasons = _factors(machine, baseline, names), () if names else _components(machine, baseline)
            found.append(Disagreement(machine.hardware, first, second, by_metric[first], by_metric[second], *reasons))
    return tuple(found)


def over_training(result: Result) -> OverTraining | None:
    """How far a run's precision moves its cost on a machine; None if every iteration does the same."""
    least = most = None
    for run in result.run_rows.iterations(["effective_macs", "energy_pj"]):
        effective = run.values[:, 0]
        for place in (int(effective.argmin()), int(effective.argmax())):
            one = (float(effective[place]), int(run.cycles[place]), float(run.values[place, 1]))
            least = one if least is None or one[0] < least[0] else least
            most = one if most is None or one[0] > most[0] else most
    if least is None or most is None or least[0] == most[0]:
        return None
    return OverTraining(result.machine.name, *(low / high for low, high in zip(least, most, strict=True)))


def document(machine: Measured, baseline: Measured) -> dict[str, Any]:
    """Metrics of a machine as plain data, with ratios to the baseline."""
    return {
        "hardware": machine.hardware,
        **machine.values,
        "components_j": machine.components_j,
        "ratios": ratios(machine, baseline),
        "factors": machine.factors,
    }


def _factors(machine: Measured, baseline: Measured, names: tuple[str, ...]) -> tuple[Factor, ...]:
    """Factors between two metrics; those that stand in a denominator of the cost help where they are larger."""
    helps = ("peak", "filled", "issuing", "clock")
    found = []
    for name in names:
        own, base = machine.factors[name], baseline.factors[name]
        found.append(Factor(name, base, own, own / base if name in helps else base / own))
    return tuple(found)


def _components(machine: Measured, baseline: Measured) -> tuple[Component, ...]:
    names = dict.fromkeys([*baseline.components_j, *machine.components_j])
    parts = [
        Component(name, baseline.components_j.get(name, 0.0), machine.components_j.get(name, 0.0)) for name in names
    ]
    return tuple(sorted(parts, key=lambda part: -abs(part.machine_j - part.baseline_j)))


def _areas(result: Result) -> dict[str, float]:
    try:
        area = area_of(result.machine)
    except InputError:  # only a published model, which has prices of its own, runs what the tables do not price
        return {}
    return {name: mm2 for name, mm2 in (("core", area.core_mm2), ("chip", area.chip_mm2)) if mm2}
