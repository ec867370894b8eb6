"""Recording traces from real training (extra ``record``: torch; scikit-learn for the shipped recordings)."""

from bitsim.record.digits import record_digits
from bitsim.record.recorder import Recorder

__all__ = ["Recorder", "record_digits"]
