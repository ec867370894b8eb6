"""How long each stage of PFQ lasts, and what that saves, over eps and alpha: read from one loss log, without training.

Assumption: the losses of the log would have been the same under every schedule (`schedules.switching`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bitsim.networks import Network
from bitsim.schedules import FLOAT, Bits, stage_epochs
from bitsim.workload import Widths, effective_macs


@dataclass(frozen=True)
class StagePoint:
    """One pair of eps and alpha.

    epochs: length of each stage, 0 if not reached; cost_percent: effective MACs of the run, 100 = the last stage
    throughout.
    """

    eps: float
    alpha: float
    epochs: tuple[int, ...]
    cost_percent: float

    @property
    def last_stage_epoch(self) -> int | None:
        """First epoch of the last stage, None if it was never reached."""
        return sum(self.epochs[:-1]) if self.epochs[-1] else None


def sweep_stages(
    losses: Sequence[float],
    ladder: Sequence[Bits],
    eps_values: Sequence[float],
    alpha_values: Sequence[float],
    window: int,
    costs: Sequence[float],
) -> list[StagePoint]:
    """A point for every eps, and within it every alpha.

    costs: of an iteration in each stage of `ladder`, in any unit.  ValueError for eps, alpha or window out of range.
    """
    points = []
    for eps in eps_values:
        for alpha in alpha_values:
            starts = stage_epochs(losses, len(ladder), eps, alpha, window)
            edges = [*starts, *[len(losses)] * (len(ladder) + 1 - len(starts))]
            epochs = tuple(end - start for start, end in pairwise(edges))
            mean = sum(n * cost for n, cost in zip(epochs, costs, strict=True)) / len(losses)
            points.append(StagePoint(eps, alpha, epochs, 100 * mean / costs[-1]))
    return points


def stage_costs(ladder: Sequence[Bits], network: Network | None) -> list[float]:
    """Effective MACs of one sample in each stage; without a network, those of a layer with all three products."""
    if network is None:
        return [bits.cost_percent for bits in ladder]
    return [
        sum(
            effective_macs(layer, _widths(FLOAT if layer.name in network.float_layers else bits), 1)
            for layer in network.layers
        )
        for bits in ladder
    ]


def _widths(bits: Bits) -> Widths:
    return Widths(*bits[:3], bits.weight_gradient_bits or bits.gradient_bits, bits.activation_bits)
