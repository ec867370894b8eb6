"""Recording traces from real training (extra ``record``: torch and scikit-learn)."""

from bitsim.record.digits import record_digits

__all__ = ["record_digits"]
