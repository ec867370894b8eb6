"""A published row on the exact engine, to be set beside what was printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bitsim.kernels.program import CLASSES
from bitsim.simulation.cost import CostModel
from bitsim.workload import FORWARD, Layer, Widths

Shape = tuple[int, int, int, int, int]  # in, out channels, kernel, output side, stride


@dataclass(frozen=True)
class Beside:
    """One layer, forward pass: the published model, and the exact engine on the same buffers, array and port.

    classes: exact cycles by class.  energy_pj: of the exact engine, at the machine's own prices.
    as_published: exact cycles where one thing the published model assumes holds too, {thing: cycles}.
    """

    name: str
    published_compute_cycles: int
    published_wait_cycles: int
    classes: dict[str, int] = field(hash=False)
    energy_pj: float
    as_published: dict[str, int] = field(hash=False)

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
    models: Mapping[str, CostModel],
    shape: Shape,
    batch: int,
    widths: Widths,
    published_cycles: tuple[int, int],
) -> Beside:
    """Run a square convolution, its padding stored as data.

    models: "" is the machine, others the machine with one published assumption, by its name;
    published_cycles: compute, wait.
    """
    layer = convolution(*shape)
    costs = {what: model.pass_cost(layer, FORWARD, batch, widths).values for what, model in models.items()}
    exact = costs.pop("")
    classes = {c: int(exact[f"{c}_cycles"]) for c in CLASSES}
    others = {what: int(values["cycles"]) for what, values in costs.items()}
    return Beside(name, *published_cycles, classes, float(exact["energy_pj"]), others)


def convolution(channels: int, outputs: int, kernel: int, out_size: int, stride: int) -> Layer:
    """A square convolution, its padding stored as data."""
    side = (out_size - 1) * stride + kernel
    return Layer("layer", "conv", 1, channels, outputs, side, side, kernel, kernel, stride, stride)
