"""Cost of an iteration over training, as a picture: precision and loss above, time and energy below."""

from __future__ import annotations

import io
import itertools
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitsim.errors import InputError
from bitsim.simulation.result import Result

if TYPE_CHECKING:
    import numpy as np

# Okabe and Ito's palette: told apart by the colour-blind.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def training_picture(results: list[Result], path: Path) -> None:
    """Write a PNG (or SVG, PDF by suffix) of time and energy per iteration over training, all machines.

    Iterations are averaged over each epoch where the trace knows its epochs.
    Raises InputError if the file cannot be written; it is written whole or not at all.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (top, middle, bottom) = pyplot.subplots(
        3, 1, figsize=(8, 7.5), sharex=True, height_ratios=(1, 1.3, 1.3), layout="constrained"
    )
    trace = results[0].trace
    first, last = results[0].iteration_range
    starts, widths = _stages(results[0])
    for name, values, style in zip(("activation", "weight", "gradient"), widths, ("-", "--", ":"), strict=True):
        top.step(
            [*starts, last], [*values, values[-1]], where="post", label=f"{name} bits", linestyle=style, color="black"
        )
    top.set_ylabel("bits (widest layer)")
    top.set_ylim(0, max(max(v) for v in widths) * 1.25)
    _loss(top, trace)
    top.legend(loc="center right", fontsize="small")
    for i, result in enumerate(results):
        epochs, milliseconds, millijoules = _epochs(result)
        colour = COLOURS[i % len(COLOURS)]
        for axes, means in ((middle, milliseconds), (bottom, millijoules)):
            axes.step(epochs, [*means, means[-1]], where="post", color=colour, label=result.machine.name, linewidth=2)
    for axes, label in ((middle, "time, ms per iteration"), (bottom, "energy, mJ per iteration")):
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.legend(loc="best", fontsize="small")
    for axes in (top, middle, bottom):
        for start in starts[1:]:
            axes.axvline(start, color="0.8", linewidth=1, zorder=0)
        axes.spines[["top", "right"]].set_visible(False)
    bottom.set_xlabel("iteration (grey lines: precision changes)")
    bottom.set_xlim(first, last)
    kind = "synthetic" if trace.run.synthetic else "recorded"
    figure.suptitle(f"{trace.run.model}, {trace.run.dataset} ({kind})", fontsize="medium")
    save_figure(figure, path)
    pyplot.close(figure)


def _stages(result: Result) -> tuple[list[int], tuple[list[int], list[int], list[int]]]:
    """Iterations at which the widest quantised widths change, and the widths from there on."""
    starts: list[int] = []
    widths: tuple[list[int], list[int], list[int]] = ([], [], [])
    by_start = itertools.groupby(result.trace.spans(*result.iteration_range), lambda span: span.iteration_start)
    for start, spans in by_start:
        groups = [group.widths for span in spans for group in span.groups]
        listed = [(w.activation_bits, w.weight_bits, w.gradient_bits) for w in groups]
        quantised = [w for w in listed if max(w) < 32] or listed
        if not quantised:
            continue
        now = [max(values) for values in zip(*quantised, strict=True)]
        if not starts or now != [w[-1] for w in widths]:
            starts.append(start)
            for values, value in zip(widths, now, strict=True):
                values.append(value)
    return starts, widths


def _epochs(result: Result) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(edges, ms, mJ): mean cost of an iteration in each epoch, or in each range without epochs."""
    import numpy as np

    frame = result.per_iteration()
    starts, ends = frame["iteration_start"].to_numpy(), frame["iteration_end"].to_numpy()
    first, last = result.iteration_range
    per_epoch = result.trace.run.iterations_per_epoch
    edges = np.append(starts, last) if per_epoch is None else np.unique([first, *range(first, last, per_epoch), last])
    means = []
    for column, scale in (("latency_s", 1e3), ("energy_j", 1e3)):
        running = np.concatenate([[0.0], np.cumsum(frame[column].to_numpy() * (ends - starts))])
        at_edges = np.interp(edges, np.append(starts, last), running)
        means.append(np.diff(at_edges) / np.diff(edges) * scale)
    return edges, means[0], means[1]


def _loss(axes: Any, trace: Any) -> None:
    """The training loss, where the trace has one an epoch."""
    loss, per_epoch = trace.run.loss, trace.run.iterations_per_epoch
    values = loss.get("train") if isinstance(loss, dict) else None
    if not values or not per_epoch:
        return
    twin = axes.twinx()
    places = [per_epoch * (i + 1) for i in range(len(values))]
    twin.semilogy(places, values, color=COLOURS[2], linewidth=1)
    twin.set_ylabel("training loss", color=COLOURS[2])
    twin.spines["top"].set_visible(False)


def save_figure(figure: Any, path: Path) -> None:
    """Write a matplotlib figure, its form by suffix (png, svg, pdf; none: png), whole or not at all.

    InputError if the form is unknown or the file cannot be written.
    """
    form = path.suffix.lstrip(".") or "png"
    if form not in ("png", "svg", "pdf"):
        raise InputError(f"{path}: {form}: not a form of picture, allowed: png, svg, pdf")
    image = io.BytesIO()
    figure.savefig(image, format=form, dpi=130)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(image.getvalue())
        Path(draft).chmod(0o644)
        Path(draft).replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
