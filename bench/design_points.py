"""New design points of ResNet-18, batch 1, 8 bits, as a sweep meets them: machines of one more column each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from bitsim import load_hardware
from bitsim.accelerators.registry import Machine
from bitsim.mapping.memo import SearchMemo
from bitsim.networks import known_network
from bitsim.simulation.cost import CostModel
from bitsim.workload import DGRAD, FORWARD, WGRAD, Layer, Widths

MACHINE = "bitfusion_16x32_192b"
TRAINING = (FORWARD, DGRAD, WGRAD)
WIDTHS = Widths(8, 8, 8, 8, 8)
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


def machines() -> Iterator[Machine]:
    """Machines of 33, 34, ... columns: no two share a shortlist."""
    return (load_hardware(MACHINE, {"array.cols": cols}) for cols in itertools.count(33))


def new_points(passes: tuple[str, ...]) -> Iterator[Callable[[], int]]:
    """Each: all passes of ResNet-18 on a machine not met before, its file already read."""
    layers = resnet18()
    for machine in machines():
        yield lambda machine=machine: cycles(CostModel(machine), layers, passes)


def price_points(passes: tuple[str, ...]) -> Iterator[Callable[[], int]]:
    """Each: all passes of ResNet-18 on a machine that differs only in a price from one met before."""
    layers, memo = resnet18(), SearchMemo()
    for price in itertools.cycle(MEMORY_PRICES):
        machine = load_hardware(MACHINE, {"memory.energy": price})
        yield lambda machine=machine: cycles(CostModel(machine, memo=memo), layers, passes)
