"""Time and energy of an iteration over training, below the widths and the loss that explain them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bitsim.report.figures.figure import MACHINE_DASHES, Figure, View, label, rounded, scale
from bitsim.report.result_folder import ResultFolder
from bitsim.trace.precision_bins import OPERANDS

# Lines mark stages as long as they are few: widths that move at every bin have none.
MOST_STAGES = 12
LEAST_STEP_BITS = 0.25
DOMAINS = ((0.70, 1.0), (0.36, 0.65), (0.0, 0.31))


def training_figure(folder: ResultFolder) -> Figure:
    """Mean widths and loss; ms an iteration; mJ an iteration: one axis of iterations."""
    frame = next(iter(folder.training.values()))
    edges = [*frame["iteration_start"].tolist(), int(frame["iteration_end"].iloc[-1])]
    starts, widths = mean_widths(folder)
    traces = [
        _steps(starts, bits, f"{name} bits", "@text", dash, "y")
        for (name, dash), bits in zip(zip(OPERANDS, ("solid", "dash", "dot"), strict=True), widths, strict=True)
    ]
    loss = loss_curve(folder)
    if loss:
        traces.append(loss)
    layout: dict[str, Any] = {
        "xaxis": {"title": {"text": "iteration"}, "range": [edges[0], edges[-1]], "anchor": "y3", "showgrid": False},
        "yaxis": {"domain": DOMAINS[0], "title": {"text": "bits"}, "rangemode": "tozero"},
        "yaxis2": {"domain": DOMAINS[1], "rangemode": "tozero"},
        "yaxis3": {"domain": DOMAINS[2], "rangemode": "tozero"},
        "yaxis4": {
            "overlaying": "y",
            "side": "right",
            "type": "log",
            "title": {"text": "training loss"},
            "showgrid": False,
            "dtick": 1,
            "exponentformat": "power",
            "visible": loss is not None,
        },
        "shapes": [_stage_line(place) for place in stage_starts(starts, widths)],
        "hovermode": "x unified",
    }
    for panel, (column, unit, factor, word) in enumerate(
        (("latency_s", "s", 1.0, "time"), ("energy_pj", "J", 1e-12, "energy"))
    ):
        largest = max(float(f[column].max()) for f in folder.training.values()) * factor
        size, scaled = scale(largest, unit)
        layout[f"yaxis{panel + 2}"]["title"] = {"text": f"{word}, {scaled}"}
        for i, (name, training) in enumerate(folder.training.items()):
            values = training[column].to_numpy() * factor * size
            line = _steps(edges, values, name, f"@series{i % 6}", MACHINE_DASHES[i % 6], f"y{panel + 2}")
            line |= {"legendgroup": name, "showlegend": panel == 0}
            line["line"]["width"] = 2.5
            line["hovertemplate"] = f"{label(name)}: %{{y:.4g}} {scaled}<extra></extra>"
            traces.append(line)
    return Figure(
        "training",
        "Time and energy of an iteration over training",
        "Above, widths as the mean over layers (float ones left out) and the loss; below, what an iteration costs. "
        "Vertical lines: the mean width moves by a quarter of a bit or more.",
        640,
        layout,
        (View("", traces, {}),),
        _note(folder, np.diff(edges)),
    )


def mean_widths(folder: ResultFolder) -> tuple[list[int], list[np.ndarray]]:
    """(edges of bins, [mean over layers of each operand's bits in each bin, nan where all are float])."""
    bins = folder.precision.groupby("iteration_start", sort=True)
    means = bins[[f"{name}_bits" for name in OPERANDS]].mean()
    edges = [*means.index.tolist(), int(folder.precision["iteration_end"].max())]
    return edges, [means[name].to_numpy(float) for name in means.columns]


def stage_starts(edges: list[int], widths: list[np.ndarray]) -> list[int]:
    """Iterations at which a mean width moves by LEAST_STEP_BITS; none where they are too many to be stages."""
    steps = np.array([np.diff(np.nan_to_num(bits)) for bits in widths])
    moves = steps[np.abs(steps).argmax(axis=0), np.arange(steps.shape[1])] if steps.shape[1] else steps[0]
    found: list[int] = []
    last = -2
    for place in np.flatnonzero(np.abs(moves) >= LEAST_STEP_BITS).tolist():
        if place == last + 1 and moves[place] * moves[last] > 0:
            # A switch inside a bin moves the mean at both its ends: the larger move stands for it.
            if abs(moves[place]) > abs(moves[last]):
                found[-1] = edges[place + 1]
        else:
            found.append(edges[place + 1])
        last = place
    return found if len(found) <= MOST_STAGES else []


def loss_curve(folder: ResultFolder) -> dict[str, Any] | None:
    """The training loss at the end of each epoch inside the range, where run.yaml has one."""
    loss, per_epoch = folder.run.loss, folder.run.iterations_per_epoch
    listed = (loss.get("train") if isinstance(loss, dict) else loss) or []
    values = [float(value) for value in listed if isinstance(value, int | float)]
    if not per_epoch or len(values) < len(listed):
        return None
    first, last = folder.runs[0].iteration_range
    ends = [(per_epoch * (place + 1), value) for place, value in enumerate(values)]
    points = [(end, value) for end, value in ends if first < end <= last and value > 0]
    if not points:
        return None
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "training loss",
        "x": [place for place, _ in points],
        "y": rounded([value for _, value in points]),
        "yaxis": "y4",
        "line": {"color": "@loss", "width": 1.5},
        "hovertemplate": "loss %{y:.4g}<extra></extra>",
    }


def _steps(edges: list[int], values: Any, name: str, colour: str, dash: str, yaxis: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": label(name),
        "x": edges,
        "y": rounded([*values, values[-1]]),
        "xaxis": "x",
        "yaxis": yaxis,
        "line": {"color": colour, "dash": dash, "shape": "hv", "width": 1.5},
        "hovertemplate": f"{label(name)}: %{{y:.3g}}<extra></extra>",
    }


def _stage_line(place: int) -> dict[str, Any]:
    line = {"color": "@axis", "width": 1, "dash": "dot"}
    return {"type": "line", "x0": place, "x1": place, "y0": 0, "y1": 1, "yref": "paper", "line": line, "layer": "below"}


def _note(folder: ResultFolder, lengths: np.ndarray) -> str:
    per_epoch = folder.run.iterations_per_epoch
    longest, shortest = int(lengths.max()), int(lengths.min())
    if longest == 1:
        return ""
    if per_epoch == longest:
        return f"Each step is the mean over an epoch of {per_epoch:,} iterations."
    span = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
    return f"Each step is the mean over {span} iterations."
