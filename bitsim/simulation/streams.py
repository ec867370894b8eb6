"""Passes without products: words that stream from memory through the vector unit and back.

Assumptions (docs/energy.md)
    - A tile is as many words as fit half the output buffer with all that is read for them; its load, its words
      through the unit (one a cycle and accumulator, `Accelerator.accumulators`) and its store go through the same
      port, ping-pong and classes as those of any product.
    - update: for each weight its gradient at accumulator width, its master copy and the states of the optimiser
      are read; master copy and states are written, and the weight once more as the products read it.
    - elementwise, elementwise_backward: no trace lists what stands between products, so it is estimated from a
      layer's output.  A convolution is followed by BatchNorm with ReLU: forward reads it for the statistics, then
      again to normalise, and writes it; backward reads it and its gradient for two sums, then both again, and
      writes the gradient.  Every `elementwise.convolutions_per_residual` of them share an addition, which reads
      one tensor more each way.  A linear layer or attention product is followed by a function of each word:
      one read and one write forward, two reads and one write backward.  Pooling and losses are left out.
    - elementwise_recompute: where activation checkpointing runs a forward product again, in the backward pass, it
      runs what stands behind it again too: the same words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bitsim.accelerators.registry import Machine
from bitsim.accelerators.seam import OUTPUT, Accelerator
from bitsim.kernels.program import (
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
from bitsim.mapping.program import beats
from bitsim.simulation.optimizer import Optimizer
from bitsim.workload import FORWARD, WGRAD, Layer, Widths, lower

ACCUMULATE, UPDATE = "wgrad_accumulate", "update"
ELEMENTWISE, ELEMENTWISE_BACKWARD = "elementwise", "elementwise_backward"
ELEMENTWISE_RECOMPUTE = "elementwise_recompute"


@dataclass(frozen=True)
class Stream:
    """Words that stream: bits read and written for all of them, spread evenly, and what is done to them.

    output_bits: width of a word as it is kept, for the result; required_accumulator_bits: of the sums in it.
    """

    words: int
    read_bits: int
    write_bits: int
    output_bits: int
    required_accumulator_bits: int
    vector_counters: dict[str, int]
    buffer: str

    def program(self, machine: Machine) -> tuple[Nest, int, dict[str, int]]:
        """(tile program, tiles, counters) on `machine`."""
        half_bits = next(b.capacity_bits // b.halves for b in machine.accelerator.buffers() if b.name == self.buffer)
        most_bits = -(-max(self.read_bits, self.write_bits) // self.words)  # of a word
        chunk = min(self.words, max(1, half_bits // most_bits))
        full, rest = divmod(self.words - 1, chunk)  # tiles of a whole chunk before the last, words of the last - 1
        runs = [n for n in (min(full, 1), full - 1, 1) if n > 0]
        sizes = np.full(len(runs), chunk, np.int64)
        sizes[-1] = rest + 1
        rows = np.zeros((len(runs), COLUMNS), np.int64)
        rows[:, PSUM_BEATS] = beats(self._share(self.read_bits, sizes), machine.rate, full + 1)
        rows[:, STORE_BEATS] = beats(self._share(self.write_bits, sizes), machine.rate, full + 1)
        rows[:, ISSUE] = -(-sizes // machine.accelerator.accumulators)
        rows[:, DRAIN] = 1
        rows[:, FLAGS] = NEW_OUTPUT + STORE
        rows[0, FLAGS] |= SWITCH
        moved = self.read_bits + self.write_bits
        counters = {
            "dram_read_bits": self.read_bits,
            "dram_write_bits": self.write_bits,
            # In by the load, out to the unit; in from the unit, out to the store.
            f"{self.buffer}_read_bits": moved,
            f"{self.buffer}_write_bits": moved,
            **self.vector_counters,
        }
        return Nest(rows, runs_table([runs])), full + 1, counters

    def _share(self, bits: int, sizes: np.ndarray) -> np.ndarray:
        """Of `bits` what tiles of `sizes` words move, rounded up."""
        return np.array([-(-bits * size // self.words) for size in sizes.tolist()], np.int64)


def accumulation(accelerator: Accelerator, layer: Layer, samples: int, widths: Widths) -> Stream:
    """One group's weight gradient added to the sum of the groups before: both at accumulator width."""
    words, bits, required, buffer = _weight_gradient(accelerator, layer, samples, widths)
    return Stream(words, 2 * words * bits, words * bits, bits, required, {"vector_add_bits": words * bits}, buffer)


def update(accelerator: Accelerator, layer: Layer, samples: int, widths: Widths, optimizer: Optimizer) -> Stream:
    """The weights of `layer` updated once, after a batch of `samples`."""
    words, gradient_bits, required, buffer = _weight_gradient(accelerator, layer, samples, widths)
    kept = accelerator.config.update
    (product,) = lower(layer, FORWARD, samples)
    weight_bits = accelerator.datapath(product, widths.activation_bits, widths.weight_bits, None).dram_bits[1]
    state_bits = kept.master_bits + optimizer.states * kept.state_bits
    counters = {
        "vector_multiply_bits": words * optimizer.multiply_adds * kept.master_bits,
        "requantised_bits": words * kept.master_bits,
    }
    read_bits, write_bits = words * (gradient_bits + state_bits), words * (state_bits + weight_bits)
    return Stream(words, read_bits, write_bits, weight_bits, required, counters, buffer)


def elementwise(accelerator: Accelerator, layer: Layer, samples: int, widths: Widths, backward: bool) -> Stream:
    """What stands between the products of `layer` and the next: estimated, see the module."""
    config = accelerator.config
    (product,) = lower(layer, FORWARD, samples)
    datapath = accelerator.datapath(product, widths.activation_bits, widths.weight_bits, widths.output_bits)
    words, value_bits = product.output_words, accelerator.stored_bits(widths.output_bits)
    gradient_bits = accelerator.stored_bits(widths.gradient_bits)
    normalised = layer.kind == "conv"
    per_residual = config.elementwise.convolutions_per_residual
    residual_words = -(-words // per_residual) if normalised and per_residual else 0
    sweeps = 2 if normalised else 1  # the first for sums over the batch
    kept_bits = gradient_bits if backward else value_bits
    read_bits = sweeps * words * (gradient_bits + value_bits if backward else value_bits) + residual_words * kept_bits
    # Of a word: square or product for the sums, and a multiply-add (backward two) to normalise; else one.
    multiplies = (3 if backward else 2) if normalised else 1
    adds = (2 if backward else 1) * words * (1 if normalised else 0) + residual_words
    counters = {
        "vector_multiply_bits": words * multiplies * config.accumulator.bits,
        "vector_add_bits": adds * config.accumulator.bits,
        "requantised_bits": words * config.accumulator.bits,
    }
    buffer = accelerator.orientations(product)[0].holds[OUTPUT]
    required = datapath.required_accumulator_bits
    return Stream(words, read_bits, words * kept_bits, kept_bits, required, counters, buffer)


def _weight_gradient(accelerator: Accelerator, layer: Layer, samples: int, widths: Widths) -> tuple[int, int, int, str]:
    """(words, bits of a word, bits it needs, buffer of its sums) of a layer's weight gradient."""
    (product,) = lower(layer, WGRAD, samples)
    input_bits, weight_bits, _ = widths.operands(WGRAD)
    datapath = accelerator.datapath(product, input_bits, weight_bits, None)
    buffer = accelerator.orientations(product)[0].holds[OUTPUT]
    return product.output_words, datapath.accumulator_bits, datapath.required_accumulator_bits, buffer
