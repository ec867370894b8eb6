"""A tile on a row-stationary PE array: sets folded and replicated, register blocks, and their cycles in closed form.

docs/microarchitecture.md, section 3, is the machine; tests/rtl/row_stationary is its hardware description,
tests/row_stationary_nest.py plays its loops one by one. Source: Chen et al., ISCA 2016 and JSSC 2017, Sec. IV-V.

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

from bitsim.accelerators.seam import Tile, ceil_div


@dataclass(frozen=True)
class Fold:
    """A set of R x E rows on the array: folds, segments and replicas (each int or array)."""

    height_folds: Any
    segments: Any
    replicas_vertical: Any
    replicas_horizontal: Any
    active_pes: Any


def fold_and_replicate(filter_rows: Any, output_rows: Any, array_rows: int, array_cols: int) -> Fold:
    """Fold a set of `filter_rows` x `output_rows` onto an array, and replicate it where it is smaller.

    active_pes: most PEs working in one pass when every replica is used (JSSC 2017, Table V).
    """
    filter_rows, output_rows = np.maximum(filter_rows, 1), np.maximum(output_rows, 1)
    height_folds = ceil_div(filter_rows, array_rows)
    vertical = np.maximum(array_rows // filter_rows, 1)
    segments = ceil_div(output_rows, array_cols)
    horizontal = np.maximum(array_cols // output_rows, 1)
    held = np.minimum(vertical, segments)
    segments, vertical = ceil_div(segments, held), vertical // held
    rows_at_once = ceil_div(output_rows, segments)
    active = ceil_div(filter_rows, height_folds) * rows_at_once * vertical * horizontal
    return Fold(height_folds, segments, vertical, horizontal, np.minimum(active, array_rows * array_cols))


@dataclass(frozen=True)
class Shape:
    """A tile as a row-stationary convolution: images, C input channels, M outputs, R x S filter, E x F output.

    *_stride: input rows (columns) between output rows; *_step: between filter rows.
    input_rows, input_cols: distinct ones that hold data.
    """

    groups: Any
    images: Any
    channels: Any
    outputs: Any
    filter_rows: Any
    filter_cols: Any
    output_rows: Any
    output_cols: Any
    row_stride: Any
    col_stride: Any
    row_step: Any
    col_step: Any
    input_rows: Any
    input_cols: Any


def shape_of(tile: Tile) -> Shape:
    """The convolution a tile is; wgrad has the output gradient as its filter and the batch as its channels."""
    steps = tile.row_stride, tile.col_stride, tile.row_step, tile.col_step
    box = tile.input_rows, tile.input_cols
    filters, maps = (tile.row_taps, tile.col_taps), (tile.rows, tile.cols)
    if tile.writes_filter:
        sizes = tile.groups, tile.channels, tile.batch, tile.outputs
        return Shape(*sizes, *maps, *filters, *steps[2:], *steps[:2], *box)
    return Shape(tile.groups, tile.batch, tile.channels, tile.outputs, *filters, *maps, *steps, *box)


def windows(positions: Any, taps: Any, stride: Any, step: Any) -> tuple[Any, Any]:
    """(starts, shift) of windows of `taps` inputs `step` apart, moved by `stride`.

    Positions a whole number of steps apart share inputs: `starts` of them read a whole window,
    each other one reads `shift` inputs that the one before it in its class did not.
    """
    common = np.gcd(stride, step)
    return np.minimum(step // common, positions), np.minimum(stride // common, taps)


def distinct(positions: Any, taps: Any, stride: Any, step: Any) -> Any:
    """Distinct inputs under all windows, padding included."""
    starts, shift = windows(positions, taps, stride, step)
    return starts * taps + (positions - starts) * shift


@dataclass(frozen=True)
class Spads:
    """Words a PE's spads hold, as slices of one datapath width; psums in accumulator words."""

    input_words: int
    weight_words: int
    psum_words: int

    def of_slices(self, slices: tuple[int, int]) -> tuple[int, int]:
        """(input, weight) words of `slices` slices in use at once: half a weight spad is being filled."""
        return self.input_words // slices[0], self.weight_words // (2 * slices[1])


@dataclass(frozen=True)
class Rates:
    """Words a cycle of the three networks, and bus words of one psum."""

    input_words: int
    weight_words: int
    psum_words: int
    words_of_psum: int


@dataclass(frozen=True)
class Split:
    """Something cut into `blocks` of `size`, the last of them `last`."""

    blocks: Any
    size: Any
    last: Any


def split(total: Any, most: Any) -> Split:
    """The fewest blocks of at most `most`, as even as whole blocks and a rest can be."""
    blocks = ceil_div(total, most)
    size = ceil_div(total, blocks)
    return Split(blocks, size, total - (blocks - 1) * size)


@dataclass(frozen=True)
class Cut:
    """What the array alone decides: output rows of a pass, filter rows of a fold, pieces of the filter's columns."""

    rows: Split
    filter_rows: Split
    pieces: Split


@dataclass(frozen=True)
class Blocking:
    """How a tile runs on the array.

    channel_sets, output_sets: sets stacked over input channels, and stacks over outputs; groups_beside: groups
    at once. channels, outputs: of one PE, interleaved.
    """

    cuts: Cut
    channel_sets: Any
    output_sets: Any
    groups_beside: Any
    channels: Split
    outputs: Split

    @property
    def psum_rounds(self) -> Any:
        """Times every psum goes to the buffer."""
        return self.channels.blocks * self.cuts.pieces.blocks * self.cuts.filter_rows.blocks

    def replaced(self, where: Any, other: Blocking) -> Blocking:
        """Blockings of tiles, `other` where told."""

        def either(name: str) -> Any:
            """Entries of one field."""
            ours, theirs = getattr(self, name), getattr(other, name)
            if isinstance(ours, Split):
                return Split(
                    *(np.where(where, getattr(theirs, f), getattr(ours, f)) for f in ("blocks", "size", "last"))
                )
            return np.where(where, theirs, ours)

        return Blocking(
            self.cuts, *map(either, ("channel_sets", "output_sets", "groups_beside", "channels", "outputs"))
        )


def sets_at_once(shape: Shape, fold: Fold, channel_sets: Any) -> tuple[Any, Any, Any]:
    """(channels, outputs, groups) worked on at once, `channel_sets` vertical replicas given to input channels.

    A stack of channel sets sums up its column, so groups beside take stacks of their own.
    """
    output_sets = fold.replicas_vertical // channel_sets * fold.replicas_horizontal
    channels = np.minimum(channel_sets, np.maximum(shape.channels, 1))
    outputs = np.minimum(output_sets, np.maximum(shape.outputs, 1))
    beside = np.maximum(output_sets * (channel_sets // channels) // outputs, 1)
    return channels, outputs, np.minimum(beside, np.maximum(shape.groups, 1))


def cut(shape: Shape, fold: Fold, spads: Spads, slices: tuple[int, int]) -> Cut:
    """Rows as folded, columns in pieces that a PE's spads hold; slices of (input, weight) words."""
    rows, filter_rows = np.maximum(shape.output_rows, 1), np.maximum(shape.filter_rows, 1)
    return Cut(
        split(rows, ceil_div(rows, fold.segments)),
        split(filter_rows, ceil_div(filter_rows, fold.height_folds)),
        split(np.maximum(shape.filter_cols, 1), min(spads.of_slices(slices))),
    )


def blocking(
    shape: Shape, fold: Fold, channel_sets: Any, most_channels: bool, spads: Spads, slices: tuple[int, int], cuts: Cut
) -> Blocking:
    """Register blocks: one or the most channels in a PE, then the most outputs."""
    channels, outputs, beside = sets_at_once(shape, fold, channel_sets)
    input_words, weight_words = spads.of_slices(slices)
    fitting = np.maximum(min(input_words, weight_words) // cuts.pieces.size, 1) if most_channels else 1
    in_pe = split(ceil_div(np.maximum(shape.channels, 1), channels), fitting)
    psums = np.minimum(spads.psum_words, np.maximum(weight_words // (in_pe.size * cuts.pieces.size), 1))
    out_of_pe = split(ceil_div(np.maximum(shape.outputs, 1), outputs), psums)
    return Blocking(cuts, channels, outputs, beside, in_pe, out_of_pe)


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
