"""DFQ, dynamic fractional quantisation: a gate picks the bits of each residual block for each sample; FracTrain.

Source: FracTrain (NeurIPS 2020), Sec. 3.2, 3.3 and 4.1.  A gate chooses one (activation, gradient) pair for a block;
weight bits are fixed.  The loss is cross entropy + 1e-3 x sign x cost, where the sign is +1 while the cost cp of
the batch is above its target and -1 below.  FracTrain raises the target at PFQ's switches.

Assumptions of `mixture`, which a trace made without training needs (what gates choose was not published)
    - every block runs the same mixture of candidates in every iteration, and meets the target as nearly as whole
      samples allow, never from above, unless the target lies outside the candidates' costs;
    - ``neighbours``: only the two candidates whose costs stand next to the target;
      ``spread``: all of them, in the proportions of greatest entropy (weights exp(-lambda x cost)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bitsim.schedules.bits import Bits
from bitsim.schedules.switching import ALPHA, EPS, WINDOW, LossSwitch

CIFAR_CANDIDATES = (Bits(3, 4, 6), Bits(4, 4, 6), Bits(4, 4, 8), Bits(6, 4, 8), Bits(6, 4, 12))
IMAGENET_CANDIDATES = (Bits(3, 6, 6), Bits(4, 6, 8), Bits(6, 6, 12), Bits(8, 6, 16))
CIFAR_TARGET = 3.0
CIFAR_TARGETS = (1.5, 2.0, 2.5, 3.0)
IMAGENET_TARGETS = (3.0, 3.5, 4.0, 4.5)
COST_WEIGHT = 1e-3
MIXTURES = ("neighbours", "spread")


class DynamicPrecision:
    """What a DFQ gate may choose, and the cost it is held to.

    candidates: bits a gate chooses from; target: cp in percent.  ValueError for no candidates or target <= 0.
    """

    def __init__(self, candidates: Sequence[Bits] = CIFAR_CANDIDATES, target: float = CIFAR_TARGET) -> None:
        if not candidates:
            raise ValueError("no candidates, allowed: at least one")
        if not 0 < target < math.inf:
            raise ValueError(f"target: {target}, allowed: above 0 percent")
        self.candidates = tuple(candidates)
        self._target = target

    @property
    def target(self) -> float:
        """The cp held to now, percent."""
        return self._target

    def cost_percent(self, counts: Sequence[Sequence[float]]) -> float:
        """cp of a batch: counts (blocks, candidates) of samples; every block weighs 1."""
        costs = [bits.cost_percent for bits in self.candidates]
        means = [sum(n * c for n, c in zip(block, costs, strict=True)) / sum(block) for block in counts]
        return sum(means) / len(means)

    def cost_factor(self, cost_percent: float) -> float:
        """What the loss multiplies the cost by: 1e-3, negative while cp is not above the target."""
        return COST_WEIGHT if cost_percent > self.target else -COST_WEIGHT

    def update(self, epoch_loss: float) -> bool:
        """Losses change nothing."""
        return False

    def mixture(self, samples: int, shape: str = "neighbours") -> list[int]:
        """How many of `samples` samples run each candidate so that cp meets the target (module docstring)."""
        costs = [bits.cost_percent for bits in self.candidates]
        low, high = min(costs), max(costs)
        if not low < self.target < high:
            ends = [0] * len(costs)
            ends[costs.index(low if self.target <= low else high)] = samples
            return ends
        shares = _neighbours(costs, self.target) if shape == "neighbours" else _greatest_entropy(costs, self.target)
        return _whole(shares, costs, samples, self.target)


class FracTrain(DynamicPrecision):
    """DFQ whose target rises from stage to stage as the loss settles."""

    def __init__(
        self,
        candidates: Sequence[Bits] = CIFAR_CANDIDATES,
        targets: Sequence[float] = CIFAR_TARGETS,
        eps: float = EPS,
        alpha: float = ALPHA,
        window: int = WINDOW,
    ) -> None:
        for target in targets:
            super().__init__(candidates, target)
        self.targets = tuple(targets)
        self.switch = LossSwitch(len(self.targets), eps, alpha, window)

    @property
    def target(self) -> float:
        """The cp of the stage reached, percent."""
        return self.targets[self.switch.stage]

    def update(self, epoch_loss: float) -> bool:
        """Take the loss of the epoch that ended; True if the target rose."""
        return self.switch.update(epoch_loss)


def capped(candidates: Sequence[Bits], most: int) -> tuple[Bits, ...]:
    """Candidates with every width cut to `most` bits; those that fall together stand once."""
    return tuple(dict.fromkeys(Bits._make(n if n is None else min(n, most) for n in bits) for bits in candidates))


def _neighbours(costs: Sequence[float], target: float) -> list[float]:
    below = max((c for c in costs if c <= target), default=min(costs))
    above = min(c for c in costs if c > target)
    shares = [0.0] * len(costs)
    shares[costs.index(above)] = (target - below) / (above - below)
    shares[costs.index(below)] = 1 - shares[costs.index(above)]
    return shares


def _greatest_entropy(costs: Sequence[float], target: float) -> list[float]:
    """Shares exp(-lambda x cost), normalised, whose mean cost is `target`; lambda by bisection."""

    def shares(slope: float) -> list[float]:
        powers = [-slope * cost for cost in costs]
        weights = [math.exp(power - max(powers)) for power in powers]
        return [weight / sum(weights) for weight in weights]

    low, high = -1e4, 1e4
    for _ in range(200):
        middle = (low + high) / 2
        mean = sum(s * c for s, c in zip(shares(middle), costs, strict=True))
        low, high = (middle, high) if mean > target else (low, middle)
    return shares(high)


def _whole(shares: Sequence[float], costs: Sequence[float], samples: int, target: float) -> list[int]:
    """Whole samples nearest to `shares`: rounded down, the rest given to the dearest candidates that keep the mean
    at or below `target`, else to the cheapest in use."""
    used = [i for i, share in enumerate(shares) if share > 0]
    counts = [math.floor(share * samples) for share in shares]
    for _ in range(samples - sum(counts)):
        left = samples - sum(counts)
        cheapest = min(used, key=lambda i: costs[i])
        total = sum(n * c for n, c in zip(counts, costs, strict=True)) + (left - 1) * costs[cheapest]
        fits = [i for i in used if total + costs[i] <= target * samples * (1 + 1e-12)]
        counts[max(fits, key=lambda i: costs[i]) if fits else cheapest] += 1
    return counts
