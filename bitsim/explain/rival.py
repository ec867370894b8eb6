"""The next-best mapping, and why it lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitsim.accelerators.seam import DIMENSIONS
from bitsim.mapping.search import NEAR, Contender
from bitsim.workload import Product

MOVED = ("dram_read_bits", "dram_write_bits")


@dataclass(frozen=True)
class Rival:
    """A mapping that was timed exactly and not taken.

    more_*: what it has more of than the chosen one; more_cycles by class, classes that are equal left out.
    """

    orientation: str
    tile: dict[str, int]
    order: tuple[str, ...]
    cycles: int
    energy_pj: float
    more_cycles: dict[str, int]
    more_energy_pj: float
    more_dram_bits: int
    why: str


def distinct(product: Product, contenders: Sequence[Contender]) -> list[Contender]:
    """Those of `contenders` that run differently, in their order: a shortlist may hold a mapping more than once, also
    with loops of one trip in other places."""
    found: dict[tuple, Contender] = {}
    for one in contenders:
        mapping = one.timed.mapping
        trips = mapping.trips(product)
        loops = tuple(dimension for dimension in mapping.order if trips[dimension] > 1)
        found.setdefault((one.timed.orientation.name, mapping.tile, loops), one)
    return list(found.values())


def runner_up(contenders: Sequence[Contender], objective: str) -> Rival | None:
    """The second of `contenders`, which differ and stand in order of rank; None if there is one only."""
    if len(contenders) < 2:
        return None
    chosen, second = contenders[0], contenders[1]
    classes, others = chosen.timed.classes, second.timed.classes
    dram = [sum(c.timed.execution.counters[name] for name in MOVED) for c in (chosen, second)]
    return Rival(
        second.timed.orientation.name,
        dict(zip(DIMENSIONS, second.timed.mapping.tile, strict=True)),
        second.timed.mapping.order,
        second.timed.cycles,
        second.energy_pj,
        {name: others[name] - count for name, count in classes.items() if others[name] != count},
        second.energy_pj - chosen.energy_pj,
        dram[1] - dram[0],
        _why(contenders, objective),
    )


def _why(contenders: Sequence[Contender], objective: str) -> str:
    chosen, second = contenders[0], contenders[1]
    near = min(c.value for c in contenders) * (1 + NEAR)
    more_energy = second.energy_pj / chosen.energy_pj - 1
    more = second.value / chosen.value - 1
    if second.value > near:
        return f"{100 * more:.3g} % more {objective}" + _mostly(chosen, second)
    if more_energy > 0:
        return (
            f"both are within {100 * NEAR:g} % of the least {objective} found ({100 * more:+.2g} % against the chosen "
            f"one), and there the least energy decides: {100 * more_energy:.2g} % more"
        )
    both = objective if objective == "energy" else f"{objective} and energy"
    return f"it costs the same in {both}: the one found first is kept"


def _mostly(chosen: Contender, second: Contender) -> str:
    """The class of cycles that grows most, where any does."""
    grown = {name: second.timed.classes[name] - count for name, count in chosen.timed.classes.items()}
    name = max(grown, key=lambda c: grown[c])
    return f", mostly {name} cycles ({grown[name]:+,})" if grown[name] > 0 else ""
