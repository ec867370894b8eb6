"""Design points of ResNet-18, batch 1, 8 bits, as a sweep meets them: machines of one more column each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from bitsim import load_hardware
from bitsim.mapping.candidates import inner_tables, sizes_table
from bitsim.mapping.memo import SearchMemo
from bitsim.mapping.spots import split_sizes
from bitsim.networks import known_network
from bitsim.simulation.cost import CostModel
from bitsim.workload import DGRAD, FORWARD, WGRAD, Layer, Widths

MACHINE = "bitfusion_16x32_192b"
TRAINING = (FORWARD, DGRAD, WGRAD)
WIDTHS = Widths(8, 8, 8, 8, 8)
COLUMNS = range(33, 42)
MEMORY_PRICES = ("LPDDR4-flat", "LPDDR4")


def cycles(model: CostModel, layers: tuple[Layer, ...], passes: tuple[str, ...], samples: int = 1) -> int:
    """Cycles of the passes of every layer, each mapped and timed where `model` does not know it."""
    costs = [
        model.pass_cost(layer, name, samples, WIDTHS) for layer in layers for name in layer.passes() if name in passes
    ]
    return sum(int(cost.values["cycles"]) for cost in costs)


def resnet18() -> tuple[Layer, ...]:
    """Its layers: 21 products forward."""
    return tuple(known_network("resnet18").layers)


def new_points(passes: tuple[str, ...]) -> Iterator[Callable[[], int]]:
    """All passes of ResNet-18 on machines of 33 to 41 columns in turn, each as if it had not been met before.

    No two share a shortlist.  Their files are read; what follows from the layers alone is known.
    """
    layers = resnet18()
    machines = [load_hardware(MACHINE, {"array.cols": cols}) for cols in COLUMNS]
    for machine in itertools.cycle(machines):
        for table in (inner_tables, sizes_table, split_sizes):  # of sizes that suit the array
            table.cache_clear()
        yield lambda machine=machine: cycles(CostModel(machine), layers, passes)


def price_points(passes: tuple[str, ...]) -> Iterator[Callable[[], int]]:
    """All passes of ResNet-18 on machines that differ only in a price, in turn; all but the first find it mapped."""
    layers, memo = resnet18(), SearchMemo()
    machines = [load_hardware(MACHINE, {"memory.energy": price}) for price in MEMORY_PRICES]
    for machine in itertools.cycle(machines):
        yield lambda machine=machine: cycles(CostModel(machine, memo=memo), layers, passes)
