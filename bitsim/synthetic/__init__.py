"""Traces made without training: a network's layers under a precision schedule, labelled synthetic."""

from bitsim.synthetic.make import make_trace
from bitsim.synthetic.plan import Plan

__all__ = ["Plan", "make_trace"]
