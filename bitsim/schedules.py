"""Precision controllers in plain Python: what decides widths during training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

WINDOW = 5
REFERENCE_EPOCHS = 10


@dataclass
class ProgressivePrecision:
    """FracTrain's progressive fractional quantisation, PFQ (NeurIPS 2020, Sec. 3.1).

    stages: (activation, weight, gradient) bits of each stage.  eps, alpha: switching threshold and
    its decay.  An epoch ends a stage when each of the four losses before it lies within eps x (mean
    of the first ten epoch losses at most) of its own; eps decays after the first and second switch.
    """

    stages: Sequence[tuple[int, int, int]]
    eps: float = 0.05
    alpha: float = 0.3
    stage: int = 0
    losses: list[float] = field(default_factory=list)
    window: list[float] = field(default_factory=list)

    @property
    def widths(self) -> tuple[int, int, int]:
        """(activation, weight, gradient) bits now."""
        return self.stages[self.stage]

    def update(self, epoch_loss: float) -> bool:
        """Take the loss of the epoch that ended; True if the stage switched."""
        self.losses.append(epoch_loss)
        self.window = [*self.window, epoch_loss][-WINDOW:]
        if self.stage == len(self.stages) - 1 or len(self.window) < WINDOW:
            return False
        reference = self.losses[:REFERENCE_EPOCHS]
        limit = self.eps * sum(reference) / len(reference)
        if not all(abs(loss - epoch_loss) <= limit for loss in self.window[:-1]):  # a NaN never switches
            return False
        self.stage += 1
        self.window = []
        if self.stage <= 2:
            self.eps *= self.alpha
        return True
