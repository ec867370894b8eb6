"""Which pass of which layer to look at, and at which widths: by name and iteration, or as given."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from bitsim.errors import InputError
from bitsim.trace import SampleGroup, Trace
from bitsim.trace.run_file import MAX_BATCH
from bitsim.workload import FLOAT_BITS, Layer, Widths


@dataclass(frozen=True)
class Choice:
    """One occurrence: a pass of a layer over samples at widths.  iteration: where it was met; None for given widths."""

    layer: Layer
    pass_name: str
    samples: int
    widths: Widths
    iteration: int | None


def find_layer(layers: tuple[Layer, ...], name: str, pass_name: str) -> Layer:
    """The layer `name`, which has the pass.  InputError with the nearest names if there is no such one."""
    by_name = {layer.name: layer for layer in layers}
    if name not in by_name:
        raise InputError(f"--layer {name}: no such layer, {_nearest(name, list(by_name))}")
    passes = by_name[name].passes()
    if pass_name not in passes:
        raise InputError(f"--pass {pass_name}: layer {name} has no such pass, {_nearest(pass_name, list(passes))}")
    return by_name[name]


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    listed = ", ".join(known if len(known) <= 8 else [*known[:8], "..."])
    return (f"did you mean {' or '.join(near)}? allowed: " if near else "allowed: ") + listed


def in_iteration(trace: Trace, layer_name: str, pass_name: str, iteration: int | None) -> Choice:
    """The occurrence in `iteration`, by default the first the layer runs in; samples at the batch's greatest widths.

    Raises InputError for an unknown layer, pass or iteration, or where the layer did not run.
    """
    layer = find_layer(trace.layers, layer_name, pass_name)
    if iteration is not None and not 0 <= iteration < trace.run.iterations:
        raise InputError(f"--iteration {iteration}: allowed: 0 to {trace.run.iterations - 1}")
    tally = trace.whole if iteration is None else trace.tally(iteration, iteration + 1)
    index = trace.layers.index(layer)
    runs = [batch for batch in tally.batches() if batch.layer_index == index]
    if not runs:
        when = "in any iteration" if iteration is None else f"in iteration {iteration}"
        raise InputError(f"--layer {layer_name}: did not run {when}, allowed: an iteration it ran in, or --bits")
    first = min(runs, key=lambda batch: batch.first_start)
    return Choice(layer, pass_name, first.whole.samples, first.whole.widths, first.first_start)


def at_widths(trace: Trace, layer_name: str, pass_name: str, bits: str, samples: int | None) -> Choice:
    """An occurrence at widths ``A,W,G``: activation, weight and gradient bits; samples: by default the batch."""
    layer = find_layer(trace.layers, layer_name, pass_name)
    if not re.fullmatch(r"\d{1,2},\d{1,2},\d{1,2}", bits):
        raise InputError(f"--bits {bits}: allowed: activation, weight and gradient bits, e.g. 4,4,8")
    activation, weight, gradient = (int(text) for text in bits.split(","))
    if not all(1 <= width <= FLOAT_BITS for width in (activation, weight, gradient)):
        raise InputError(f"--bits {bits}: allowed: widths from 1 to 31, or 32 for float")
    count = trace.run.batch if samples is None else samples
    if not 1 <= count <= MAX_BATCH:
        raise InputError(f"--batch {count}: allowed: 1 to {MAX_BATCH}")
    group = SampleGroup(count, Widths(activation, weight, gradient, gradient, activation))
    return Choice(layer, pass_name, group.samples, group.widths, None)
