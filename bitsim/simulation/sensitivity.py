"""Which constants a verdict turns on: who is faster, spends less energy, has the lower energy-delay product.

Assumptions
    - Constants are tried one at a time, the others as given.
    - Prices change no mapping here (see price_scale); a key that changes time is simulated anew.
    - Better, equal and worse are those of `metrics`: a verdict flips where it becomes another of the three.  Ratios are
      quotients of two functions linear in a factor, so they rise or fall throughout, and halving finds the one place
      from which on a verdict is what it is at the end of the range.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bitsim.accelerators.registry import Machine, load_hardware
from bitsim.energy import PriceList
from bitsim.errors import InputError
from bitsim.simulation.constants import Continuous, Discrete, constants_of
from bitsim.simulation.metrics import verdict
from bitsim.simulation.price_scale import NOMINAL, PriceScale, energy_j, repriced_j
from bitsim.simulation.result import Result

METRICS = ("time", "energy", "EDP")
HALVINGS = 60  # to the last bits of a float

Ratios = dict[str, dict[str, float]]  # {machine: {metric: baseline over machine}}


@dataclass(frozen=True)
class Trial:
    """Ratios of all machines at one value of a constant (a factor, or the value of a key)."""

    value: float | str
    ratios: Ratios


@dataclass(frozen=True)
class Flip:
    """A verdict that becomes another: from which value of the constant on."""

    constant: str
    hardware: str
    metric: str
    value: float | str
    before: str
    after: str


@dataclass(frozen=True)
class Tried:
    """A constant, the trials over its range and the verdicts that flip in it; left_out: values without a price."""

    constant: Continuous | Discrete
    trials: tuple[Trial, ...]
    flips: tuple[Flip, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sensitivity:
    """Verdicts against `baseline` as given, and under each constant."""

    baseline: str
    nominal: Ratios
    tried: tuple[Tried, ...]

    @property
    def flips(self) -> tuple[Flip, ...]:
        """All verdicts that flip, constant by constant."""
        return tuple(flip for one in self.tried for flip in one.flips)

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {"baseline": self.baseline, "nominal": self.nominal, "constants": [asdict(one) for one in self.tried]}


def sensitivity(results: Sequence[Result], baseline: str, again: Callable[[Machine], Result]) -> Sensitivity:
    """Verdicts of `results` against the one of machine `baseline`, over the ranges of `constants_of`.

    again: simulates a machine as the results were.  InputError for results of a published closed-form model, whose
    prices are its own.
    """
    faults = [f"--sensitivity: {r.machine.name}: the published model has prices of its own" for r in results]
    if any(result.analytical for result in results):
        raise InputError([f"{fault}, allowed: --timing collapsed" for fault in faults])
    continuous, discrete = constants_of(results)
    nominal = _ratios(results, [energy_j(result) for result in results], baseline)
    tried = [_over_range(results, baseline, nominal, one) for one in continuous]
    tried += [_over_values(results, baseline, nominal, one, again) for one in discrete]
    return Sensitivity(baseline, nominal, tuple(tried))


def ratios_at(results: Sequence[Result], baseline: str, constant: Continuous, factor: float) -> Ratios:
    """Ratios with the prices of a constant scaled by `factor`."""
    scale = PriceScale(**{constant.group: factor})
    scales = [scale if constant.hardware in (None, r.machine.name) else NOMINAL for r in results]
    return _ratios(results, [energy_j(r, s) for r, s in zip(results, scales, strict=True)], baseline)


def _over_range(results: Sequence[Result], baseline: str, nominal: Ratios, constant: Continuous) -> Tried:
    ends = [Trial(factor, ratios_at(results, baseline, constant, factor)) for factor in (constant.low, constant.high)]
    flips = []
    for end in ends:
        for hardware, metric, before, after in _changes(nominal, end.ratios):

            def said(factor: float, hardware: str = hardware, metric: str = metric) -> str:
                return verdict(ratios_at(results, baseline, constant, factor)[hardware][metric])

            assert isinstance(end.value, float)
            value = _first(said, after, end.value)
            flips.append(Flip(constant.label, hardware, metric, value, before, after))
    return Tried(constant, tuple(ends), tuple(flips))


def _first(said: Callable[[float], str], wanted: str, end: float) -> float:
    """The factor nearest to 1, on the way to `end`, at which `said` is what it is at the end."""
    near, far = 1.0, end
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        if said(middle) == wanted:
            far = middle
        else:
            near = middle
    return far


def _over_values(
    results: Sequence[Result], baseline: str, nominal: Ratios, constant: Discrete, again: Callable[[Machine], Result]
) -> Tried:
    trials, flips, left_out = [], [], []
    for value in constant.values:
        try:
            trial = Trial(value, _with_key(results, baseline, constant, value, again))
        except InputError as error:
            left_out.append(f"{value}: {error.faults[0]}")
            continue
        trials.append(trial)
        flips += [Flip(constant.label, h, m, value, *change) for h, m, *change in _changes(nominal, trial.ratios)]
    return Tried(constant, tuple(trials), tuple(flips), tuple(left_out))


def _with_key(
    results: Sequence[Result], baseline: str, constant: Discrete, value: str, again: Callable[[Machine], Result]
) -> Ratios:
    changed = [_changed(result.machine, constant.key, value) for result in results]
    if constant.retimed:
        simulated = [r if m is r.machine else again(m) for r, m in zip(results, changed, strict=True)]
        return _ratios(simulated, [energy_j(result) for result in simulated], baseline)
    prices = [PriceList(machine) for machine in changed]
    return _ratios(results, [repriced_j(r, p) for r, p in zip(results, prices, strict=True)], baseline)


def _changed(machine: Machine, key: str, value: str) -> Machine:
    """`machine` with a key set; itself if it has none of that name, or has that value."""
    now: Any = machine.accelerator.config
    for part in key.split("."):
        now = getattr(now, part, None)
    if now is None or now == value:
        return machine
    return load_hardware(machine.source.path, machine.source.overrides | {key: value})


def _changes(nominal: Ratios, ratios: Ratios) -> list[tuple[str, str, str, str]]:
    """(machine, metric, verdict before, after) where they differ."""
    said = [(h, m, verdict(nominal[h][m]), verdict(ratios[h][m])) for h in nominal for m in METRICS]
    return [change for change in said if change[2] != change[3]]


def _ratios(results: Sequence[Result], energies_j: Sequence[float], baseline: str) -> Ratios:
    figures = {}
    for result, joules in zip(results, energies_j, strict=True):
        seconds = float(result.totals["latency_s"])
        figures[result.machine.name] = {"time": seconds, "energy": joules, "EDP": seconds * joules}
    base = figures.pop(baseline)
    return {name: {metric: base[metric] / own[metric] for metric in METRICS} for name, own in figures.items()}
