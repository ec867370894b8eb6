"""A published row on the exact engine, to be set beside what was printed."""

from __future__ import annotations

from dataclasses import dataclass

from bitsim.kernels.program import CLASSES
from bitsim.simulation.cost import CostModel
from bitsim.workload import FORWARD, Layer, Widths


@dataclass(frozen=True)
class Beside:
    """One layer, forward pass: cycles of the published model and of the exact engine."""

    name: str
    published_cycles: int
    exact_cycles: int
    issue_cycles: int
    largest_stall: str


def beside(
    name: str,
    model: CostModel,
    shape: tuple[int, int, int, int, int],
    batch: int,
    widths: Widths,
    published_cycles: int,
) -> Beside:
    """Run a square convolution (in, out channels, kernel, output side, stride), its padding stored as data."""
    channels, outputs, kernel, out_size, stride = shape
    side = (out_size - 1) * stride + kernel
    layer = Layer(name, "conv", 1, channels, outputs, side, side, kernel, kernel, stride, stride)
    cost = model.pass_cost(layer, FORWARD, batch, widths).values
    stalls = {c: int(cost[f"{c}_cycles"]) for c in CLASSES if c != "issue"}
    largest = max(stalls, key=stalls.__getitem__)
    return Beside(name, published_cycles, int(cost["cycles"]), int(cost["issue_cycles"]), largest)
