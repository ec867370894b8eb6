"""Recording any PyTorch training loop as a trace: shapes from what autograd runs, widths from the user.

Assumptions
    - A product of a module is a layer of the module's name.  Its second product in one step (a shared module,
      a second micro-batch) is NAME@2, and so on; one seen with other shapes or passes than before is NAME~2.
    - A pass is recorded if autograd ran it: what requires no gradient, or does not reach the loss, has none.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitsim.errors import InputError
from bitsim.record.products import with_passes
from bitsim.record.ranges import Precision, Ranges, groups_of
from bitsim.trace.reader import Trace
from bitsim.trace.writer import write_trace
from bitsim.workload import Layer

if TYPE_CHECKING:
    from torch import nn

_Place = tuple[str, int]  # base name, how many times it ran in this step before


class Recorder:
    """Records the products of `model` in each ``step`` and the precision each layer ran at.

    batch: samples of a whole step.  precision: asked at the end of each step for every layer that ran;
    returns (activation, weight, gradient[, weight gradient[, output]]) bits, 32 for float, or, where
    samples differ, pairs (samples, widths) that add up to the batch.  gate_group: name of the gate that
    decides for a layer, empty for none.
    """

    def __init__(
        self,
        model: nn.Module,
        batch: int,
        precision: Callable[[Layer], Precision],
        gate_group: Callable[[Layer], str] = lambda layer: "",
    ) -> None:
        self.model, self.batch = model, batch
        self._precision, self._gate_group = precision, gate_group
        self._ranges = Ranges()
        self._seen: dict[_Place, list[Layer]] = {}
        self._order: list[_Place] = []
        self._most_samples = batch
        self._unsupported: dict[str, str] = {}

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers so far, in the order they run, named as in the module tree."""
        return tuple(layer for place in self._order for layer in self._seen[place])

    @contextmanager
    def step(self, samples: int | None = None) -> Iterator[None]:
        """One training step: forward and backward run inside; samples: of this step, default `batch`.

        A step that raises is not recorded.  InputError for gradients of gradients, and for a precision
        that does not fit the layer.
        """
        from bitsim.record.watch import Watch

        watch = Watch(self.model, samples or self.batch)
        with watch.modules_named(), watch:
            yield
        calls = watch.finish()
        self._unsupported |= watch.unsupported
        counts: Counter[str] = Counter()
        groups = {}
        before: _Place | None = None
        for call in calls:
            place = (call.name, counts[call.name])
            counts[call.name] += 1
            shape = with_passes(call.product.layer, frozenset(call.gradients), call.recomputes)
            layer = self._known(place, before, shape)
            groups[layer.name] = groups_of(layer, call.product.samples, self._precision(layer))
            self._most_samples = max(self._most_samples, call.product.samples)
            before = place
        self._ranges.add(groups)

    def save(
        self, folder: str | Path, *, dataset: str, skip_unsupported: bool = False, compress: bool = False, **run: Any
    ) -> Trace:
        """Write the trace to `folder`, which must not exist.

        run: further keys of run.yaml (loss, accuracy, seed, ...).  compress: write precision.csv.gz.
        InputError if no step ran a product, or some product cannot be said as a layer; skip_unsupported
        leaves those out and names them in `source`.
        """
        import torch

        if not self.layers:
            raise InputError(f"{folder}: no products were recorded, allowed: training inside `with recorder.step():`")
        left_out = [f"{name} ({op})" for name, op in self._unsupported.items()]
        if left_out and not skip_unsupported:
            raise InputError(
                [f"{what}: cannot be said as a layer of a trace, allowed: skip_unsupported=True" for what in left_out]
            )
        source = str(run.pop("source", "recorded with bitsim.record"))
        given = {
            "schema": 1,
            "name": Path(folder).name,
            "model": type(self.model).__name__,
            "dataset": dataset,
            "batch": self._most_samples,
            "iterations": self._ranges.steps,
            "source": source + (f"; left out: {', '.join(left_out)}" if left_out else ""),
            "synthetic": False,
            "versions": {"torch": str(torch.__version__), "python": platform.python_version()},
        }
        rows = self._ranges.rows(self.layers, self._most_samples)
        return write_trace(folder, given | run, self.layers, rows, compress)

    def _known(self, place: _Place, before: _Place | None, shape: Layer) -> Layer:
        """The layer at `place` with the shape and passes of `shape`, new or seen before."""
        if place not in self._seen:
            self._seen[place] = []
            self._order.insert(self._order.index(before) + 1 if before else 0, place)
        base, earlier = place
        layers = self._seen[place]
        for layer in layers:
            if replace(layer, name="", gate_group="") == shape:
                return layer
        name = base + (f"@{earlier + 1}" if earlier else "") + (f"~{len(layers) + 1}" if layers else "")
        layer = replace(shape, name=name)
        layers.append(replace(layer, gate_group=self._gate_group(layer)))
        return layers[-1]
