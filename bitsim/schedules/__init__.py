"""Precision controllers in plain Python: what decides widths during training, without any framework.

A trainer asks a controller for `bits(iteration)` (or, for a gated network, for its candidates and its target) and
tells it the loss of every epoch with `update(loss)`.  The same controllers make synthetic traces.
"""

from bitsim.schedules.bits import FLOAT, Bits
from bitsim.schedules.cyclic import CyclicPrecision
from bitsim.schedules.dynamic import DynamicPrecision, FracTrain, capped
from bitsim.schedules.progressive import ProgressivePrecision
from bitsim.schedules.static import STATIC, StaticPrecision
from bitsim.schedules.switching import LossSwitch, stage_epochs

__all__ = [
    "FLOAT",
    "STATIC",
    "Bits",
    "CyclicPrecision",
    "DynamicPrecision",
    "FracTrain",
    "LossSwitch",
    "ProgressivePrecision",
    "StaticPrecision",
    "capped",
    "stage_epochs",
]
