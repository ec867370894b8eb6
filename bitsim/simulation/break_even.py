"""From which widths on one machine beats another, when both have the same size.

Assumptions
    - The layers and batch of a trace are run once at each width: `static`, every operand at it; `mixed`, activations
      and weights at it and gradients at 8 bits.  Layers that the trace keeps in float throughout stay float.
    - One machine, the baseline, keeps its size in every mode (bitsim.iso); verdicts are those of `metrics`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bitsim.accelerators.registry import Machine
from bitsim.iso import BOTH, resize
from bitsim.networks.from_trace import trace_network
from bitsim.schedules import Bits
from bitsim.simulation.metrics import BETTER, verdict
from bitsim.simulation.result import Result
from bitsim.simulation.sensitivity import METRICS
from bitsim.synthetic import make_trace
from bitsim.synthetic.plan import Phase, Plan
from bitsim.trace import Trace

NONE = "none"
AS_GIVEN, UNCHANGED = "as given", "as it was"
WIDTHS = tuple(range(2, 9))
GRADIENT_BITS = 8
SCHEDULES: dict[str, Callable[[int], Bits]] = {
    "static": lambda bits: Bits(bits, bits, bits),
    "mixed": lambda bits: Bits(bits, bits, GRADIENT_BITS),
}


@dataclass(frozen=True)
class WidthRatios:
    """A machine against the baseline at one width: baseline over machine, {time, energy, EDP}, above 1 is better."""

    iso: str
    hardware: str
    schedule: str
    bits: int
    ratios: dict[str, float]


@dataclass(frozen=True)
class BreakEven:
    """Ratios at every width under every iso mode; changes: {iso: {machine: what became of it}}."""

    baseline: str
    trace: str
    points: tuple[WidthRatios, ...]
    changes: dict[str, dict[str, str]]

    def winning_bits(self, iso: str, hardware: str, schedule: str, metric: str) -> tuple[int, ...]:
        """Widths at which the machine beats the baseline in a metric."""
        return tuple(p.bits for p in self.of(iso, hardware, schedule) if verdict(p.ratios[metric]) == BETTER)

    def of(self, iso: str, hardware: str, schedule: str) -> tuple[WidthRatios, ...]:
        """Points of one line, by width."""
        wanted = (iso, hardware, schedule)
        return tuple(p for p in self.points if (p.iso, p.hardware, p.schedule) == wanted)

    @property
    def lines(self) -> tuple[tuple[str, str, str], ...]:
        """(iso, machine, schedule) of every line, in order."""
        return tuple(dict.fromkeys((p.iso, p.hardware, p.schedule) for p in self.points))

    def alike(self, hardware: str) -> dict[str, tuple[str, ...]]:
        """{first mode: modes that make the same of a machine}, in order."""
        by_change: dict[str, list[str]] = {}
        for mode, changes in self.changes.items():
            what = changes[hardware]
            by_change.setdefault(what if what != AS_GIVEN else UNCHANGED, []).append(mode)
        return {modes[0]: tuple(modes) for modes in by_change.values()}

    def document(self) -> dict[str, Any]:
        """As plain data, with the winning widths of every line."""
        wins = [
            {"iso": i, "hardware": h, "schedule": s, **{m: self.winning_bits(i, h, s, m) for m in METRICS}}
            for i, h, s in self.lines
        ]
        return asdict(self) | {"wins": wins}


def break_even(
    trace: Trace,
    machines: Sequence[Machine],
    baseline: str,
    modes: Sequence[str],
    run: Callable[[Trace, Machine], Result],
    grow: str = BOTH,
) -> BreakEven:
    """Ratios of `machines` to the one named `baseline` at every width, under each of `modes` (`none`: as given).

    run: simulates a machine on a trace of one iteration a width.  Each distinct machine is simulated once.
    InputError where a mode cannot be met.
    """
    sized = {mode: _sized(machines, baseline, mode, grow) for mode in modes}
    with tempfile.TemporaryDirectory(prefix="bitsim-") as folder:
        ladder = ladder_trace(trace, Path(folder) / "ladder")
        known: dict[str, list[dict[str, float]]] = {}
        for listed in sized.values():
            for machine, _ in listed:
                if machine.source.config_hash not in known:
                    known[machine.source.config_hash] = _figures(run(ladder, machine))
    base = known[next(m for m in machines if m.name == baseline).source.config_hash]
    points = []
    for mode, listed in sized.items():
        for machine, _ in listed:
            if machine.name != baseline:
                points += _points(mode, machine.name, known[machine.source.config_hash], base)
    changes = {mode: {m.name: what for m, what in listed if m.name != baseline} for mode, listed in sized.items()}
    return BreakEven(baseline, trace.name, tuple(points), changes)


def steps() -> list[tuple[str, int]]:
    """(schedule, width) of each iteration of a ladder."""
    return [(schedule, bits) for schedule in SCHEDULES for bits in WIDTHS]


def ladder_trace(trace: Trace, folder: Path) -> Trace:
    """The layers of `trace` under each of `steps`, an iteration each; written to `folder`, which must not exist."""
    phases = [Phase(i, i + 1, ((None, SCHEDULES[name](bits)),)) for i, (name, bits) in enumerate(steps())]
    network = trace_network(trace)
    return make_trace(folder, network, Plan(tuple(phases), "one iteration a width"), network.batch, len(phases))


def _sized(machines: Sequence[Machine], baseline: str, mode: str, grow: str) -> list[tuple[Machine, str]]:
    """(machine, what became of it) of all machines."""
    if mode == NONE:
        return [(machine, AS_GIVEN) for machine in machines]
    found = []
    for one in resize(machines, mode, baseline, grow):
        what = ", ".join(f"{key} {now}" for key, (_, now) in one.changes.items())
        found.append((one.machine, what or UNCHANGED))
    return found


def _figures(result: Result) -> list[dict[str, float]]:
    """Time, energy and their product of each iteration."""
    found = []
    for row in result.per_iteration().to_dict("records"):
        seconds, joules = row["latency_s"], row["energy_j"]
        count = int(row["iteration_end"] - row["iteration_start"])
        found += [{"time": seconds, "energy": joules, "EDP": seconds * joules}] * count
    return found


def _points(mode: str, hardware: str, own: list[dict[str, float]], base: list[dict[str, float]]) -> list[WidthRatios]:
    return [
        WidthRatios(mode, hardware, schedule, bits, {metric: b[metric] / o[metric] for metric in METRICS})
        for (schedule, bits), o, b in zip(steps(), own, base, strict=True)
    ]
