"""What a timeline runs: the tile programs of a pass or of an iteration, with what each tile moves and occupies.

Assumption: a row without products (sums of groups added up) streams words; the bits of its tiles are shared out by
their beats, the last tile takes the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bitsim.accelerators.seam import ROLES, Accelerator
from bitsim.kernels.program import INPUT_BEATS, PSUM_BEATS, STORE_BEATS, Nest
from bitsim.mapping.program import walk
from bitsim.simulation.cost import CostModel, Part, PassCost
from bitsim.simulation.overlap import Step, programs
from bitsim.workload import DGRAD, DGRAD_SECOND, FORWARD, RECOMPUTE, WGRAD, Layer, Widths


@dataclass(frozen=True)
class Held:
    """One operand in its buffer.  occupied_bits: (R,) of a half, by row of the program's table."""

    role: str
    buffer: str
    occupied_bits: np.ndarray


@dataclass(frozen=True)
class Program:
    """A product or stream, ready to run.  moved_bits: (R, 4) as of mapping.program.Execution; held: operands mapped."""

    name: str
    nest: Nest
    moved_bits: np.ndarray
    held: tuple[Held, ...]


def of_pass(model: CostModel, layer: Layer, pass_name: str, samples: int, widths: Widths) -> list[list[Program]]:
    """The programs of one occurrence; a barrier between any two."""
    cost = model.pass_cost(layer, pass_name, samples, widths)
    held = [_held(model.machine.accelerator, part) for part in model.contenders(layer, pass_name, samples, widths)]
    return [[program] for program in _programs(f"{layer.name} {pass_name}", cost, cost.nests, held)]


def of_iteration(model: CostModel, layers: tuple[Layer, ...], steps: list[Step], overlap: bool) -> list[list[Program]]:
    """The programs of `steps` in order: with a barrier between any two, or (overlap) none.

    Each row's operands are looked up once, however often it occurs.
    """
    held: dict[int, list[tuple[Held, ...]]] = {}
    nests = programs(steps) if overlap else [list(step.row.cost.nests) for step in steps]
    found: list[Program] = []
    for step, own in zip(steps, nests, strict=True):
        row = step.row
        if id(row) not in held:
            held[id(row)] = [()] * len(own)
            if row.cost.mappings:
                bits = (int(row.cost.values[f"{name}_bits"]) for name in ("input", "weight", "output"))
                asked = layers[row.layer_index], row.pass_name, row.samples, widths_of(row.pass_name, *bits)
                held[id(row)] = [_held(model.machine.accelerator, part) for part in model.contenders(*asked)]
        found += _programs(f"{row.layer} {row.pass_name}", row.cost, own, held[id(row)])
    return [found] if overlap else [[program] for program in found]


def widths_of(pass_name: str, input_bits: int, weight_bits: int, output_bits: int) -> Widths:
    """Widths that give a pass the operands of a result row; what other passes would run at is not in a row."""
    first, second, third = input_bits, weight_bits, output_bits
    return {
        FORWARD: Widths(first, second, first, first, third),
        RECOMPUTE: Widths(first, second, first, first, third),
        DGRAD: Widths(first, second, first, first, first),
        WGRAD: Widths(first, second, second, second, first),
        DGRAD_SECOND: Widths(second, first, first, first, first),
    }[pass_name]


def _programs(
    name: str, cost: PassCost, nests: tuple[Nest, ...] | list[Nest], held: list[tuple[Held, ...]]
) -> Iterator[Program]:
    if cost.mappings:
        moved = [timed.execution.moved_bits for timed in cost.mappings]
    else:
        moved = [_streamed(nest, cost.work.counters) for nest in nests]
    for number, (nest, bits, operands) in enumerate(zip(nests, moved, held, strict=True), 1):
        yield Program(f"{name} {number}/{len(nests)}" if len(nests) > 1 else name, nest, bits, operands)


def _streamed(nest: Nest, counters: dict[str, int]) -> np.ndarray:
    """(R, 4) bits of each tile of a stream, read as partial sums and stored."""
    bits = np.zeros((len(nest.rows), 4), np.int64)
    totals = {PSUM_BEATS: counters["dram_read_bits"], STORE_BEATS: counters["dram_write_bits"]}
    for column, total in totals.items():
        beats = [int(b) for b in nest.rows[:, column]]
        all_beats = sum(b * int(count) for b, count in zip(beats, nest.counts, strict=True))
        own = [total * b // max(all_beats, 1) for b in beats]
        own[-1] += total - sum(b * int(count) for b, count in zip(own, nest.counts, strict=True))
        bits[:, column - INPUT_BEATS] = own
    return bits


def _held(accelerator: Accelerator, part: Part) -> tuple[Held, ...]:
    timed = part.contenders[0].timed
    tiles = walk(part.product, timed.mapping)
    used = accelerator.footprint_bits(part.product, part.datapath, timed.orientation, tiles.shape)
    count = len(timed.execution.nest.rows)
    return tuple(
        Held(role, timed.orientation.holds[role], np.broadcast_to(np.asarray(used[role], np.int64), count))
        for role in ROLES
    )
