"""Passes without products: words that stream from memory through the vector unit and back.

Assumptions (docs/energy.md)
    - A tile is as many words as fit half the output buffer with all that is read for them; its load, its words
      through the unit (one a cycle and accumulator, `Accelerator.accumulators`) and its store go through the same
      port, ping-pong and classes as those of any product.
    - wgrad_accumulate: both weight gradients are read at the widths they were written at, added, and their sum
      is written (simulation.samples).
    - update: for each weight its gradient as it was written, its master copy and the states of the optimiser
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

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bitsim.accelerators.registry import Machine
from bitsim.accelerators.seam import OUTPUT, Accelerator, Datapath
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
from bitsim.workload import FORWARD, WGRAD, Layer, Product, Widths, lower

ACCUMULATE, UPDATE = "wgrad_accumulate", "update"
ELEMENTWISE, ELEMENTWISE_BACKWARD = "elementwise", "elementwise_backward"
ELEMENTWISE_RECOMPUTE = "elementwise_recompute"


@dataclass(frozen=True)
class Stream:
    """Words that stream: bits read and written for all of them, spread evenly, and what is done to them.

    For the result: input_bits, weight_bits, output_bits: widths of a word of both operands and of what is kept;
    accumulator_bits: of the adder; required_accumulator_bits: of sums whose number of products is known, else 0.
    """

    words: int
    read_bits: int
    write_bits: int
    input_bits: int
    weight_bits: int
    output_bits: int
    accumulator_bits: int
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


def sum_bits(accelerator: Accelerator, layer: Layer, samples: int, widths: Widths, partials: Iterable[int]) -> int:
    """Bits at which the weight gradient of a batch of `samples` is kept, its greatest widths given.

    partials: of the weight gradients it is summed from, none where it is written by one product.  The sum has more
    bits than any, but where a batch holds floats, which run narrower than some of its integers.
    Raises InputError where it fits no accumulator.
    """
    return max([_weight_gradient(accelerator, layer, samples, widths)[1].accumulator_bits, *partials])


def accumulation(
    accelerator: Accelerator, layer: Layer, samples: int, widths: Widths, read_bits: tuple[int, int], bits: int
) -> Stream:
    """A weight gradient added to the sum over a batch of `samples`.

    read_bits: of the sum so far and of what is added, as they were written; bits: of the sum, as it is written.
    """
    product, datapath, buffer = _weight_gradient(accelerator, layer, samples, widths)
    words = product.output_words
    return Stream(
        words,
        words * sum(read_bits),
        words * bits,
        *read_bits,
        output_bits=bits,
        accumulator_bits=bits,
        required_accumulator_bits=datapath.required_accumulator_bits,
        vector_counters={"vector_add_bits": words * bits},
        buffer=buffer,
    )


def update(
    accelerator: Accelerator, layer: Layer, samples: int, widths: Widths, gradient_bits: int, optimizer: Optimizer
) -> Stream:
    """The weights of `layer` updated once, after a batch of `samples`; gradient_bits: of dW, as it was written."""
    gradient, _, buffer = _weight_gradient(accelerator, layer, samples, widths)
    kept, words = accelerator.config.update, gradient.output_words
    (product,) = lower(layer, FORWARD, samples)
    weight_bits = accelerator.datapath(product, widths.activation_bits, widths.weight_bits, None).dram_bits[1]
    state_bits = kept.master_bits + optimizer.states * kept.state_bits
    return Stream(
        words,
        words * (gradient_bits + state_bits),
        words * (state_bits + weight_bits),
        input_bits=gradient_bits,
        weight_bits=kept.master_bits,
        output_bits=weight_bits,
        accumulator_bits=kept.master_bits,
        required_accumulator_bits=0,
        vector_counters={
            "vector_multiply_bits": words * optimizer.multiply_adds * kept.master_bits,
            "requantised_bits": words * kept.master_bits,
        },
        buffer=buffer,
    )


def elementwise(accelerator: Accelerator, layer: Layer, samples: int, widths: Widths, backward: bool) -> Stream:
    """What stands between the products of `layer` and the next: estimated, see the module."""
    config = accelerator.config
    (product,) = lower(layer, FORWARD, samples)
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
    return Stream(
        words,
        read_bits,
        words * kept_bits,
        input_bits=kept_bits,
        weight_bits=kept_bits,
        output_bits=kept_bits,
        accumulator_bits=config.accumulator.bits,
        required_accumulator_bits=0,
        vector_counters=counters,
        buffer=accelerator.orientations(product)[0].holds[OUTPUT],
    )


def _weight_gradient(
    accelerator: Accelerator, layer: Layer, samples: int, widths: Widths
) -> tuple[Product, Datapath, str]:
    """(product, what it runs at, buffer of its sums) of a layer's weight gradient."""
    (product,) = lower(layer, WGRAD, samples)
    buffer = accelerator.orientations(product)[0].holds[OUTPUT]
    return product, accelerator.datapath(product, *widths.operands(WGRAD)), buffer
