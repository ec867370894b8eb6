"""`bitsim reproduce fractrain`: FracTrain's published totals (NeurIPS 2020, Table 2), taken apart.

A published total is a cost per iteration times a number of iterations.  Only the first is hardware's: the second is
how soon a method reached its accuracy.  Effective MACs per iteration follow from the widths alone, so the iterations
behind a row follow from its effective MACs.

Held: the networks' MACs; every row's effective MACs are those of no more than the iterations of a whole run, to 2 %
(one published row implies 64.9k of 64k); cp of the gated blocks; what FW6/BW8 saves.  Reported: energy and time (no
published configuration of the array gives the absolute values, and nothing here is fitted to them).

Assumptions
    - Effective MACs are nominal MACs x bits1 x bits2 / 1024 over the three products of all layers, the first layer's
      activation gradient included; DFQ sits exactly at its target cp, and its ungated layers count at cp as well:
      only so do the published rows follow from each other.
    - A row whose target rises (FracTrain) lies between the iterations its first and its last target imply.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bitsim.errors import InputError
from bitsim.networks import Network
from bitsim.networks.known import NAMES, known_network
from bitsim.reproduce.published_rows import Difference, given, number, shipped
from bitsim.schedules import Bits
from bitsim.strict_yaml import raise_faults

TABLE_FILE = "fractrain_cifar.csv"
PRODUCTS = 3  # of a training step: forward, activation gradient, weight gradient
# Settings of FracTrain's networks, an image (its code's count).
FORWARD_MACS = {"resnet38": 83_280_512, "resnet74": 168_215_168}
TOLERANCE = 0.02  # ResNet-74 on CIFAR-10 with SBM is 1.4 % beyond 64,000 iterations, unexplained
_REQUIRED = ("model", "dataset", "method", "precision", "effective_macs")
_OPTIONAL = ("energy_kj", "latency_min")
_STATIC = re.compile(r"FW([0-9]{1,2})/BW([0-9]{1,2})", re.ASCII)
_DYNAMIC = re.compile(r"cp=([0-9.]{1,6}(?:/[0-9.]{1,6})*)", re.ASCII)


@dataclass(frozen=True)
class PublishedRun:
    """One published row: totals of a run.

    cp_percent: least and greatest cost of an iteration, 100 = 32 x 32 bits.  energy_j, latency_s: None where blank.
    """

    name: str
    network: Network
    dataset: str
    method: str
    cp_percent: tuple[float, float]
    effective_macs: float
    energy_j: float | None
    latency_s: float | None

    @property
    def static(self) -> bool:
        """Whether every iteration costs the same."""
        return self.method not in ("DFQ", "FracTrain")

    @property
    def iterations(self) -> tuple[float, float]:
        """(least, most) iterations that the effective MACs are those of."""
        low, high = (iteration_macs(self.network) * cp / 100 for cp in self.cp_percent)
        return self.effective_macs / high, self.effective_macs / low

    def an_iteration(self, total: float | None) -> float | None:
        """A total as that of one iteration; None where that does not follow."""
        least, most = self.iterations
        return total / least if total is not None and least == most else None


def rows(path: Path | None = None) -> list[PublishedRun]:
    """Every row of the shipped file, or of a user's file in its format.  InputError naming line and column."""
    listed = given(path, _REQUIRED) if path else [(TABLE_FILE, cells) for cells in shipped(TABLE_FILE)]
    found: list[PublishedRun] = []
    faults: list[str] = []
    for where, cells in listed:
        try:
            found.append(_row(where if path else "", where, cells))
        except InputError as error:
            faults += error.faults
    raise_faults(path or TABLE_FILE, faults)
    return found


def differences(found: list[PublishedRun]) -> list[Difference]:
    """Rows whose effective MACs are more than a whole run of their network costs."""
    missed = []
    for row in found:
        least, _ = row.iterations
        if least > row.network.iterations * (1 + TOLERANCE):
            most = row.effective_macs * row.network.iterations / least
            missed.append(Difference(row.name, "effective_macs of a whole run", most, row.effective_macs))
    return missed


def network_differences() -> list[Difference]:
    """Networks whose MACs an image are not those of FracTrain's."""
    ours = {name: forward_macs(known_network(name)) for name in FORWARD_MACS}
    return [
        Difference(name, "MACs an image", ours[name], macs_)
        for name, macs_ in FORWARD_MACS.items()
        if ours[name] != macs_
    ]


def forward_macs(network: Network) -> int:
    """Nominal MACs of one sample's forward pass."""
    return sum(layer.macs(1) for layer in network.layers)


def iteration_macs(network: Network) -> int:
    """Nominal MACs of an iteration as the published rows count them."""
    return PRODUCTS * network.batch * forward_macs(network)


def _row(name: str, where: str, cells: Mapping[str, str]) -> PublishedRun:
    faults: list[str] = []
    model = (cells.get("model") or "").strip()
    known = model.lower().replace("-", "")
    if known not in NAMES or not known.startswith("resnet"):
        faults.append(f"{where}: model: {model[:40]!r}, allowed: a residual network, such as ResNet-38")
    cp_percent = _cost(cells.get("precision") or "")
    if cp_percent is None:
        faults.append(f"{where}: precision: {(cells.get('precision') or '')[:40]!r}, allowed: FW8/BW8, cp=3, cp=1.5/3")
    values: dict[str, float | None] = {}
    for column in ("effective_macs", *_OPTIONAL):
        text = (cells.get(column) or "").strip()
        values[column] = number(text) if text else None
        if (text and not (values[column] or 0) > 0) or (not text and column in _REQUIRED):
            faults.append(f"{where}: {column}: {text[:40]!r}, allowed: a number above 0")
    if faults:
        raise InputError(faults)
    assert cp_percent is not None
    method, dataset = ((cells.get(column) or "").strip() for column in ("method", "dataset"))
    energy, minutes = values["energy_kj"], values["latency_min"]
    return PublishedRun(
        " ".join(filter(None, (name, model, dataset, method))),
        known_network(known),
        dataset,
        method,
        cp_percent,
        float(values["effective_macs"] or 0),
        None if energy is None else energy * 1e3,
        None if minutes is None else minutes * 60,
    )


def _cost(precision: str) -> tuple[float, float] | None:
    """(least, greatest) cp of a precision cell, percent; None if it cannot be read."""
    if static := _STATIC.fullmatch(precision.strip()):
        forward, backward = (int(bits) for bits in static.groups())
        if not (1 <= forward <= 32 and 1 <= backward <= 32):
            return None
        cost = Bits(forward, forward, backward).cost_percent
        return cost, cost
    if dynamic := _DYNAMIC.fullmatch(precision.strip()):
        values = [number(text) for text in dynamic[1].split("/")]
        costs = [float(value) for value in values if value is not None and 0 < value <= 100]
        return (min(costs), max(costs)) if len(costs) == len(values) else None
    return None
