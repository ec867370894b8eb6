"""A published row on the exact engine, to be set beside what was printed."""

from __future__ import annotations

from dataclasses import dataclass, field

from bitsim.kernels.program import CLASSES
from bitsim.simulation.cost import CostModel
from bitsim.workload import FORWARD, Layer, Widths


@dataclass(frozen=True)
class Beside:
    """One layer, forward pass: the published model, and the exact engine on the same buffers, array and port.

    classes: exact cycles by class.  energy_pj: of the exact engine, at the machine's own prices.
    """

    name: str
    published_compute_cycles: int
    published_wait_cycles: int
    classes: dict[str, int] = field(hash=False)
    energy_pj: float

    @property
    def published_cycles(self) -> int:
        """All cycles of the published model."""
        return self.published_compute_cycles + self.published_wait_cycles

    @property
    def exact_cycles(self) -> int:
        """All cycles of the exact engine."""
        return sum(self.classes.values())

    @property
    def compute_excess(self) -> float:
        """Published compute cycles beyond the exact issue cycles (edge tiles charged in full), of exact cycles."""
        return (self.published_compute_cycles - self.classes["issue"]) / self.exact_cycles

    @property
    def wait_excess(self) -> float:
        """Published wait cycles beyond the exact stalls, of exact cycles."""
        stalls = self.exact_cycles - self.classes["issue"]
        return (self.published_wait_cycles - stalls) / self.exact_cycles

    def share(self, name: str) -> float:
        """Share of a class in the exact cycles."""
        return self.classes[name] / self.exact_cycles


def beside(
    name: str,
    model: CostModel,
    shape: tuple[int, int, int, int, int],
    batch: int,
    widths: Widths,
    published_compute_cycles: int,
    published_wait_cycles: int = 0,
) -> Beside:
    """Run a square convolution (in, out channels, kernel, output side, stride), its padding stored as data."""
    channels, outputs, kernel, out_size, stride = shape
    side = (out_size - 1) * stride + kernel
    layer = Layer(name, "conv", 1, channels, outputs, side, side, kernel, kernel, stride, stride)
    cost = model.pass_cost(layer, FORWARD, batch, widths).values
    classes = {c: int(cost[f"{c}_cycles"]) for c in CLASSES}
    return Beside(name, published_compute_cycles, published_wait_cycles, classes, float(cost["energy_pj"]))
