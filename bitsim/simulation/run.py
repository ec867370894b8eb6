"""A trace on a machine.  Cost follows the distinct rows of the trace, not its iterations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from bitsim.accelerators.registry import Machine
from bitsim.errors import InputError
from bitsim.kernels.engines import ENGINES
from bitsim.mapping.memo import SearchMemo
from bitsim.simulation.analytical import AnalyticalModel
from bitsim.simulation.cost import OBJECTIVES, CostModel, PassCost, located
from bitsim.simulation.optimizer import optimizer_of
from bitsim.simulation.overlap import overlapped
from bitsim.simulation.result import Result
from bitsim.simulation.rows import Row, RowsByDemand, RunRows
from bitsim.simulation.samples import (
    BATCH_MAX,
    SAMPLE_POLICIES,
    accumulations,
    of_batch,
    of_group,
    weight_gradients,
)
from bitsim.simulation.streams import (
    ACCUMULATE,
    ELEMENTWISE,
    ELEMENTWISE_BACKWARD,
    ELEMENTWISE_RECOMPUTE,
    UPDATE,
    Stream,
    accumulation,
    elementwise,
    sum_bits,
    update,
)
from bitsim.simulation.summed_batches import SummedBatch, SummedBatches
from bitsim.trace import GroupDemand, SampleGroup, Trace
from bitsim.workload import DGRAD, DGRAD_SECOND, FORWARD, RECOMPUTE, WGRAD, Layer, Widths

ANALYTICAL = "analytical"
ALLOWED = {
    "objective": OBJECTIVES,
    "samples": SAMPLE_POLICIES,
    "timing": (*ENGINES, ANALYTICAL),
    "overlap": ("barrier", "overlap"),
}
# Products of training; what else can be asked for is off by default: streams without products.
CHOOSABLE_PASSES = (FORWARD, DGRAD, WGRAD)
OPTIONAL_PASSES = (UPDATE, ELEMENTWISE)
PRODUCTS = frozenset({FORWARD, DGRAD, DGRAD_SECOND, WGRAD})
RUN_AGAIN = {RECOMPUTE: FORWARD, ELEMENTWISE_RECOMPUTE: ELEMENTWISE}


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
    memo: SearchMemo | None = None,
) -> Result:
    """Cycles and energy of `trace` on `machine`.

    objective: cycles, energy or edp, what the mapping of each product minimises, which for edp does not minimise that
    of a pass of several products or of the run.  passes: of forward (with its recomputations), dgrad (attention: both
    gradients), wgrad; and of update (weights, once a batch) and elementwise (what stands
    between products, see simulation.streams).  iterations: half-open range, default all.
    samples: batch-max, group or one-by-one, how samples of one layer with different widths run.
    timing: collapsed, event or stepped, equal engines; or analytical, the published closed-form model of a
    machine that has one (see simulation.analytical).  overlap: barrier, or overlap, where the rows of an
    iteration follow each other without one.  memo: what simulations of similar machines found, shared by those
    that are given the same one; no result depends on it.
    Raises InputError, and MappingError where a layer fits no tile.
    """
    passes = list(passes)
    chosen = check_choices(
        trace, passes, iterations, objective=objective, samples=samples, timing=timing, overlap=overlap
    )
    first, last = iterations or (0, trace.run.iterations)
    tally = trace.tally(first, last)
    model: CostModel | AnalyticalModel
    if timing == ANALYTICAL:
        check_analytical(machine.name, machine.accelerator.analytical_passes, chosen, objective, overlap)
        model = AnalyticalModel(machine)
    else:
        model = CostModel(machine, objective, timing, memo)
    rows = _RowMaker(trace, model, chosen, samples)
    of_groups = [rows.of_group(demand) for demand in tally.groups()] if samples != BATCH_MAX else []
    written = [weight_gradients(demand, samples) for demand in tally.batches()]
    batches = SummedBatches(trace, tally, written, [_weight_gradients_of(listed) for listed in of_groups])
    of_batches = [rows.of_batch(batch) for batch in batches.listed]
    if rows.faults:
        raise InputError(list(dict.fromkeys(rows.faults)))
    barrier = RowsByDemand(trace, batches, of_batches, of_groups)
    run_rows: RunRows = barrier
    if overlap == "overlap":
        assert isinstance(model, CostModel)
        run_rows = overlapped(model, barrier)
    asked = {"objective": objective, "passes": ",".join(passes), "samples": samples, "overlap": overlap}
    return Result(trace, machine, (first, last), run_rows, model.prices, timing == ANALYTICAL, asked)


class _RowMaker:
    """Rows of demands; each distinct cost is computed once, and what cannot be mapped is kept as a fault."""

    def __init__(self, trace: Trace, model: CostModel | AnalyticalModel, chosen: frozenset[str], policy: str) -> None:
        self.faults: list[str] = []
        self._trace, self._model, self._chosen, self._policy = trace, model, chosen, policy
        self._costs: dict[tuple, PassCost | None] = {}
        run = trace.run
        self._optimizer = optimizer_of(run.optimizer, f"{trace.path / 'run.yaml'}") if UPDATE in chosen else None

    def of_batch(self, batch: SummedBatch) -> list[Row]:
        """Rows of a batch as a whole: all of them, or the accumulations between its groups."""
        together = of_batch(batch.whole, self._policy)
        rows = self._passes(batch.layer_index, 1, together) if together is not None else []
        if WGRAD not in self._trace.layers[batch.layer_index].passes():
            return rows
        if WGRAD in self._chosen and sum(batch.partials.values()) > 1:
            rows += self._of_sum(ACCUMULATE, batch)
        if UPDATE in self._chosen:
            rows += self._of_sum(UPDATE, batch)
        return rows

    def _of_sum(self, pass_name: str, batch: SummedBatch) -> list[Row]:
        """Rows of a pass that reads the weight gradient of a whole batch."""
        machine, layer, whole = self._model.machine, self._trace.layers[batch.layer_index], batch.whole
        try:
            with located(machine, f"layer {layer.name}, {pass_name}"):
                bits = sum_bits(machine.accelerator, layer, whole.samples, whole.widths, batch.partials)
        except InputError as error:
            self.faults += error.faults
            return []
        reads = accumulations(batch.partials, bits) if pass_name == ACCUMULATE else {(bits,): 1}
        return [
            row
            for read, times in reads.items()
            for row in self._row(batch.layer_index, pass_name, times, whole, (*read, bits))
        ]

    def of_group(self, demand: GroupDemand) -> list[Row]:
        """Rows of one group of a batch, one a pass."""
        found = of_group(demand, self._policy)
        if found is None:
            return []
        # Groups are apart even where a pass costs the same: they run in the same iterations.
        return [replace(row, group=demand.group.widths) for row in self._passes(demand.layer_index, *found)]

    def _passes(self, layer: int, occurrences: int, together: SampleGroup) -> list[Row]:
        listed = passes_of(self._trace.layers[layer], self._chosen)
        return [row for name, times in listed for row in self._row(layer, name, occurrences * times, together)]

    def _row(
        self, index: int, pass_name: str, occurrences: int, together: SampleGroup, sum_widths: tuple[int, ...] = ()
    ) -> list[Row]:
        """sum_widths: bits of what a pass on the weight gradient of a batch reads of it, then of the sum."""
        layer, count, widths = self._trace.layers[index], together.samples, together.widths
        costed = RUN_AGAIN.get(pass_name, pass_name)
        key = (index, costed, count, _relevant(costed, widths), sum_widths)
        if key not in self._costs:
            try:
                self._costs[key] = self._cost(layer, costed, count, widths, sum_widths)
            except InputError as error:
                self.faults += error.faults
                self._costs[key] = None
        cost = self._costs[key]
        return [Row(index, layer.name, pass_name, count, occurrences, None, cost)] if cost is not None else []

    def _cost(self, layer: Layer, pass_name: str, count: int, widths: Widths, sum_widths: tuple[int, ...]) -> PassCost:
        if pass_name in PRODUCTS:
            return self._model.pass_cost(layer, pass_name, count, widths)
        accelerator, optimizer = self._model.machine.accelerator, self._optimizer

        def stream() -> Stream:
            """The words this pass streams."""
            if pass_name == UPDATE:
                assert optimizer is not None
                return update(accelerator, layer, count, widths, sum_widths[0], optimizer)
            if pass_name == ACCUMULATE:
                so_far, added, bits = sum_widths
                return accumulation(accelerator, layer, count, widths, (so_far, added), bits)
            return elementwise(accelerator, layer, count, widths, backward=pass_name == ELEMENTWISE_BACKWARD)

        return self._model.stream_cost(layer, pass_name, stream)


def _weight_gradients_of(rows: list[Row]) -> tuple[int, int]:
    """(bits, how many) of the weight gradients a group writes; (0, 0) where there are none."""
    written = (row for row in rows if row.pass_name == WGRAD)
    return next(((int(row.cost.values["output_bits"]), row.occurrences) for row in written), (0, 0))


def passes_of(layer: Layer, chosen: frozenset[str]) -> list[tuple[str, int]]:
    """(pass, times an iteration) of a group of samples of `layer`, in the order they run.

    What stands behind a layer is run again with its recomputation, and backwards if the layer has a gradient at all.
    """
    listed = [(name, layer.times(name)) for name in layer.passes() if name in chosen]
    if ELEMENTWISE not in chosen:
        return listed
    forward, again = ([pair for pair in listed if pair[0] == name] for name in (FORWARD, RECOMPUTE))
    gradients = [pair for pair in listed if pair not in forward + again]
    return [
        *forward,
        (ELEMENTWISE, 1),
        *again,
        *((ELEMENTWISE_RECOMPUTE, times) for _, times in again),
        *([(ELEMENTWISE_BACKWARD, 1)] if gradients else []),
        *gradients,
    ]


def check_analytical(
    machine: str, known: tuple[str, ...], chosen: frozenset[str], objective: str = "cycles", overlap: str = "barrier"
) -> None:
    """Raise InputError for what the published model of a machine, one of the passes `known`, does not say."""
    if not known:
        raise InputError(
            f"--timing analytical: {machine} has no published model that costs a trace, "
            "allowed: collapsed, event, stepped (see also: bitsim reproduce)"
        )
    faults = [
        f"--timing analytical: --{what} {value} is not said by the model, allowed: {allowed}"
        for what, value, allowed in (("objective", objective, "cycles"), ("overlap", overlap, "barrier"))
        if value != allowed
    ]
    if chosen - {*known, RECOMPUTE}:
        unknown = ", ".join(sorted(chosen - {*known, RECOMPUTE}))
        faults.append(f"--timing analytical: the model has no {unknown}, allowed: --passes {','.join(known)}")
    if faults:
        raise InputError(faults)


def check_choices(
    trace: Trace,
    passes: Iterable[str] = CHOOSABLE_PASSES,
    iterations: tuple[int, int] | None = None,
    **choices: str,
) -> frozenset[str]:
    """The passes asked for, those they bring with them too.  Raises InputError for what `simulate` does not allow."""
    listed = list(passes)
    chosen = frozenset(listed)
    faults = [f"--passes: {p} stands twice, allowed: once" for p in sorted(chosen) if listed.count(p) > 1]
    faults += [
        f"--passes: {p!r} is unknown, allowed: {', '.join((*CHOOSABLE_PASSES, *OPTIONAL_PASSES))}"
        for p in sorted(chosen - {*CHOOSABLE_PASSES, *OPTIONAL_PASSES})
    ]
    if not chosen:
        faults.append(f"--passes: empty, allowed: {', '.join((*CHOOSABLE_PASSES, *OPTIONAL_PASSES))}")
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
    return chosen | ({DGRAD_SECOND} if DGRAD in chosen else set()) | ({RECOMPUTE} if FORWARD in chosen else set())


def _relevant(pass_name: str, widths: Widths) -> Any:
    """The part of `widths` a pass depends on: rows that differ elsewhere share a cost."""
    if pass_name in PRODUCTS:
        return widths.operands(pass_name)
    return widths.operands(WGRAD) if pass_name == ACCUMULATE else widths
