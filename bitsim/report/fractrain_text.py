"""FracTrain's published totals and our cost of an iteration, for a terminal and as a Markdown section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bitsim.networks.resnet import IMAGENET_EPOCHS
from bitsim.report.reproduce_text import empty_table, note, show
from bitsim.reproduce.fractrain import TOLERANCE, PublishedRun, iteration_macs
from bitsim.reproduce.fractrain_costs import IterationCost, Ratio
from bitsim.reproduce.fractrain_original import LOWERINGS, OriginalRatio
from bitsim.reproduce.fractrain_scaled import Scaled
from bitsim.schedules.dynamic import MIXTURES

AGREEMENT = "Static rows of a network agree with each other, so a total is that cost times how long the method trained."
SHORT = 2  # times below a whole run


def print_published(console: Any, listed: Sequence[PublishedRun], shipped: bool) -> None:
    """Each published total as iterations x cost of one; shipped: the rows are those of the paper."""
    columns = empty_table("published run", "effective MACs", "an iteration, G", "iterations", "J", "s")
    for row in listed:
        macs = iteration_macs(row.network)
        low, high = (f"{macs * cp / 1e11:.3f}" for cp in row.cp_percent)
        least, most = (f"{count / 1e3:.1f}k" for count in row.iterations)
        joules, seconds = row.an_iteration(row.energy_j), row.an_iteration(row.latency_s)
        columns.add_row(
            row.name,
            f"{row.effective_macs:.3g}",
            low if low == high else f"{low} to {high}",
            least if least == most else f"{least} to {most}",
            "" if joules is None else f"{joules:.3f}",
            "" if seconds is None else f"{seconds:.4f}",
        )
    show(console, "published totals taken apart: effective MACs of an iteration follow from the widths", columns)
    said = ("J, s: of one iteration.", AGREEMENT if shipped else "", _short_of_a_run(listed))
    note(console, " ".join(filter(None, said)))


def held_of_rows(within: int, count: int) -> str:
    """What was held of the rows, and what was not."""
    return (
        f"{within} of {count} rows within a whole run of their network (effective_macs, to {TOLERANCE:.0%}); "
        "energy_kj, latency_min: reported, not held"
    )


def print_savings(console: Any, listed: Sequence[PublishedRun]) -> None:
    """DFQ over SBM of the same network and data: what of a published saving is cost, what convergence."""
    columns = empty_table(
        "DFQ over SBM", "energy", "= an iteration", "x iterations", "time", "= an iteration", "x iterations"
    )
    static = {(row.network.title, row.dataset): row for row in listed if row.method == "SBM"}
    for row in (row for row in listed if row.method == "DFQ"):
        base = static.get((row.network.title, row.dataset))
        if base is None or None in (row.energy_j, base.energy_j, row.latency_s, base.latency_s):
            continue
        rounds = row.iterations[0] / base.iterations[0]
        cells = []
        for ours, theirs in ((row.energy_j, base.energy_j), (row.latency_s, base.latency_s)):
            assert ours is not None and theirs is not None
            cells += [f"{ours / theirs:.3f}", f"{ours / theirs / rounds:.3f}", f"{rounds:.3f}"]
        columns.add_row(f"{row.network.title} {row.dataset}", *cells)
    show(console, "published savings, cost per iteration apart from convergence", columns)


def print_ratios(console: Any, network: str, static: IterationCost, listed: Sequence[Ratio]) -> None:
    """DFQ over static on our machine, a line a choice, and the band."""
    columns = empty_table(
        f"{network}, an iteration: DFQ over FW8/BW8", "effective MACs", "gated blocks", "time", "energy"
    )
    for row in listed:
        values = row.effective_macs, row.gated_effective_macs, row.latency, row.energy
        columns.add_row(row.what, *(f"{value:.3f}" for value in values))
    bands = ([getattr(row, name) for row in listed] for name in ("latency", "energy"))
    shown = (f"{min(band):.2f} to {max(band):.2f}" for band in bands)
    columns.add_row("band", "", "", *shown)
    title = f"ours, static: {static.effective_macs / 1e9:.3f} G effective MACs, {static.latency_s:.4f} s, "
    show(console, f"{title}{static.energy_j:.4f} J an iteration", columns)


def print_original(console: Any, network: str, listed: Sequence[OriginalRatio]) -> None:
    """DFQ over static on the original model, a line a lowering, both mixtures side by side."""
    heads = [f"{what}, {mixture}" for mixture in MIXTURES for what in ("time", "energy")]
    columns = empty_table(f"{network}, an iteration: DFQ over FW8/BW8", *heads)
    for lowering in LOWERINGS:
        rows = {row.mixture: row for row in listed if row.lowering == lowering}
        values = [value for mixture in MIXTURES for value in (rows[mixture].time, rows[mixture].energy)]
        columns.add_row(str(lowering), *(f"{value:.3f}" for value in values))
    bands = [
        f"{min(values):.2f} to {max(values):.2f}"
        for mixture in MIXTURES
        for values in (
            [r.time for r in listed if r.mixture == mixture],
            [r.energy for r in listed if r.mixture == mixture],
        )
    ]
    columns.add_row("band", *bands)
    show(console, "the model of ISCA 2018, untuned; all that is not gated at 8 bits", columns)


def print_stages(console: Any, network: str, listed: Sequence[Ratio]) -> None:
    """Stages of PFQ and FracTrain over static."""
    show(console, "stage by stage", _ratios(f"{network}, an iteration over FW8/BW8", listed))


def print_claims(console: Any, network: str, dynamic: Ratio, six: Ratio) -> None:
    """Which claims hold on this hardware."""
    note(console, f"\nwhat holds on this hardware, {network}")
    note(
        console,
        f"DFQ halves effective MACs: {dynamic.gated_effective_macs:.2f} of static in the gated blocks, as published "
        f"(0.48); {dynamic.effective_macs:.2f} of the network where first layer, shortcuts and classifier count as "
        "the float they run in.",
    )
    note(
        console,
        f"It halves neither time nor energy: {dynamic.latency:.2f} and {dynamic.energy:.2f} of static at the first "
        "choice above.",
    )
    note(
        console,
        f"FW6/BW8 saves {1 - six.effective_macs:.0%} of the effective MACs and {1 - six.latency:.1%} of the time: "
        f"units fuse 2, 4 and 8 bits, and 6 run as 8. Energy falls by {1 - six.energy:.1%}, as memory holds 6 bits.",
    )


def _short_of_a_run(listed: Sequence[PublishedRun]) -> str:
    """By how much static totals on ImageNet fall short of a whole run; empty if none does."""
    static = (row for row in listed if row.static and row.dataset.lower() == "imagenet")
    times = [row.network.iterations / row.iterations[0] for row in static]
    short = sorted({int(factor) for factor in times if factor >= SHORT})
    if not short:
        return ""
    shown = f"{short[0]} to {short[-1]}" if len(short) > 1 else f"{short[0]}"
    return f"ImageNet totals are {shown} times below {IMAGENET_EPOCHS} epochs (unexplained)."


def _ratios(title: str, listed: Sequence[Ratio]) -> Any:
    columns = empty_table(title, "effective MACs", "gated blocks", "time", "energy")
    for row in listed:
        values = row.effective_macs, row.gated_effective_macs, row.latency, row.energy
        columns.add_row(row.what, *(f"{value:.3f}" for value in values))
    return columns


def print_scaled(console: Any, found: Scaled) -> None:
    """The two factors and what they predict."""
    columns = empty_table("network", "published J", "scaled J", "error", "published s", "scaled s", "error")
    for row in found.rows:
        energy = f"{row.published_j:.3f}", f"{row.scaled_j:.3f}", f"{row.scaled_j / row.published_j - 1:+.1%}"
        seconds = f"{row.published_s:.4f}", f"{row.scaled_s:.4f}", f"{row.scaled_s / row.published_s - 1:+.1%}"
        columns.add_row(row.network, *energy, *seconds)
    show(console, "two factors fitted on the first network, by choice (--scaled); a static iteration", columns)
    note(
        console,
        f"FITTED: energy x {found.energy_factor:.3f}, time x {found.time_factor:.3f}, on the first row alone; used "
        "nowhere else. The rows below it are predictions.",
    )
