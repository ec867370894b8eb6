"""The cost of one occurrence: one pass of one layer over some samples, all its products in turn.

Assumptions
    - The products of a pass (phases of a strided dgrad) run one after the other with a barrier.
    - What bounds a pass is told from its cycles by class (simulation/bound.py).
    - The copies a weight gradient reads (Accelerator.copied_for_wgrad) are charged to it, once however its kernel
      is split: their writes cost energy here; their beats are in no row (docs/energy.md says what they may cost).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from bitsim.accelerators.registry import Machine
from bitsim.accelerators.seam import INPUT, WEIGHT, Datapath
from bitsim.energy import PriceList
from bitsim.errors import InputError
from bitsim.kernels.choice import OBJECTIVES
from bitsim.kernels.engines import ENGINES, each_alone
from bitsim.kernels.program import CLASSES, Nest
from bitsim.mapping import search
from bitsim.mapping.memo import SearchMemo
from bitsim.mapping.program import port_beats
from bitsim.mapping.reuse import tensor_words
from bitsim.mapping.search import Contender, Score, contenders
from bitsim.mapping.shortlist import Setting, Timed
from bitsim.simulation.bound import Bound
from bitsim.simulation.streams import Stream
from bitsim.workload import FLOAT_BITS, Layer, Product, Widths, lower

# Columns of a cost before its traffic and energy, which depend on the machine's buffers.
COST_COLUMNS = (
    "input_bits",
    "weight_bits",
    "output_bits",
    "input_hw_bits",
    "weight_hw_bits",
    "accumulator_bits",
    "required_accumulator_bits",
    "passes",
    "orientation",
    "tiles",
    "macs",
    "real_macs",
    "float_macs",
    "effective_macs",
    "bit_ops",
    "occupied_bit_ops",
    "cycles",
    *(f"{name}_cycles" for name in CLASSES),
    "stall_cycles",
    "utilisation",
    "bound",
)


@dataclass(frozen=True)
class Work:
    """What an occurrence does however long it takes: counters, bit products of its macs, beats of the port."""

    counters: dict[str, int]
    bit_products: int
    port_beats: int


@dataclass(frozen=True)
class PassCost:
    """Everything one occurrence costs; bits, cycles and counts are exact integers."""

    values: dict[str, int | float | str]
    nests: tuple[Nest, ...] = field(repr=False)
    work: Work = field(repr=False)
    mappings: tuple[Timed, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Part:
    """A product of a pass, or a part of its kernel: what it runs at, and every mapping timed, the chosen first."""

    product: Product
    datapath: Datapath
    contenders: tuple[Contender, ...]


class CostModel:
    """Costs of one machine, each distinct (product, widths) mapped and timed once."""

    def __init__(
        self, machine: Machine, objective: str = "cycles", timing: str = "collapsed", memo: SearchMemo | None = None
    ) -> None:
        for what, value, allowed in (("objective", objective, OBJECTIVES), ("timing", timing, tuple(ENGINES))):
            if value not in allowed:
                raise InputError(f"--{what}: {value!r} is unknown, allowed: {', '.join(allowed)}")
        self.machine = machine
        self.prices = PriceList(machine)
        self._engine = ENGINES[timing]
        self._timer = partial(each_alone, timing)
        self._rate, self._port = machine.rate, machine.port
        self.objective = objective
        self._costs: dict[tuple, PassCost] = {}
        sizes = tuple(buffer.capacity_bits for buffer in machine.accelerator.buffers())
        self._found = (SearchMemo() if memo is None else memo).of(f"{timing} {machine.structure}", sizes)

    def pass_cost(self, layer: Layer, pass_name: str, samples: int, widths: Widths) -> PassCost:
        """Cost of one pass of `layer` over `samples` samples run together.

        Raises MappingError (naming layer, pass and buffer) if no tile fits.
        """
        products = self._products(layer, pass_name, samples)
        # All that a cost depends on: layers of one shape share it.
        key = (products, widths.operands(pass_name), layer.macs(samples), layer.has_dgrad)
        cost = self._costs.get(key)
        if cost is None:
            with located(self.machine, f"layer {layer.name}, {pass_name}"):
                cost = self._costs[key] = self._pass_cost(*key)
        return cost

    def _pass_cost(
        self, products: tuple[Product, ...], bits: tuple[int, int, int | None], macs: int, has_dgrad: bool
    ) -> PassCost:
        """Cost of the products of a pass of `macs` nominal MACs; has_dgrad: of the layer."""
        timed: list[Timed] = []
        counted: list[dict[str, int]] = []
        for product in products:
            datapath = self.machine.accelerator.datapath(product, *bits)
            fixed = self._whatever_mapped(product, datapath, has_dgrad)
            mapped = search(product, *self.searched_with(datapath, self._fixed_pj(fixed)))
            timed += mapped
            counted += [*(t.execution.counters for t in mapped), fixed]
        counters = _total(counted)
        hw_products = datapath.input_hw_bits * datapath.weight_hw_bits
        work = Work(counters, macs * hw_products, sum(t.execution.port_beats for t in timed))
        values: dict[str, int | float | str] = {
            "input_bits": bits[0],
            "weight_bits": bits[1],
            "output_bits": datapath.output_bits,
            "input_hw_bits": datapath.input_hw_bits,
            "weight_hw_bits": datapath.weight_hw_bits,
            "accumulator_bits": datapath.accumulator_bits,
            "required_accumulator_bits": datapath.required_accumulator_bits,
            "passes": datapath.passes,
            "orientation": "+".join(dict.fromkeys(t.orientation.name for t in timed)),
            "tiles": counters["tiles"],
            **mac_columns(macs, sum(product.real_macs for product in products), bits[:2], hw_products),
        }
        values |= self._time_and_energy(work, _total([t.classes for t in timed]))
        return PassCost(values, tuple(t.execution.nest for t in timed), work, tuple(timed))

    def contenders(self, layer: Layer, pass_name: str, samples: int, widths: Widths) -> list[Part]:
        """The products of `pass_cost` with every mapping that was timed for each, the chosen one first."""
        found: list[Part] = []
        with located(self.machine, f"layer {layer.name}, {pass_name}"):
            for product in self._products(layer, pass_name, samples):
                datapath = self.machine.accelerator.datapath(product, *widths.operands(pass_name))
                fixed = self._whatever_mapped(product, datapath, layer.has_dgrad)
                listed = contenders(product, *self.searched_with(datapath, self._fixed_pj(fixed)))
                found += [Part(part, datapath, tuple(ranked)) for part, ranked in listed]
        return found

    def _products(self, layer: Layer, pass_name: str, samples: int) -> tuple[Product, ...]:
        """The products of a pass; at least one."""
        return lower(layer, pass_name, samples, self.machine.accelerator.config.dgrad == "zero-inserted")

    def stream_cost(self, layer: Layer, pass_name: str, stream: Callable[[], Stream]) -> PassCost:
        """Cost of a pass of `layer` without products: words that stream through the vector unit.

        stream: makes it; faults it meets get their place in the machine's file.
        """
        with located(self.machine, f"layer {layer.name}, {pass_name}"):
            made = stream()
            nest, tiles, counters = made.program(self.machine)
        classes = dict(zip(CLASSES, self.time([nest])[0].tolist(), strict=True))
        values: dict[str, int | float | str] = {
            "input_bits": made.input_bits,
            "weight_bits": made.weight_bits,
            "output_bits": made.output_bits,
            "input_hw_bits": made.input_bits,
            "weight_hw_bits": made.weight_bits,
            "accumulator_bits": made.accumulator_bits,
            "required_accumulator_bits": made.required_accumulator_bits,
            "passes": 1,
            "orientation": "stream",
            "tiles": tiles,
        }
        values |= dict.fromkeys(("macs", "real_macs", "float_macs", "effective_macs", "bit_ops", "occupied_bit_ops"), 0)
        work = Work(counters, 0, port_beats(nest))
        values |= self._time_and_energy(work, classes)
        return PassCost(values, (nest,), work)

    def time(self, nests: list[Nest]) -> np.ndarray:
        """(nests, 7) int64: cycles by class of nests that follow each other without a barrier."""
        return self._engine(nests, self._port.array())

    def retimed(self, cost: PassCost, classes: dict[str, int]) -> PassCost:
        """`cost` with other cycles by class, and what follows from them."""
        return replace(cost, values=cost.values | self._time_and_energy(cost.work, classes))

    def _whatever_mapped(self, product: Product, datapath: Datapath, has_dgrad: bool) -> dict[str, int]:
        """Counters of a product that no mapping changes: {name: count}.

        Each finished output is requantised once.  Operands of a weight gradient were written a second time, in the
        form it reads; an output gradient that no dgrad reads was written in that form only.
        """
        if not product.writes_filter:
            requantised = product.output_words if product.taps and datapath.requantises else 0
            return {"requantised_bits": requantised * datapath.accumulator_bits}
        widths = {INPUT: datapath.dram_bits[0], WEIGHT: datapath.dram_bits[1] if has_dgrad else 0}
        copied = self.machine.accelerator.copied_for_wgrad
        return {"wgrad_copy_bits": sum(tensor_words(product, role) * widths[role] for role in copied)}

    def _fixed_pj(self, counters: dict[str, int]) -> float:
        """Energy of counters that no mapping changes."""
        return sum(count * self.prices.price_pj(name) for name, count in counters.items())

    def searched_with(self, datapath: Datapath, fixed_pj: float) -> tuple[Setting, Score]:
        """What a search takes beside the product.  fixed_pj: energy that no mapping changes."""
        setting = Setting(self.machine.accelerator, datapath, self._rate, self._port, self._timer, self._found)
        prices = self.prices
        return setting, Score(OBJECTIVES.index(self.objective), prices.prices_of, prices.pj_per_cycle, fixed_pj)

    def _time_and_energy(self, work: Work, classes: dict[str, int]) -> dict[str, int | float | str]:
        cycles = sum(classes.values())
        values: dict[str, int | float | str] = {"cycles": cycles}
        values |= {f"{name}_cycles": count for name, count in classes.items()}
        values["stall_cycles"] = cycles - classes["issue"]
        values["utilisation"] = work.bit_products / (cycles * self.machine.accelerator.peak_bit_products_per_cycle)
        values["bound"] = Bound.of(classes, work.port_beats).name
        values |= {name: work.counters.get(name, 0) for name in self.prices.counter_columns}
        values |= self.prices.energy_pj(work.counters, cycles)
        return values


@contextmanager
def located(machine: Machine, met_in: str) -> Iterator[None]:
    """Faults of the machine get their place in its file, and what they were met in."""
    try:
        yield
    except InputError as error:
        raise type(error)([machine.source.located(fault, met_in) for fault in error.faults]) from None


def mac_columns(macs: int, real_macs: int, bits: tuple[int, int], hw_products: int) -> dict[str, int | float]:
    """Columns macs to occupied_bit_ops of a pass.  bits: of both operands; hw_products: bit products a MAC takes."""
    bit_ops = macs * bits[0] * bits[1]
    return {
        "macs": macs,
        "real_macs": real_macs,
        "float_macs": macs if FLOAT_BITS in bits else 0,
        "effective_macs": bit_ops / FLOAT_BITS**2,
        "bit_ops": bit_ops,
        "occupied_bit_ops": real_macs * hw_products,
    }


def _total(parts: list[dict[str, int]]) -> dict[str, int]:
    total = dict(parts[0])
    for part in parts[1:]:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total
