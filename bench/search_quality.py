"""How far the search stays from the best of all mappings, on random layers (bench.exhaustive)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.exhaustive import Question, least
from bench.random_layers import log_uniform
from bitsim import load_hardware
from bitsim.accelerators.seam import Datapath
from bitsim.errors import MappingError
from bitsim.mapping import search
from bitsim.mapping.shortlist import Timed
from bitsim.simulation.cost import CostModel
from bitsim.workload import Layer, Product, Widths, lower


@dataclass(frozen=True)
class Gap:
    """One product: how much more than the best, as fractions, by either objective; energy: of `--objective cycles`."""

    layer: Layer
    cycles: float
    energy: float
    mappings: int


def random_layers(seed: int) -> Iterator[tuple[Layer, str, int, Widths]]:
    """(layer, pass, samples, widths) without end: log-uniform, up to 512 channels, 56x56 inputs, 16 samples."""
    rng = np.random.default_rng(seed)
    while True:
        kernel = int(rng.choice([1, 1, 3, 3, 3, 5, 7]))
        side, stride = log_uniform(rng, 56) + kernel - 1, int(rng.choice([1, 1, 2]))
        channels, outputs = log_uniform(rng, 512), log_uniform(rng, 512)
        layer = Layer("layer", "conv", 1, channels, outputs, side, side, kernel, kernel, stride, stride)
        bits = [int(b) for b in rng.choice([2, 3, 4, 6, 8], 3)]
        yield layer, str(rng.choice(layer.passes())), log_uniform(rng, 16), Widths(*bits, bits[2], bits[0])


def gaps(machine_name: str, count: int, seed: int, energy: bool = True) -> list[Gap]:
    """Gaps of `count` random products that fit whole into the buffers of the machine."""
    machine = load_hardware(machine_name)
    models = {objective: CostModel(machine, objective) for objective in ("cycles", "energy")}
    found: list[Gap] = []
    for layer, pass_name, samples, widths in random_layers(seed):
        product = lower(layer, pass_name, samples)[0]
        if product.taps:
            found += _gap(models, layer, product, widths.operands(pass_name), energy)
        if len(found) == count:
            return found
    raise AssertionError("random layers never end")


def search_with(model: CostModel, product: Product, datapath: Datapath) -> tuple[Timed, ...]:
    """What the product maps `product` to."""
    return search(product, *model.searched_with(datapath, 0.0))


def _gap(
    models: dict[str, CostModel], layer: Layer, product: Product, bits: tuple[int, int, int | None], energy: bool
) -> list[Gap]:
    model = models["cycles"]
    machine = model.machine
    datapath = machine.accelerator.datapath(product, *bits)
    question = Question(product, machine.accelerator, datapath, machine.rate, machine.port)
    try:
        mapped = search_with(model, product, datapath)
    except MappingError:
        return []
    if len(mapped) > 1:
        return []  # its kernel had to be split
    best = least(question, mapped[0].cycles)
    more_energy = 0.0
    if energy:
        (frugal,) = search_with(models["energy"], product, datapath)
        used = model.prices.energy_pj(frugal.execution.counters, frugal.cycles)["energy_pj"]
        priced = Question(product, machine.accelerator, datapath, machine.rate, machine.port, model.prices)
        more_energy = used / least(priced, used).best - 1
    return [Gap(layer, mapped[0].cycles / best.best - 1, more_energy, best.mappings)]


def report(machine_name: str, count: int, seed: int) -> str:
    """The gaps of `count` layers in one line."""
    found = gaps(machine_name, count, seed)
    cycles, energy = (np.array([getattr(gap, name) for gap in found]) * 100 for name in ("cycles", "energy"))
    return (
        f"{count} random layers on {machine_name}, seed {seed}, {sum(g.mappings for g in found) / 1e6:.0f} million "
        f"mappings: cycles {cycles.mean():.3f} % above the best in the mean, {cycles.max():.2f} % at most; "
        f"--objective energy {energy.mean():.3f} %, {energy.max():.2f} %"
    )
