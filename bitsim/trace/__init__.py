"""Precision traces: a folder of run.yaml, layers.csv and a precision table, checked and counted in one pass."""

from bitsim.trace.demand import BatchDemand, Demand, GroupDemand, SampleGroup, Span
from bitsim.trace.reader import Trace, open_trace, summary
from bitsim.trace.tally import Tally

__all__ = ["BatchDemand", "Demand", "GroupDemand", "SampleGroup", "Span", "Tally", "Trace", "open_trace", "summary"]
