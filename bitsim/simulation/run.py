"""A trace on a machine.  Cost follows the distinct rows of the trace, not its iterations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from bitsim.accelerators.registry import Machine
from bitsim.errors import InputError
from bitsim.kernels.engines import ENGINES
from bitsim.simulation.analytical import AnalyticalModel
from bitsim.simulation.cost import CostModel, PassCost
from bitsim.simulation.overlap import overlapped
from bitsim.simulation.result import Result
from bitsim.simulation.rows import Demanded, Row, RowsByDemand, RunRows
from bitsim.trace import Demand, Trace
from bitsim.workload import DGRAD, DGRAD_SECOND, FORWARD, WGRAD, Layer, Widths

ANALYTICAL = "analytical"
ALLOWED = {
    "samples": ("batch-max", "group", "one-by-one"),
    "timing": (*ENGINES, ANALYTICAL),
    "overlap": ("barrier", "overlap"),
}
ACCUMULATE = "wgrad_accumulate"
CHOOSABLE_PASSES = (FORWARD, DGRAD, WGRAD)


def simulate(
    trace: Trace,
    machine: Machine,
    *,
    objective: str = "cycles",
    passes: Iterable[str] = CHOOSABLE_PASSES,
    iterations: tuple[int, int] | None = None,
    samples: str = "batch-max",
    timing: str = "collapsed",
    overlap: str = "barrier",
) -> Result:
    """Cycles and energy of `trace` on `machine`.

    objective: cycles, energy or edp, what each mapping minimises.  passes: of forward, dgrad
    (attention: both gradients), wgrad.  iterations: half-open range, default all.
    samples: batch-max, group or one-by-one, how samples of one layer with different widths run.
    timing: collapsed, event or stepped, equal engines; or analytical, the published closed-form model of a
    machine that has one (see simulation.analytical).  overlap: barrier, or overlap, where the rows of an
    iteration follow each other without one.  Raises InputError, and MappingError where a layer fits no tile.
    """
    chosen = _check(trace, passes, iterations, samples=samples, timing=timing, overlap=overlap)
    first, last = iterations or (0, trace.run.iterations)
    model: CostModel | AnalyticalModel
    if timing == ANALYTICAL:
        _check_analytical(machine, chosen, objective, overlap)
        model = AnalyticalModel(machine)
    else:
        model = CostModel(machine, objective, timing)
    costs: dict[tuple, PassCost] = {}
    faults: list[str] = []
    rows_of: dict[Demanded, list[Row]] = {}
    for demand in trace.demands(iterations=(first, last)):
        layer = trace.layers[demand.layer_index]
        rows = []
        for pass_name, count, occurrences, widths in _occurrences(layer, demand, chosen, samples):
            key = (layer.name, pass_name, count, _relevant(pass_name, widths))
            if key not in costs:
                try:
                    costs[key] = _cost(model, layer, pass_name, count, widths)
                except InputError as error:
                    faults += error.faults
                    continue
            rows.append(Row(demand.layer_index, layer.name, pass_name, count, occurrences, costs[key]))
        rows_of[demand.layer_index, demand.groups] = rows
    if faults:
        raise InputError(list(dict.fromkeys(faults)))
    barrier = RowsByDemand(trace, (first, last), rows_of)
    run_rows: RunRows = barrier
    if overlap == "overlap":
        assert isinstance(model, CostModel)
        run_rows = overlapped(model, barrier)
    return Result(trace, machine, (first, last), run_rows, model.prices, timing == ANALYTICAL)


def _check_analytical(machine: Machine, chosen: frozenset[str], objective: str, overlap: str) -> None:
    known = machine.accelerator.analytical_passes
    if not known:
        raise InputError(
            f"--timing analytical: {machine.name} has no published model that costs a trace, "
            "allowed: collapsed, event, stepped (see also: bitsim reproduce)"
        )
    faults = [
        f"--timing analytical: --{what} {value} is not said by the model, allowed: {allowed}"
        for what, value, allowed in (("objective", objective, "cycles"), ("overlap", overlap, "barrier"))
        if value != allowed
    ]
    if chosen - set(known):
        unknown = ", ".join(sorted(chosen - set(known)))
        faults.append(f"--timing analytical: the model has no {unknown}, allowed: --passes {','.join(known)}")
    if faults:
        raise InputError(faults)


def _check(trace: Trace, passes: Iterable[str], iterations: tuple[int, int] | None, **choices: str) -> frozenset[str]:
    listed = list(passes)
    chosen = frozenset(listed)
    faults = [f"--passes: {p} stands twice, allowed: once" for p in sorted(chosen) if listed.count(p) > 1]
    faults += [
        f"--passes: {p!r} is unknown, allowed: {', '.join(CHOOSABLE_PASSES)}"
        for p in sorted(chosen - set(CHOOSABLE_PASSES))
    ]
    if not chosen:
        faults.append(f"--passes: empty, allowed: {', '.join(CHOOSABLE_PASSES)}")
    faults += [
        f"--{what}: {value!r} is unknown, allowed: {', '.join(ALLOWED[what])}"
        for what, value in choices.items()
        if value not in ALLOWED[what]
    ]
    if iterations is not None:
        first, last = iterations
        if not 0 <= first < last <= trace.run.iterations:
            faults.append(
                f"--iterations: {first}:{last} is not a half-open range inside 0:{trace.run.iterations}, e.g. 0:1"
            )
    if faults:
        raise InputError(faults)
    return chosen | ({DGRAD_SECOND} if DGRAD in chosen else set())


def _occurrences(
    layer: Layer, demand: Demand, chosen: frozenset[str], samples: str
) -> list[tuple[str, int, int, Widths]]:
    """(pass, samples together, occurrences, widths) of one layer in one iteration, in the order they run."""
    groups = [(g.samples, 1, g.widths) for g in demand.groups]
    if samples == "batch-max":
        groups = [(sum(count for count, _, _ in groups), 1, _widest([w for _, _, w in groups]))]
    elif samples == "one-by-one":
        groups = [(1, count, widths) for count, _, widths in groups]
    listed = []
    for pass_name in layer.passes():
        if pass_name in chosen:
            listed += [(pass_name, count, occurrences, widths) for count, occurrences, widths in groups]
    runs = sum(occurrences for _, occurrences, _ in groups)
    if WGRAD in chosen and WGRAD in layer.passes() and runs > 1:
        widest = _widest([w for _, _, w in groups])
        listed.append((ACCUMULATE, max(count for count, _, _ in groups), runs - 1, widest))
    return listed


def _widest(widths: list[Widths]) -> Widths:
    fields = Widths.__dataclass_fields__
    return replace(widths[0], **{name: max(getattr(w, name) for w in widths) for name in fields})


def _relevant(pass_name: str, widths: Widths) -> Any:
    """The part of `widths` a pass depends on: rows that differ elsewhere share a cost."""
    return widths.operands(WGRAD if pass_name == ACCUMULATE else pass_name)


def _cost(model: CostModel | AnalyticalModel, layer: Layer, pass_name: str, count: int, widths: Widths) -> PassCost:
    if pass_name == ACCUMULATE:
        return model.accumulate_cost(layer, count, widths)
    return model.pass_cost(layer, pass_name, count, widths)
