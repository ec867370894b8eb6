"""The network of an existing trace, to be run under another schedule."""

from __future__ import annotations

from bitsim.networks.network import Network
from bitsim.trace.reader import Trace
from bitsim.workload import FLOAT_BITS


def trace_network(trace: Trace) -> Network:
    """Layers, batch and iterations of `trace`; layers that were float throughout stay float."""
    quantised = {
        demand.layer_index
        for demand in trace.groups()
        for widths in (demand.group.widths,)
        if min(widths.activation_bits, widths.weight_bits, widths.gradient_bits) < FLOAT_BITS
    }
    run = trace.run
    return Network(
        run.model,
        run.dataset,
        trace.layers,
        frozenset(layer.name for i, layer in enumerate(trace.layers) if i not in quantised),
        run.batch,
        run.iterations,
        run.iterations_per_epoch,
        f"layers, batch and iterations of the trace {trace.name}",
    )
