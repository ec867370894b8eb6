"""The cost of one occurrence: one pass of one layer over some samples, all its products in turn.

Assumptions
    - The products of a pass (phases of a strided dgrad) run one after the other with a barrier.
    - bound: `compute` if issue is the largest share of cycles; `fill` if fill, hazard, switch and
      set-up are; else the port is waited for: `memory` if it moves beats in at least half of all
      cycles, `latency` if not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from bitsim.accelerators.registry import Machine
from bitsim.accelerators.seam import OUTPUT, Datapath
from bitsim.energy import PriceList
from bitsim.errors import InputError
from bitsim.kernels.engines import ENGINES, each_alone
from bitsim.kernels.program import (
    CLASSES,
    COLUMNS,
    DRAIN,
    FLAGS,
    ISSUE,
    NEW_OUTPUT,
    PSUM_BEATS,
    STORE,
    STORE_BEATS,
    SWITCH,
    Nest,
    runs_table,
)
from bitsim.mapping import search
from bitsim.mapping.program import Execution, beats
from bitsim.mapping.search import Timed
from bitsim.workload import FLOAT_BITS, Layer, Product, Widths, lower

OBJECTIVES = ("cycles", "energy", "edp")
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


class CostModel:
    """Costs of one machine, each distinct (product, widths) mapped and timed once."""

    def __init__(self, machine: Machine, objective: str = "cycles", timing: str = "collapsed") -> None:
        for what, value, allowed in (("objective", objective, OBJECTIVES), ("timing", timing, tuple(ENGINES))):
            if value not in allowed:
                raise InputError(f"--{what}: {value!r} is unknown, allowed: {', '.join(allowed)}")
        self.machine = machine
        self.prices = PriceList(machine)
        self._engine = ENGINES[timing]
        self._timer = partial(each_alone, timing)
        self._rate, self._port = machine.rate, machine.port
        self._objective = objective
        self._costed: dict[tuple, PassCost] = {}
        self._searched: dict[tuple[Product, Datapath], tuple[Timed, ...]] = {}

    def pass_cost(self, layer: Layer, pass_name: str, samples: int, widths: Widths) -> PassCost:
        """Cost of one pass of `layer` over `samples` samples run together.

        Raises MappingError (naming layer, pass and buffer) if no tile fits.
        """
        accelerator = self.machine.accelerator
        input_bits, weight_bits, output_bits = widths.operands(pass_name)
        products = lower(layer, pass_name, samples, accelerator.config.dgrad == "zero-inserted")
        macs = layer.macs(samples)
        key = (products, macs, input_bits, weight_bits, output_bits)
        if key not in self._costed:
            with located(self.machine, f"layer {layer.name}, {pass_name}"):
                self._costed[key] = self._product_costs(products, macs, input_bits, weight_bits, output_bits)
        return self._costed[key]

    def _product_costs(
        self, products: tuple[Product, ...], macs: int, input_bits: int, weight_bits: int, output_bits: int | None
    ) -> PassCost:
        """Cost of `products` in turn, of `macs` nominal MACs in all; output_bits None: at accumulator width."""
        accelerator = self.machine.accelerator
        timed: list[Timed] = []
        datapath = None
        for product in products:
            datapath = accelerator.datapath(product, input_bits, weight_bits, output_bits)
            timed += self.mapped(product, datapath)
        assert datapath is not None
        counters = _total([t.execution.counters for t in timed])
        classes = _total([t.classes for t in timed])
        real_macs = sum(p.real_macs for p in products)
        hw_products = datapath.input_hw_bits * datapath.weight_hw_bits
        nests = tuple(t.execution.nest for t in timed)
        work = Work(counters, macs * hw_products, sum(t.execution.port_beats for t in timed))
        values: dict[str, int | float | str] = {
            "input_bits": input_bits,
            "weight_bits": weight_bits,
            "output_bits": datapath.output_bits,
            "input_hw_bits": datapath.input_hw_bits,
            "weight_hw_bits": datapath.weight_hw_bits,
            "accumulator_bits": datapath.accumulator_bits,
            "required_accumulator_bits": datapath.required_accumulator_bits,
            "passes": datapath.passes,
            "orientation": "+".join(dict.fromkeys(t.orientation.name for t in timed)),
            "tiles": counters["tiles"],
            **mac_columns(macs, real_macs, (input_bits, weight_bits), hw_products),
        }
        values |= self._costs(work, classes)
        return PassCost(values, nests, work, tuple(timed))

    def accumulate_cost(self, layer: Layer, samples: int, widths: Widths) -> PassCost:
        """Cost of adding one group's weight gradient to the sum of the groups before.

        Both are read from memory at accumulator width, added at the output buffer, and the sum is written.
        """
        with located(self.machine, f"layer {layer.name}, wgrad_accumulate"):
            return self._accumulate_cost(layer, samples, widths)

    def _accumulate_cost(self, layer: Layer, samples: int, widths: Widths) -> PassCost:
        accelerator = self.machine.accelerator
        (product,) = lower(layer, "wgrad", samples)
        input_bits, weight_bits, _ = widths.operands("wgrad")
        datapath = accelerator.datapath(product, input_bits, weight_bits, None)
        width, words = datapath.accumulator_bits, product.output_words
        name = accelerator.orientations(product)[0].holds[OUTPUT]
        half_bits = next(b.capacity_bits // b.halves for b in accelerator.buffers() if b.name == name)
        chunk = min(words, max(1, half_bits // (2 * width)))
        full, rest = divmod(words - 1, chunk)  # tiles of a whole chunk before the last, words of the last - 1
        runs = [n for n in (min(full, 1), full - 1, 1) if n > 0]
        sizes = np.full(len(runs), chunk, np.int64)
        sizes[-1] = rest + 1
        rows = np.zeros((len(runs), COLUMNS), np.int64)
        rows[:, PSUM_BEATS] = beats(2 * sizes * width, self._rate, full + 1)
        rows[:, STORE_BEATS] = beats(sizes * width, self._rate, full + 1)
        rows[:, ISSUE] = -(-sizes // accelerator.accumulators)
        rows[:, DRAIN] = 1
        rows[:, FLAGS] = NEW_OUTPUT + STORE
        rows[0, FLAGS] |= SWITCH
        nest = Nest(rows, runs_table([runs]))
        classes = dict(zip(CLASSES, self.time([nest])[0].tolist(), strict=True))
        bits = words * width
        counters = {
            "dram_read_bits": 2 * bits,
            "dram_write_bits": bits,
            f"{name}_read_bits": 3 * bits,
            f"{name}_write_bits": 3 * bits,
        }
        values: dict[str, int | float | str] = {
            "input_bits": width,
            "weight_bits": width,
            "output_bits": width,
            "input_hw_bits": width,
            "weight_hw_bits": width,
            "accumulator_bits": width,
            "required_accumulator_bits": datapath.required_accumulator_bits,
            "passes": 1,
            "orientation": "stream",
            "tiles": full + 1,
        }
        values |= dict.fromkeys(("macs", "real_macs", "float_macs", "effective_macs", "bit_ops", "occupied_bit_ops"), 0)
        work = Work(counters, 0, Execution(nest, counters).port_beats)
        values |= self._costs(work, classes)
        return PassCost(values, (nest,), work)

    def time(self, nests: list[Nest]) -> np.ndarray:
        """(nests, 7) int64: cycles by class of nests that follow each other without a barrier."""
        return self._engine(nests, self._port.array())

    def retimed(self, cost: PassCost, classes: dict[str, int]) -> PassCost:
        """`cost` with other cycles by class, and what follows from them."""
        return replace(cost, values=cost.values | self._costs(cost.work, classes))

    def mapped(self, product: Product, datapath: Datapath) -> tuple[Timed, ...]:
        """The best mapping of a product; several where its kernel had to be split.  MappingError if no tile fits."""
        key = (product, datapath)
        if key not in self._searched:
            self._searched[key] = search(
                product,
                self.machine.accelerator,
                datapath,
                self._rate,
                self._port,
                self._timer,
                self._score,
            )
        return self._searched[key]

    def _score(self, cycles: np.ndarray, counters: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        energy_pj = self.prices.total_pj(counters, cycles)
        value = {"cycles": cycles, "energy": energy_pj, "edp": energy_pj * cycles}[self._objective]
        return value, energy_pj

    def _costs(self, work: Work, classes: dict[str, int]) -> dict[str, int | float | str]:
        cycles = sum(classes.values())
        values: dict[str, int | float | str] = {"cycles": cycles}
        values |= {f"{name}_cycles": count for name, count in classes.items()}
        values["stall_cycles"] = cycles - classes["issue"]
        values["utilisation"] = work.bit_products / (cycles * self.machine.accelerator.peak_bit_products_per_cycle)
        values["bound"] = _bound(classes, work.port_beats)
        values |= {name: work.counters.get(name, 0) for name in self.prices.traffic_columns}
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


def _bound(classes: dict[str, int], port_beats: int) -> str:
    waits = classes["wait_load"] + classes["wait_store"]
    fill = classes["fill_drain"] + classes["hazard"] + classes["switch"] + classes["setup"]
    if classes["issue"] >= max(waits, fill):
        return "compute"
    if fill > waits:
        return "fill"
    return "memory" if 2 * port_beats >= sum(classes.values()) else "latency"


def _total(parts: list[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total
