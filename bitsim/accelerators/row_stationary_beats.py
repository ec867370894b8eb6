"""Cycles and words of a row-stationary tile in closed form.

docs/microarchitecture.md, section 3, is the machine; tests/rtl/row_stationary is its hardware description,
tests/row_stationary_nest.py plays its loops one by one.

Time goes in *beats*, one for each position (output column of a pass). In a beat the PEs work on position k,
the input network brings what position k+1 reads anew, the psum network takes position k-1 to the buffer, and
the weight network brings the next block's weights into the other half of the weight spads. A beat ends when
PEs, input network and psum network are through; the last of a block also waits for the weights.

Assumptions
    - PEs run every block at its own size. Networks walk whole blocks: a slot nobody needs stays empty.
    - Padding takes its slot and travels as a zero word; it is read from no buffer.
    - All values may be integers or int64 arrays, one entry a tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bitsim.accelerators.row_stationary import Blocking, Cut, Shape, Split, distinct, windows
from bitsim.accelerators.seam import ceil_div


@dataclass(frozen=True)
class Rates:
    """Words a cycle of the three networks, and bus words of one psum."""

    input_words: int
    weight_words: int
    psum_words: int
    words_of_psum: int


@dataclass(frozen=True)
class Slots:
    """Cycles a network walks: a position's whole window or its new columns, a block's weights, a position's psums."""

    window: Any
    columns: Any
    weights: Any
    psums_out: Any
    psums_in_and_out: Any


def slots(shape: Shape, block: Blocking, slices: tuple[int, int], rates: Rates) -> Slots:
    """Slots of whole blocks."""
    sets = block.groups_beside * block.channel_sets * block.channels.size
    rows = distinct(block.cuts.rows.size, block.cuts.filter_rows.size, shape.row_stride, shape.row_step)
    _, shift = windows(shape.output_cols, block.cuts.pieces.size, shape.col_stride, shape.col_step)
    outputs = block.output_sets * block.outputs.size
    weights = sets * outputs * block.cuts.filter_rows.size * block.cuts.pieces.size * slices[1]
    psums = block.groups_beside * outputs * block.cuts.rows.size * rates.words_of_psum
    return Slots(
        window=ceil_div(sets * rows * slices[0] * block.cuts.pieces.size, rates.input_words),
        columns=ceil_div(sets * rows * slices[0] * shift, rates.input_words),
        weights=ceil_div(weights, rates.weight_words),
        psums_out=ceil_div(psums, rates.psum_words),
        psums_in_and_out=ceil_div(2 * psums, rates.psum_words),
    )


def issue_cycles(shape: Shape, block: Blocking, passes: int, slot: Slots, accumulates: bool = False) -> Any:
    """Cycles of a tile from its first weight to its last psum on the network: a sum over kinds of blocks.

    A kind is (full or last) block of outputs, of channels, of filter columns. Blocks of the first psum round
    only write, unless the tile accumulates onto another's outputs; the last block of all waits for no
    further inputs or weights.
    """
    starts, _ = windows(shape.output_cols, block.cuts.pieces.size, shape.col_stride, shape.col_step)
    passes_a_block = shape.images * block.cuts.rows.blocks
    groups = ceil_div(shape.groups, block.groups_beside)
    dimensions = np.ndim(passes_a_block * groups)

    whole, moved = passes_a_block * starts, passes_a_block * (shape.output_cols - starts)

    def positions(mac_cycles: Any, psums: Any) -> Any:
        """Cycles of a block's beats."""
        first = np.maximum(mac_cycles, np.maximum(slot.window, psums))
        return whole * first + moved * np.maximum(mac_cycles, np.maximum(slot.columns, psums))

    def full_and_last(part: Split, axis: int) -> tuple[Any, Any]:
        """(sizes, counts) along an axis of their own, before that of the tiles; last ones alone if all are."""
        size, last, blocks = np.broadcast_arrays(part.size, part.last, part.blocks)
        kinds = [(size, blocks - 1), (last, np.ones_like(blocks))] if np.any(blocks > 1) else [(last, blocks)]
        around = [1] * (3 + dimensions - size.ndim)
        around[axis] = len(kinds)
        sizes, counts = (np.stack(values).reshape(*around, *size.shape) for values in zip(*kinds, strict=True))
        return sizes, counts

    (p, many_p), (q, many_q), (s, many_s) = map(
        full_and_last, (block.outputs, block.channels, block.cuts.pieces), range(3)
    )
    macs = p * q * s * passes
    later = np.maximum(positions(macs, slot.psums_in_and_out), slot.weights)
    total = (many_p * many_q * many_s * later).sum(axis=(0, 1, 2)) * block.cuts.filter_rows.blocks
    if not accumulates:  # The blocks of the first round have channels and pieces of full size.
        early = np.maximum(positions(macs[:, 0, 0], slot.psums_out), slot.weights)
        total = total + (many_p[:, 0, 0] * (early - later[:, 0, 0])).sum(axis=0)
    total = groups * total

    ending = macs[-1, -1, -1]
    psums = np.where(accumulates | (block.psum_rounds > 1), slot.psums_in_and_out, slot.psums_out)
    beats = positions(ending, psums)
    last_beat = np.maximum(ending, psums) - np.maximum(np.maximum(ending, slot.window), psums)
    total = total + beats + last_beat - np.maximum(beats, slot.weights)
    total = total + np.maximum(slot.window, slot.weights) + psums
    return np.where(shape.filter_rows * shape.filter_cols * shape.output_rows * shape.output_cols > 0, total, 0)


def input_words(shape: Shape, cuts: Cut) -> tuple[Any, Any]:
    """(words read, columns sent) of one map, once through all folds, segments and pieces.

    A padding row or column is taken to lie under one of each. Where it lies under several, or between
    inserted zeros, the words are an upper bound.
    """
    rows = 0
    for outputs, count in ((cuts.rows.size, cuts.rows.blocks - 1), (cuts.rows.last, 1)):
        for filters, folds in ((cuts.filter_rows.size, cuts.filter_rows.blocks - 1), (cuts.filter_rows.last, 1)):
            rows = rows + count * folds * distinct(outputs, filters, shape.row_stride, shape.row_step)
    cols = (cuts.pieces.blocks - 1) * distinct(shape.output_cols, cuts.pieces.size, shape.col_stride, shape.col_step)
    cols = cols + distinct(shape.output_cols, cuts.pieces.last, shape.col_stride, shape.col_step)
    all_rows = distinct(shape.output_rows, shape.filter_rows, shape.row_stride, shape.row_step)
    all_cols = distinct(shape.output_cols, shape.filter_cols, shape.col_stride, shape.col_step)
    return (rows - all_rows + shape.input_rows) * (cols - all_cols + shape.input_cols), cols


@dataclass(frozen=True)
class Traffic:
    """Words of one slice that move for a tile: buffer reads, copies the PEs take, psums from PE to PE."""

    input_reads: Any
    input_copies: Any
    weight_copies: Any
    psum_hops: Any


def traffic(shape: Shape, block: Blocking, once: tuple[Any, Any]) -> Traffic:
    """Words of a tile; `once`: what input_words says of it."""
    maps, (real, cols) = shape.groups * shape.images * shape.channels, once
    full = block.outputs.blocks - 1
    sets = full * block.output_sets
    sets = sets + np.minimum(block.output_sets, shape.outputs - full * block.outputs.size * block.output_sets)
    pes = shape.filter_rows * shape.output_rows
    weights = shape.groups * shape.outputs * shape.channels * shape.filter_rows * shape.filter_cols
    psums = shape.groups * shape.images * shape.outputs * shape.output_rows * shape.output_cols
    live = pes * shape.filter_cols * shape.output_cols > 0
    return Traffic(
        input_reads=np.where(live, maps * block.outputs.blocks * real, 0),
        input_copies=np.where(live, maps * pes * cols * sets, 0),
        weight_copies=weights * block.cuts.rows.size,
        psum_hops=np.where(live, psums * block.psum_rounds * (block.channel_sets * block.cuts.filter_rows.size - 1), 0),
    )
