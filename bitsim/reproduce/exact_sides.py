"""The eight networks of BitFusion's headline by our exact engine on both sides, at our own prices.

Reported, not held.  Both machines keep their published arrays and buffers and one memory (192 bits a cycle,
the same latency and DRAM price); pooling is left out on both.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitsim.accelerators.registry import load_hardware
from bitsim.reproduce.beside import Beside, beside
from bitsim.reproduce.headline import Network
from bitsim.simulation.cost import CostModel
from bitsim.workload import Widths

EYERISS = "eyeriss_16x16_128k"
# Psums cut to 16 bits, as the published rows have them.
TRUNCATED = {"accumulator.bits": 16, "accumulator.policy": "truncate"}
SAME_MEMORY = {"clock": "500 MHz", "memory.bits_per_cycle": 192, "memory.latency_cycles": 40}


@dataclass(frozen=True)
class Sides:
    """One network: cycles and pJ of BitFusion and of Eyeriss."""

    network: str
    bitfusion_cycles: int
    bitfusion_pj: float
    eyeriss_cycles: int
    eyeriss_pj: float

    @property
    def speedup(self) -> float:
        """Eyeriss cycles over BitFusion cycles."""
        return self.eyeriss_cycles / self.bitfusion_cycles

    @property
    def energy_ratio(self) -> float:
        """Eyeriss energy over BitFusion energy."""
        return self.eyeriss_pj / self.bitfusion_pj


def exact_sides(listed: list[Network], names: list[str], bitfusion: list[Beside]) -> list[Sides]:
    """names: network of each row of `bitfusion`, which is bitfusion.exact_beside."""
    model = CostModel(load_hardware(EYERISS, TRUNCATED | SAME_MEMORY))
    found = []
    for network in listed:
        ours = [row for name, row in zip(names, bitfusion, strict=True) if name == network.name]
        theirs = [
            beside(network.name, model, one.shape, one.batch, Widths(16, 16, 16, 16, 16), one.cycles)
            for one in network.eyeriss
            if one.shape is not None
        ]
        totals = [(sum(r.exact_cycles for r in side), sum(r.energy_pj for r in side)) for side in (ours, theirs)]
        found.append(Sides(network.name, *totals[0], *totals[1]))
    return found
