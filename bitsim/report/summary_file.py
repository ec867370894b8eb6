"""summary.json of a result folder as records: what a page needs of it, checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bitsim import strict_yaml
from bitsim.errors import InputError, refusal
from bitsim.simulation.metrics import Disagreement

Number = Annotated[float, Field(ge=0)]


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True)  # a folder may say more than a page shows


class MachineFacts(_Read):
    """Peaks of one machine."""

    clock_hz: Annotated[float, Field(gt=0)]
    memory_bits_per_s: Annotated[float, Field(gt=0)]
    memory_latency_s: Number
    peak_bit_products_per_cycle: Annotated[int, Field(gt=0)]


class RunSummary(_Read):
    """One machine in summary.json."""

    hardware: Annotated[str, Field(pattern=r"^[^/\\]+$")]  # its machine file is in the folder
    trace: str
    config_hash: str
    trace_hash: str
    overrides: dict[str, Any]
    timing: str
    choices: dict[str, str] = {}
    iterations: Annotated[int, Field(gt=0)]
    iteration_range: tuple[int, int]
    latency_s: Number
    energy_j: Number
    cycles: Annotated[int, Field(ge=0)]
    machine: MachineFacts
    conditions: dict[str, str]
    price_sources: dict[str, str]
    notes: tuple[str, ...]

    @property
    def latency_s_per_iteration(self) -> float:
        """Mean time of an iteration."""
        return self.latency_s / self.iterations

    @property
    def energy_j_per_iteration(self) -> float:
        """Mean energy of an iteration."""
        return self.energy_j / self.iterations


class Resizing(_Read):
    """How `compare --iso` brought one machine to the size of the baseline."""

    hardware: str
    mode: str
    rule: str
    changes: dict[str, Any]
    unit: str
    budget: float
    used: float
    left_over: float


class Metrics(BaseModel):
    """Metrics of one machine over its whole range, and their ratios to the baseline."""

    model_config = ConfigDict(frozen=True, extra="allow")

    hardware: str
    ratios: dict[str, Number]

    @property
    def values(self) -> dict[str, float]:
        """{metric: value}."""
        return {name: value for name, value in (self.model_extra or {}).items() if isinstance(value, int | float)}


class Summary(_Read):
    """summary.json."""

    bitsim: str
    runs: tuple[RunSummary, ...]
    baseline: str | None = None
    iso: tuple[Resizing, ...] = ()
    metrics: tuple[Metrics, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()


def read_summary(path: Path) -> Summary:
    """Read summary.json.  Raises InputError with every fault: what is wrong, and where."""
    text = strict_yaml.read_text(path)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    try:
        summary = Summary.model_validate(content)
    except ValidationError as error:
        listed = error.errors()[: strict_yaml.MAX_FAULTS]
        raise InputError([f"{path}: {'.'.join(map(str, item['loc']))}: {refusal(item)}" for item in listed]) from None
    names = [run.hardware for run in summary.runs]
    if not names or len(set(names)) < len(names):
        raise InputError(f"{path}: runs: {', '.join(names) or 'none'}; allowed: one or more, each machine once")
    if len({run.iteration_range for run in summary.runs}) > 1:
        raise InputError(f"{path}: runs: of different iterations, allowed: the same for all")
    return summary
