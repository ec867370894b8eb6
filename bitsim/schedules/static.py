"""Static precision: one set of bits for the whole run.

Sources: FW8/BW8 as FracTrain (NeurIPS 2020, Table 2) measured its baselines; SBM as its authors wrote it (Banner et
al., NeurIPS 2018) keeps a 16-bit gradient for the weight-gradient product.
Assumption: DoReFa (Zhou et al., 2016) and WAGEUBN (Yang et al., 2020) stand for their widths as FracTrain measured
them, 8 bits throughout: they cost what sbm-fw8bw8 costs, and differ from it in accuracy only.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitsim.schedules.bits import FLOAT, Bits

STATIC = {
    "sbm-fw8bw8": Bits(8, 8, 8),
    "sbm-biprec": Bits(8, 8, 8, 16),
    "dorefa": Bits(8, 8, 8),
    "wageubn": Bits(8, 8, 8),
    "float": FLOAT,
}


@dataclass(frozen=True)
class StaticPrecision:
    """The same bits in every iteration."""

    constant: Bits

    def bits(self, iteration: int = 0) -> Bits:
        """Bits in any iteration."""
        return self.constant

    def update(self, epoch_loss: float) -> bool:
        """Losses change nothing."""
        return False
