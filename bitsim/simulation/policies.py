"""The three ways to run samples of different widths side by side: time, energy, utilisation, and the wait for gates.

Assumptions
    - Needed bit products are those of each sample at its own widths, as the hardware rounds them: what `group` and
      `one-by-one` run.  Their share of the peak over all cycles is the same measure for every policy; what batch-max
      runs beyond them is its loss by width, the rest of the loss is idle hardware.
    - A gate decides from the input of the block that follows it, so that the block's first product cannot begin
      before the gate's last forward product ends: the array waits as long as these take.  Its own products are the
      layers of the trace with a part `gate` in their name (`gate.lstm@2`).  Pooling, softmax and the choice itself
      are no products and are left out, as everywhere.
    - batch-max needs the choices of all samples (for the greatest), and so does group (to sort them); a batch waits
      once a block.  one-by-one would need one sample's choice only, but waits for each: gates run sample by sample.
"""

from __future__ import annotations

import re
from typing import Any

from bitsim.accelerators.registry import Machine
from bitsim.simulation.result import Result
from bitsim.simulation.run import simulate
from bitsim.simulation.samples import GROUP, SAMPLE_POLICIES
from bitsim.simulation.streams import ACCUMULATE
from bitsim.trace import Trace
from bitsim.workload import FORWARD

_GATE = re.compile(r"(?:^|\.)gate(?:[.@]|$)")


def compare_policies(trace: Trace, machine: Machine, **choices: Any) -> list[dict[str, Any]]:
    """One record a policy; choices: of `simulate` but samples.

    samples: the policy; means of an iteration are named so, like those of `Result.summary`: cycles, latency_s,
    energy_j, dram_bits, accumulate_cycles (between groups) and gate_wait_cycles (forward products of gates, None if the
    trace has none); utilisation: bit products run over the peak; needed_utilisation: those needed over the peak;
    speedup and energy_ratio: batch-max over the policy.
    Raises InputError as `simulate` does.
    """
    results = {policy: simulate(trace, machine, samples=policy, **choices) for policy in SAMPLE_POLICIES}
    needed = bit_products(results[GROUP])
    gates = {layer.name for layer in trace.layers if _GATE.search(layer.name)}
    records = [_record(policy, result, needed, gates) for policy, result in results.items()]
    for record in records:
        for ratio, cost in (("speedup", "cycles_per_iteration"), ("energy_ratio", "energy_j_per_iteration")):
            record[ratio] = records[0][cost] / record[cost] if record[cost] else None
    return [{"hardware": machine.name, "trace": trace.name} | record for record in records]


def bit_products(result: Result) -> int:
    """MACs times the bits the hardware ran them at, over the whole range."""
    return sum(
        record["macs"] * record["input_hw_bits"] * record["weight_hw_bits"] * record["occurrences"] * count
        for record in result.distinct()
        for count in (record["iterations"],)
    )


def _record(policy: str, result: Result, needed: int, gates: set[str]) -> dict[str, Any]:
    totals, iterations = result.totals, result.iterations
    peak = totals["cycles"] * result.machine.accelerator.peak_bit_products_per_cycle
    accumulate = waits = 0
    for record in result.distinct():
        cycles = record["cycles"] * record["occurrences"] * record["iterations"]
        if record["pass"] == ACCUMULATE:
            accumulate += cycles
        elif record["pass"] == FORWARD and record["layer"] in gates:
            waits += cycles
    return {
        "samples": policy,
        "cycles_per_iteration": totals["cycles"] / iterations,
        "latency_s_per_iteration": totals["latency_s"] / iterations,
        "energy_j_per_iteration": totals["energy_j"] / iterations,
        "dram_bits_per_iteration": (totals["dram_read_bits"] + totals["dram_write_bits"]) / iterations,
        "utilisation": bit_products(result) / peak if peak else None,
        "needed_utilisation": needed / peak if peak else None,
        "accumulate_cycles_per_iteration": accumulate / iterations,
        "gate_wait_cycles_per_iteration": waits / iterations if gates else None,
    }
