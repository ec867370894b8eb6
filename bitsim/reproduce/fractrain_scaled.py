"""Two scale factors from our static iteration to the published one: fitted, and labelled so wherever they are shown.

No published configuration of the array gives FracTrain's absolute energy and time.  Whether what is missing is a
common factor can be tested: fitted on one network, it must carry over to another.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bitsim.errors import InputError
from bitsim.networks.known import known_network
from bitsim.reproduce.fractrain import PublishedRun
from bitsim.reproduce.fractrain_costs import NETWORKS, static_cost


@dataclass(frozen=True)
class ScaledRow:
    """A network's static iteration, published and scaled."""

    network: str
    published_j: float
    published_s: float
    scaled_j: float
    scaled_s: float


@dataclass(frozen=True)
class Scaled:
    """Factors fitted on the first row."""

    energy_factor: float
    time_factor: float
    rows: tuple[ScaledRow, ...]


def scaled(listed: Sequence[PublishedRun]) -> Scaled:
    """Factors of the first network of NETWORKS, and all networks scaled by them.

    Published: the median over the static rows of a network.  InputError where a network has no such row.
    """
    published = {name: _published(name, listed) for name in NETWORKS}
    ours = {name: static_cost(name) for name in NETWORKS}
    first = NETWORKS[0]
    energy_factor = published[first][0] / ours[first].energy_j
    time_factor = published[first][1] / ours[first].latency_s
    rows = tuple(
        ScaledRow(name, *published[name], ours[name].energy_j * energy_factor, ours[name].latency_s * time_factor)
        for name in NETWORKS
    )
    return Scaled(energy_factor, time_factor, rows)


def _published(name: str, listed: Sequence[PublishedRun]) -> tuple[float, float]:
    """(J, s) of a static iteration."""
    title = known_network(name).title
    rows = [row for row in listed if row.network.title == title and row.static]
    energies = [joules for row in rows if (joules := row.an_iteration(row.energy_j)) is not None]
    times = [seconds for row in rows if (seconds := row.an_iteration(row.latency_s)) is not None]
    if not energies or not times:
        raise InputError(f"--scaled: no static run of {title} with energy and latency, needs one")
    return statistics.median(energies), statistics.median(times)
