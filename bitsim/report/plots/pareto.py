"""Points of a sweep in two of its columns, and the front: the points that no other point beats in both.

Both columns are better when smaller.  A front is of one trace over all machines, as a designer would choose.
Points without a number in either column (those that failed) are not drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitsim.errors import InputError, unknown_key
from bitsim.report.picture import COLOURS, DASHES, MARKERS, column_figure
from bitsim.report.plots.runs import fitting

if TYPE_CHECKING:
    import pandas as pd

TABLE = "sweep.parquet"
PANEL_MM, LEGEND_ROW_MM = 56.0, 3.2
# An axis over which points spread wider than this is logarithmic.
LINEAR_SPREAD = 10.0
MOST_CHARACTERS = 60  # of a name in the legend
MOST_LABELS, LABEL_POINTS = 12, 5.0  # a front of more points is drawn without their values
KEYS, VALUES = "keys of the point", "values of the point"
# Column, its unit in base units, and what it is called on an axis.
WORDS = {"latency": "latency", "energy": "energy", "area": "area", "edp": "energy x delay"}
UNITS = {"_s": "s", "_j": "J", "_mm2": "mm²", "_js": "Js", "_pj": "pJ", "_bits": "bits", "_cycles": "cycles"}


def pareto_figure(folders: Sequence[Path], columns: str) -> Any:
    """A figure of all points of the sweeps in `folders`, coloured by machine, with a front a trace.

    columns: two names, separated by a comma.  InputError naming files and columns that are missing.
    """
    across, up = _names(columns)
    points = read_points(folders, across, up)
    keys = tuple(dict.fromkeys(key for of_point in points[KEYS] for key in of_point))
    machines = list(dict.fromkeys(points["hardware"]))
    traces = list(dict.fromkeys(points["trace"]))
    figure = column_figure(PANEL_MM + LEGEND_ROW_MM * (len(machines) + len(traces)))
    axes = figure.subplots()
    axes.margins(0.15)  # room for the values beside the outermost points
    for i, name in enumerate(machines):
        mine = points[points["hardware"] == name]
        axes.scatter(
            mine[across],
            mine[up],
            s=12,
            marker=MARKERS[i % len(MARKERS)],
            facecolor=(COLOURS[i % len(COLOURS)], 0.35),
            edgecolor=COLOURS[i % len(COLOURS)],
            linewidth=0.6,
            label=fitting(name, MOST_CHARACTERS),
            zorder=2,
        )
    for i, trace in enumerate(traces):
        best = front(points[points["trace"] == trace], across, up)
        label = "front" if len(traces) == 1 else f"front, {trace}"
        if keys and len(best) <= MOST_LABELS:
            label += f": {', '.join(keys)}"
            for x, y, values in zip(best[across], best[up], best[VALUES], strict=True):
                # Below and to the left of a front there are no points.
                axes.annotate(
                    values,
                    (x, y),
                    (-3, -4),
                    textcoords="offset points",
                    fontsize=LABEL_POINTS,
                    ha="right",
                    va="top",
                )
        axes.step(
            best[across],
            best[up],
            where="post",
            color="black",
            linestyle=DASHES[i % len(DASHES)],
            linewidth=0.8,
            marker="o",
            markersize=6.5,
            markerfacecolor="none",
            markeredgewidth=0.6,
            label=fitting(label, MOST_CHARACTERS),
            zorder=1,
        )
    for name, set_scale in ((across, axes.set_xscale), (up, axes.set_yscale)):
        if points[name].min() > 0 and points[name].max() > LINEAR_SPREAD * points[name].min():
            set_scale("log")
            _plain_ticks(axes.xaxis if name == across else axes.yaxis)
    axes.set_xlabel(axis_words(across))
    axes.set_ylabel(axis_words(up))
    figure.legend(loc="outside upper left")
    return figure


def read_points(folders: Sequence[Path], *columns: str) -> pd.DataFrame:
    """hardware, trace and `columns` of every point with numbers in all of them, of all sweeps.

    keys: what was varied, the columns before `hardware`; values: those of the point, in words.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    frames, faults = [], []
    for folder in folders:
        path = folder / TABLE
        if not path.is_file():
            faults.append(f"{folder}: has no {TABLE}, allowed: a folder that sweep --out wrote")
            continue
        try:
            known = pq.read_schema(path).names
            absent = [name for name in dict.fromkeys(("hardware", "trace", *columns)) if name not in known]
            faults += [f"{path}: {unknown_key(name, known)}" for name in absent]
            if not absent:
                keys = tuple(known[: known.index("hardware")])
                wanted = dict.fromkeys((*keys, "hardware", "trace", *columns))
                frame = pq.read_table(path, columns=list(wanted)).to_pandas()
                given = frame[list(keys)].to_dict("records")
                frame[KEYS] = [tuple(key for key, value in of.items() if not pd.isna(value)) for of in given]
                frame[VALUES] = [", ".join(str(v) for v in of.values() if not pd.isna(v)) for of in given]
                frames.append(frame)
        except (OSError, pa.ArrowException):
            faults.append(f"{path}: cannot be read: not Parquet, or damaged")
    faults += [
        f"--axes: {name} is not a column of numbers"
        for name in columns
        if any(not pd.api.types.is_numeric_dtype(frame[name]) for frame in frames)
    ]
    if faults:
        raise InputError(faults)
    points = pd.concat(frames, ignore_index=True).dropna(subset=list(columns))
    if points.empty:
        raise InputError(f"{', '.join(map(str, folders))}: no point has both {' and '.join(columns)}")
    return points


def front(points: pd.DataFrame, across: str, up: str) -> pd.DataFrame:
    """The points that no other is at least as good as in both columns and better in one, from left to right."""
    ordered = points.sort_values([across, up], kind="stable")
    lowest_before = ordered[up].astype(float).cummin().shift(fill_value=float("inf"))
    return ordered[ordered[up] < lowest_before]


def axis_words(column: str) -> str:
    """A column's name for an axis: `latency_s_per_iteration` is latency, s / iteration."""
    name, per, of = column.partition("_per_")
    for suffix in sorted(UNITS, key=len, reverse=True):
        if name.endswith(suffix):
            stem = name.removesuffix(suffix)
            words = WORDS.get(stem, stem.replace("_", " "))
            return f"{words}, {UNITS[suffix]}" + (f" / {of}" if per else "")
    return column.replace("_", " ")


def _plain_ticks(axis: Any) -> None:
    """Ticks at 1, 2 and 5, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _names(columns: str) -> tuple[str, str]:
    names = [name.strip() for name in columns.split(",")]
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise InputError(f"--axes {columns}: is not two columns of the sweep, e.g. latency_s,energy_j")
    return names[0], names[1]
