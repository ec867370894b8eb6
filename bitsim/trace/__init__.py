"""Precision traces: a folder of run.yaml, layers.csv and precision.csv, checked and reduced to what differs."""

from bitsim.trace.demand import Demand, SampleGroup, Span
from bitsim.trace.reader import Trace, open_trace, summary

__all__ = ["Demand", "SampleGroup", "Span", "Trace", "open_trace", "summary"]
