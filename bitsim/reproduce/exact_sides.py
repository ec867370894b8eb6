"""The eight networks of BitFusion's headline by our exact engine on both sides, at our own prices.

Reported, not held.

Assumptions
    - Both machines keep their published arrays and buffers and have one clock, one memory (192 bits a cycle, the
      same latency and DRAM price) and one kind of SRAM cells; leakage counts.
    - Outputs are stored at the width of the layer's own inputs, once.
    - Pooling is left out on both sides.  Eyeriss truncates psums to its word, as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bitsim.accelerators.registry import load_hardware
from bitsim.area import area_of
from bitsim.reproduce.beside import convolution
from bitsim.reproduce.bitfusion import MACHINE as BITFUSION
from bitsim.reproduce.eyeriss import FREE_NETWORKS, TRUNCATED
from bitsim.reproduce.eyeriss import MACHINE as EYERISS
from bitsim.reproduce.headline import Network, geometric_mean
from bitsim.simulation.cost import CostModel
from bitsim.workload import FORWARD, Widths

SAME_MEMORY = {"clock": "500 MHz", "memory.bits_per_cycle": 192, "memory.latency_cycles": 40}
EIGHT_BITS = {"precision.bits": 8, "precision.float": 8, "accumulator.bits": 8}


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


@dataclass(frozen=True)
class Compared:
    """All networks under one choice; area_mm2: of BitFusion and of Eyeriss, arrays and buffers."""

    what: str
    sides: list[Sides]
    area_mm2: tuple[float, float]

    @property
    def speedup(self) -> float:
        """Geometric mean of the speeds."""
        return geometric_mean([side.speedup for side in self.sides])

    @property
    def speedup_per_mm2(self) -> float:
        """The same, each side divided by its area."""
        return self.speedup * self.area_mm2[1] / self.area_mm2[0]

    @property
    def energy_ratio(self) -> float:
        """Geometric mean of the energy ratios."""
        return geometric_mean([side.energy_ratio for side in self.sides])


class Engines:
    """Costs of layers on machines, each machine loaded once."""

    def __init__(self) -> None:
        self._models: dict[tuple, CostModel] = {}

    def model(self, name: str, keys: Mapping[str, Any]) -> CostModel:
        """The machine `name` with `keys`, at the memory both have."""
        key = (name, *sorted(keys.items()))
        if key not in self._models:
            self._models[key] = CostModel(load_hardware(name, {**SAME_MEMORY, **keys}))
        return self._models[key]

    def bitfusion(self, network: Network, narrow: bool, bits: int | None) -> tuple[int, float]:
        """(cycles, pJ) of BitFusion's rows, at the width of channels and bits chosen."""
        cycles, pj = 0, 0.0
        for row in network.narrow if narrow else network.rows:
            if bits:
                row = replace(row, input_bits=bits, weight_bits=bits)
            keys = {"lane_packing": "flattened"} if row.im2col else {}
            shape = row.in_channels, row.out_channels, row.kernel, row.out_size, row.stride
            widths = Widths(row.input_bits, row.weight_bits, 8, 8, row.input_bits)
            cost = self.model(BITFUSION, keys).pass_cost(convolution(*shape), FORWARD, row.batch, widths).values
            cycles, pj = cycles + int(cost["cycles"]), pj + float(cost["energy_pj"])
        return cycles, pj

    def eyeriss(self, network: Network, keys: Mapping[str, Any]) -> tuple[int, float]:
        """(cycles, pJ) of Eyeriss's layers on the machine with `keys`."""
        cycles, pj = 0, 0.0
        model = self.model(EYERISS, keys)
        bits = model.machine.accelerator.config.precision.bits
        for one in network.eyeriss:
            if not one.pools:
                cost = model.pass_cost(convolution(*one.shape), FORWARD, one.batch, Widths(*(5 * [bits]))).values
                cycles, pj = cycles + int(cost["cycles"]), pj + float(cost["energy_pj"])
        return cycles, pj

    def areas_mm2(self, eyeriss_keys: Mapping[str, Any]) -> tuple[float, float]:
        """Arrays and buffers of BitFusion and of Eyeriss."""
        models = self.model(BITFUSION, {}), self.model(EYERISS, eyeriss_keys)
        bitfusion, eyeriss = (area_of(model.machine).chip_mm2 for model in models)
        return bitfusion, eyeriss


def exact_sides(listed: list[Network]) -> list[Compared]:
    """As published (BitFusion twice as wide in two networks), and made even."""
    engines = Engines()
    found = []
    for what, narrow, bits, keys in (
        ("shapes as published", False, None, TRUNCATED),
        ("AlexNet and ResNet-18 as wide on BitFusion as on Eyeriss", True, None, TRUNCATED),
        ("same width, Eyeriss's networks on chip without limit", True, None, TRUNCATED | FREE_NETWORKS),
        ("same width, every layer at 8 bits on BitFusion", True, 8, TRUNCATED),
        ("same width, both at 8 bits", True, 8, TRUNCATED | EIGHT_BITS),
    ):
        sides = [Sides(n.name, *engines.bitfusion(n, narrow, bits), *engines.eyeriss(n, keys)) for n in listed]
        found.append(Compared(what, sides, engines.areas_mm2(keys)))
    return found
