"""PFQ, progressive fractional quantisation: all layers climb a ladder of widths as the loss settles.

Source: FracTrain (NeurIPS 2020), Sec. 3.1 and 4.1: forward 3/4/6/8 bits with backward 6/6/8/8.
"""

from __future__ import annotations

from collections.abc import Sequence

from bitsim.schedules.bits import Bits
from bitsim.schedules.switching import ALPHA, EPS, WINDOW, LossSwitch

LADDER = (Bits(3, 3, 6), Bits(4, 4, 6), Bits(6, 6, 8), Bits(8, 8, 8))


class ProgressivePrecision:
    """Bits of every quantised layer: those of the stage that `update` has reached.

    ladder: bits of each stage; eps, alpha, window: the switching rule (see `switching`).
    """

    def __init__(
        self, ladder: Sequence[Bits] = LADDER, eps: float = EPS, alpha: float = ALPHA, window: int = WINDOW
    ) -> None:
        self.ladder = tuple(ladder)
        self.switch = LossSwitch(len(self.ladder), eps, alpha, window)

    def bits(self, iteration: int = 0) -> Bits:
        """Bits now; the iteration does not matter, only the losses do."""
        return self.ladder[self.switch.stage]

    def update(self, epoch_loss: float) -> bool:
        """Take the loss of the epoch that ended; True if precision rose."""
        return self.switch.update(epoch_loss)
