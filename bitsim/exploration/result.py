"""What a sweep returns: a table of points, the front of the best, what each parameter does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bitsim.errors import InputError, unknown_key
from bitsim.exploration.store import arrow_table

if TYPE_CHECKING:
    import pandas as pd

OBJECTIVES = ("latency_s", "energy_j")


@dataclass(frozen=True)
class Failure:
    """A point without a result: what it was, and why."""

    hardware: str
    trace: str
    overrides: Mapping[str, Any]
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        said = ", ".join(f"{key}={value}" for key, value in self.overrides.items()) or "as given"
        more = f" (and {len(self.reasons) - 1} more)" if len(self.reasons) > 1 else ""
        return f"{self.hardware} on {self.trace}, {said}: {self.reasons[0]}{more}"


@dataclass(frozen=True)
class Sweep:
    """Points that finished and meet the constraints, in the order of the grid.

    records: a mapping of columns each; keys: parameters that were varied; failures: points without a result;
    left_out: points that a constraint excludes, simulated or not; types: Arrow types of the parameters' columns.
    """

    records: tuple[Mapping[str, Any], ...] = field(repr=False)
    keys: tuple[str, ...]
    failures: tuple[Failure, ...]
    left_out: int
    types: Mapping[str, str] = field(repr=False)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a point: parameters by their key, hardware, trace, cycles, latency_s, energy_j and the rest."""
        return arrow_table(self.records, self.types).to_pandas()

    def pareto(self, *columns: str) -> pd.DataFrame:
        """The points of each trace that no other beats: less in one of `columns`, more in none.

        Default: latency_s and energy_j.  In ascending order of the first column.  InputError for unknown columns.
        """
        return self.frame.iloc[self.front(*columns)].reset_index(drop=True)

    def front(self, *columns: str) -> list[int]:
        """Places of the points of `pareto` in the table."""
        return front(self.records, columns or OBJECTIVES)

    def top(self, count: int, column: str = OBJECTIVES[0]) -> pd.DataFrame:
        """The `count` points with the least `column`, ties in the order of the grid.  InputError for an unknown one."""
        return self.frame.iloc[self.order(column)[:count]].reset_index(drop=True)

    def order(self, column: str) -> list[int]:
        """Places of all points that have a `column`, least first."""
        check_columns(self.records, [column])
        places = [place for place, record in enumerate(self.records) if record[column] is not None]
        return sorted(places, key=lambda place: self.records[place][column])

    def effects(self, *columns: str) -> pd.DataFrame:
        """What each parameter does to each of `columns` on its own.

        One row for each value of each parameter: pairs, and per column the geometric mean of its ratio to the point
        that differs in nothing but having the parameter's first value.  NaN where there is no such pair.
        """
        import pandas as pd

        return pd.DataFrame(self.effect_rows(*columns))

    def effect_rows(self, *columns: str) -> list[dict[str, Any]]:
        """The rows of `effects`."""
        return effects(self.records, self.parameters, columns or OBJECTIVES)

    @property
    def parameters(self) -> tuple[str, ...]:
        """What was varied, machines included, if there are several."""
        several = [name for name in ("hardware",) if len({record[name] for record in self.records}) > 1]
        return (*several, *self.keys)


def check_columns(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Raise InputError for columns that are none, or hold no numbers; where nothing ran a point lacks some (None)."""
    if not records:
        return
    numbers = [name for name in records[0] if all(isinstance(record[name], int | float | None) for record in records)]
    faults = [unknown_key(name, numbers).replace("unknown key", "not a column of numbers") for name in columns]
    faults = [fault for name, fault in zip(columns, faults, strict=True) if name not in numbers]
    if faults:
        raise InputError(faults)


def front(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[int]:
    """Places of the records no other of the same trace dominates, by the first column, then the next, then place.

    Those that lack one of the columns are left out.
    """
    check_columns(records, columns)
    found: list[int] = []
    traces = dict.fromkeys(record["trace"] for record in records)
    for trace in traces:
        of_trace = [i for i, record in enumerate(records) if record["trace"] == trace]
        places = [i for i in of_trace if all(records[i][c] is not None for c in columns)]
        costs = np.array([[float(records[i][c]) for c in columns] for i in places]).reshape(-1, len(columns))
        order = np.lexsort(costs.T[::-1])  # stable: what ties in all columns stays in order of place
        kept: list[int] = []
        for at in order.tolist():  # whoever dominates a point comes before it
            rivals = costs[kept]
            if not np.any(np.all(rivals <= costs[at], axis=1) & np.any(rivals < costs[at], axis=1)):
                kept.append(at)
        found += [places[at] for at in kept]
    return found


def effects(
    records: Sequence[Mapping[str, Any]], parameters: Sequence[str], columns: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows of `Sweep.effects`."""
    check_columns(records, columns)
    rows = []
    for key in parameters:
        others = [name for name in ("trace", "hardware", *parameters) if name != key]
        by_value: dict[Any, dict[tuple, Mapping[str, Any]]] = {}
        for record in records:
            if record[key] is not None:
                rest = tuple(record.get(name) for name in others)
                by_value.setdefault(record[key], {})[rest] = record
        first = next(iter(by_value.values()), {})
        for value, points in by_value.items():
            pairs = [(points[rest], first[rest]) for rest in points if rest in first]
            row = {"parameter": key, "value": value, "pairs": len(pairs)}
            for column in columns:
                both = [(one[column], base[column]) for one, base in pairs if base[column] and one[column] is not None]
                ratios = [float(one) / float(base) for one, base in both]
                row[column] = float(np.exp(np.mean(np.log(ratios)))) if ratios and min(ratios) > 0 else float("nan")
            rows.append(row)
    return rows
