"""What the loops of one tile read and write, on arrays that hold weights and on bit-serial ones: slow and plain.

Indices and sets only, no closed forms.  Counts are bits, by operand role; `output` is (written, read again to be
added to) in words.
"""

import itertools
from collections import Counter


def chunks(items, size):
    """`items` in runs of `size`."""
    return [items[i : i + size] for i in range(0, len(items), size)]


class Nest:
    """The indices of a product as one tile."""

    def __init__(self, product):
        self.product = product
        self.groups, self.outputs, self.channels = (
            list(range(n)) for n in (product.groups, product.outputs, product.channels)
        )
        axes = (range(product.batch), range(product.rows.positions), range(product.cols.positions))
        self.positions = list(itertools.product(*axes))
        self.taps = list(itertools.product(product.rows.taps, product.cols.taps))

    def real(self, position, tap):
        """Whether the tap meets data at the position, and no padding."""
        product = self.product
        for axis, at, offset in ((product.rows, position[1], tap[0]), (product.cols, position[2], tap[1])):
            index = at * axis.stride + offset
            if not 0 <= index < axis.extent or index % axis.hole:
                return False
        return True


def weight_stationary(product, rows, cols, datapath, swapped):
    """(folds, Counter of bits read by role, words written and read at the output) of one tile."""
    nest, read = Nest(product), Counter()
    slices = {"input": datapath.input_slices, "weight": datapath.weight_slices}
    unit_bits = {"input": datapath.input_unit_bits, "weight": datapath.weight_unit_bits}
    held, streamed = ("input", "weight") if swapped else ("weight", "input")
    folds, written, again, seen = 0, 0, 0, set()
    for group, (columns, reduction, tap) in itertools.product(nest.groups, _blocks(nest, rows, cols, swapped)):
        for _ in range(slices[held]):
            folds += 1
            stream = _stream(nest, swapped)
            # Held inputs may lie in the padding: in rows of positions for a weight gradient, else in columns of them.
            for row, column in itertools.product(reduction, columns):
                if not swapped or nest.real(row if product.writes_filter else column, tap):
                    read[held] += unit_bits[held]
            for item in stream:
                for row in reduction:
                    position, met = (row, tap) if product.writes_filter else (item, tap)
                    if product.writes_filter and not swapped:
                        met = item[1]
                    if (swapped and not product.writes_filter) or nest.real(position, met):
                        read[streamed] += slices[streamed] * unit_bits[streamed]
                for column in columns:
                    output = (group, column, item, tap if product.writes_filter and swapped else None)
                    written += 1
                    again += output in seen
                    seen.add(output)
    return folds, read, (written, again)


def _blocks(nest, rows, cols, swapped):
    """(columns, rows of the reduction, tap) of each fold; tap None where the stream has them."""
    if nest.product.writes_filter:
        columns, taps = (nest.channels, nest.taps) if swapped else (nest.outputs, [None])
        return list(itertools.product(chunks(columns, cols), chunks(nest.positions, rows), taps))
    columns = nest.positions if swapped else nest.outputs
    return list(itertools.product(chunks(columns, cols), chunks(nest.channels, rows), nest.taps))


def _stream(nest, swapped):
    if nest.product.writes_filter:
        return nest.outputs if swapped else list(itertools.product(nest.channels, nest.taps))
    return nest.outputs if swapped else nest.positions


def bit_serial(product, windows, cols, lanes, datapath, input_turns):
    """(steps, Counter of bits read by role, words written at the output) of one tile.

    input_turns: how often the bits of an input word pass in a step.
    """
    nest, read = Nest(product), Counter()
    input_bits, weight_bits = datapath.input_hw_bits, datapath.weight_hw_bits
    steps = written = 0
    if product.writes_filter:
        places, reduction = list(itertools.product(nest.channels, nest.taps)), chunks(nest.positions, lanes)
    else:
        places = nest.positions
        reduction = [(tap, chunk) for tap in nest.taps for chunk in chunks(nest.channels, lanes)]
    for _, filters, block in itertools.product(nest.groups, chunks(nest.outputs, cols), chunks(places, windows)):
        for part in reduction:
            steps += 1
            for place in block:
                if product.writes_filter:
                    words = sum(nest.real(position, place[1]) for position in part)
                else:
                    words = len(part[1]) * nest.real(place, part[0])
                read["input"] += words * input_bits * input_turns
            depth = len(part) if product.writes_filter else len(part[1])
            read["weight"] += depth * len(filters) * weight_bits
        written += len(filters) * len(block)
    return steps, read, written
