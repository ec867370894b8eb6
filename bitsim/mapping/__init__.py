"""Mapping: which tiles, in which order, and the tile program and counters that follow."""

from bitsim.mapping.program import Execution, execute
from bitsim.mapping.record import Mapping
from bitsim.mapping.search import search

__all__ = ["Execution", "Mapping", "execute", "search"]
