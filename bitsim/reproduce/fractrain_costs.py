"""What FracTrain's methods cost an iteration on our machine: the half of its savings that is hardware's.

What is not published is varied, one choice at a time: what gates choose (the mixture), whether groups of equal widths
run together or every sample alone, the bits of layers outside the gates, how a strided activation gradient is lowered,
and how lanes are packed.  The spread of the ratios is the band; no choice was made to meet a published number.

Assumptions
    - One iteration of a synthetic trace at FracTrain's settings (batch 128) stands for all.
    - Energy has the components the machine has prices for, at the default objective (fewest cycles).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from bitsim.accelerators.registry import load_hardware
from bitsim.networks import Network
from bitsim.networks.known import known_network
from bitsim.reproduce.published_rows import Difference
from bitsim.schedules import STATIC, Bits
from bitsim.schedules.dynamic import CIFAR_CANDIDATES, CIFAR_TARGET, CIFAR_TARGETS
from bitsim.schedules.progressive import LADDER
from bitsim.simulation.result import Result
from bitsim.simulation.run import simulate
from bitsim.synthetic.make import make_trace
from bitsim.synthetic.schedule import ScheduleOptions, make_plan

MACHINE = "bitfusion_16x32_192b"
NETWORKS = ("resnet38", "resnet74")
STATIC_BITS = STATIC["sbm-fw8bw8"]
SIX_BITS = Bits(6, 6, 8)


@dataclass(frozen=True)
class Choice:
    """How DFQ runs where it was not published.

    what: in words; mixture: of candidates; samples: policy; rest: bits outside the gates, None: float;
    keys: of the machine, of the static run as well.
    """

    what: str
    mixture: str = "neighbours"
    samples: str = "group"
    rest: Bits | None = None
    keys: Mapping[str, str] = field(default_factory=dict)


CHOICES = (
    Choice("two candidates next to the target; groups of equal widths; first layer, shortcuts, classifier in float"),
    Choice("all candidates, in the proportions of greatest entropy", mixture="spread"),
    Choice("every sample alone", samples="one-by-one"),
    Choice("layers outside the gates at 8 bits", rest=STATIC_BITS),
    Choice("all candidates, layers outside the gates at 8 bits", mixture="spread", rest=STATIC_BITS),
    Choice("activation gradients with zeros inserted", keys={"dgrad": "zero-inserted"}),
    Choice("lanes flattened over the kernel", keys={"lane_packing": "flattened"}),
)


@dataclass(frozen=True)
class IterationCost:
    """One training iteration: effective MACs of all layers and of the gated blocks, seconds, joules."""

    effective_macs: float
    gated_effective_macs: float
    latency_s: float
    energy_j: float


def static_cost(network: str, bits: Bits = STATIC_BITS, keys: Mapping[str, str] | None = None) -> IterationCost:
    """All convolutions at `bits`, the classifier in float."""
    return _cost(network, "static", ScheduleOptions(bits=bits), "batch-max", None, tuple((keys or {}).items()))


def dynamic_cost(network: str, choice: Choice = CHOICES[0], target: float = CIFAR_TARGET) -> IterationCost:
    """DFQ at a target cp, percent."""
    options = ScheduleOptions(target=(target,), mixture=choice.mixture)
    return _cost(network, "dfq", options, choice.samples, choice.rest, tuple(choice.keys.items()))


@dataclass(frozen=True)
class Ratio:
    """A method's iteration over a static FW8/BW8 one."""

    what: str
    effective_macs: float
    gated_effective_macs: float
    latency: float
    energy: float


def ratio(what: str, cost: IterationCost, static: IterationCost) -> Ratio:
    """`cost` over `static`."""
    return Ratio(
        what,
        cost.effective_macs / static.effective_macs,
        cost.gated_effective_macs / static.gated_effective_macs,
        cost.latency_s / static.latency_s,
        cost.energy_j / static.energy_j,
    )


def dynamic_ratios(network: str) -> list[Ratio]:
    """DFQ over static, one for each of CHOICES."""
    return [
        ratio(choice.what, dynamic_cost(network, choice), static_cost(network, keys=choice.keys)) for choice in CHOICES
    ]


def stage_ratios(network: str) -> list[Ratio]:
    """Stages of PFQ and of FracTrain, then FW6/BW8, over static."""
    static = static_cost(network)
    listed = [ratio(f"PFQ {bits}", static_cost(network, bits), static) for bits in LADDER]
    listed += [ratio(f"FracTrain cp {cp:g} %", dynamic_cost(network, target=cp), static) for cp in CIFAR_TARGETS]
    return [*listed, ratio("FW6/BW8", static_cost(network, SIX_BITS), static)]


def cost_differences(network: str) -> list[Difference]:
    """What follows from widths alone: cp of static and dynamic blocks, and what six bits save."""
    static, six, dynamic = static_cost(network), static_cost(network, SIX_BITS), dynamic_cost(network)
    # The mixture meets the target from below, as nearly as one sample's step to the next candidate.
    costs = sorted(bits.cost_percent for bits in CIFAR_CANDIDATES)
    batch = known_network(network).batch
    step = max(b - a for a, b in pairwise(costs)) / batch
    cp_percent = STATIC_BITS.cost_percent * dynamic.gated_effective_macs / static.gated_effective_macs
    found = []
    if not CIFAR_TARGET - step <= cp_percent <= CIFAR_TARGET * (1 + 1e-12):
        found.append(Difference(network, "cp of DFQ's blocks, percent", cp_percent, CIFAR_TARGET))
    ours = six.gated_effective_macs / static.gated_effective_macs
    published = SIX_BITS.cost_percent / STATIC_BITS.cost_percent
    if abs(ours - published) > 1e-12:
        found.append(Difference(network, "effective MACs of FW6/BW8 over FW8/BW8", ours, published))
    return found


@lru_cache(maxsize=256)
def _cost(
    name: str, schedule: str, options: ScheduleOptions, samples: str, rest: Bits | None, keys: tuple
) -> IterationCost:
    network = known_network(name)
    plan = make_plan(schedule, options, network, network.batch, 1, None)
    if rest is not None:
        plan = replace(plan, rest=rest)
    with tempfile.TemporaryDirectory() as folder:
        trace = make_trace(Path(folder) / name, network, plan, network.batch, 1)
        return _measured(network, simulate(trace, load_hardware(MACHINE, dict(keys)), samples=samples))


def _measured(network: Network, result: Result) -> IterationCost:
    gated = {layer.name for layer in network.layers if layer.gate_group}
    blocks = sum(row["effective_macs"] * row["occurrences"] for row in result.distinct() if row["layer"] in gated)
    totals = result.totals
    return IterationCost(totals["effective_macs"], blocks, totals["latency_s"], totals["energy_j"])
