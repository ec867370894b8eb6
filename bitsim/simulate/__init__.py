"""A trace on a machine: cost of each distinct row once, times how often it occurs."""

from bitsim.simulate.result import Result
from bitsim.simulate.run import simulate

__all__ = ["Result", "simulate"]
