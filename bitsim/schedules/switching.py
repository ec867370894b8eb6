"""When precision rises: the rule by which PFQ and FracTrain go from stage to stage.

Source: FracTrain (NeurIPS 2020), Sec. 3.1.  An epoch ends a stage when each of the losses before it in the window
lies within eps x (mean of the first ten epoch losses at most) of its own.  eps is multiplied by alpha after the
first and the second switch, and every switch empties the window.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

EPS, ALPHA, WINDOW = 0.05, 0.3, 5
REFERENCE_EPOCHS = 10
DECAYS = 2


@dataclass
class LossSwitch:
    """Counts `stages` stages up as losses settle.

    eps: threshold, relative to early losses; alpha: its decay; window: losses that must agree, at least 2.
    ValueError for values outside these ranges: stages >= 1, eps >= 0, 0 < alpha <= 1.
    """

    stages: int
    eps: float = EPS
    alpha: float = ALPHA
    window: int = WINDOW
    stage: int = 0
    losses: list[float] = field(default_factory=list)
    recent: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.stages < 1:
            raise ValueError("no stages, allowed: at least one")
        if not 0 <= self.eps < math.inf:
            raise ValueError(f"eps: {self.eps}, allowed: 0 or more")
        if not 0 < self.alpha <= 1:
            raise ValueError(f"alpha: {self.alpha}, allowed: above 0, up to 1")
        if self.window < 2:
            raise ValueError(f"window: {self.window}, allowed: 2 or more epochs")

    def update(self, epoch_loss: float) -> bool:
        """Take the loss of the epoch that ended; True if the stage switched."""
        self.losses.append(epoch_loss)
        self.recent = [*self.recent, epoch_loss][-self.window :]
        if self.stage == self.stages - 1 or len(self.recent) < self.window:
            return False
        reference = self.losses[:REFERENCE_EPOCHS]
        limit = self.eps * sum(reference) / len(reference)
        if not all(abs(loss - epoch_loss) <= limit for loss in self.recent[:-1]):  # a NaN never switches
            return False
        self.stage += 1
        self.recent = []
        if self.stage <= DECAYS:
            self.eps *= self.alpha
        return True


def stage_epochs(
    losses: Sequence[float], stages: int, eps: float = EPS, alpha: float = ALPHA, window: int = WINDOW
) -> list[int]:
    """First epoch of each stage reached, were the rule to read these losses: 0, then the epochs after switches.

    A switch at the last epoch starts no stage.  Assumption: the losses are those of the run whatever its precision,
    so that eps and alpha can be swept without training again.
    """
    switch = LossSwitch(stages, eps, alpha, window)
    starts = [0] + [epoch + 1 for epoch, loss in enumerate(losses) if switch.update(loss)]
    return [start for start in starts if start < max(len(losses), 1)]
