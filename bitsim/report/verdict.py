"""What a result says, in sentences: the headline of a report and the few facts behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bitsim.report.figures.figure import words
from bitsim.report.result_folder import ResultFolder
from bitsim.report.summary_file import RunSummary
from bitsim.report.text import si

CLASS_WORDS = {
    "fill_drain": "filling and draining the array",
    "wait_load": "waiting for loads",
    "wait_store": "waiting for stores",
    "hazard": "accumulation hazards",
    "switch": "switches of precision",
    "setup": "setting tiles up",
}
EQUAL = 1.005  # ratios below print as 1.00


@dataclass(frozen=True)
class Verdict:
    """headline: one sentence; facts: what stands behind it; cautions: what a reader must know before quoting it."""

    headline: str
    facts: list[str]
    cautions: list[str]


def verdict(folder: ResultFolder) -> Verdict:
    """The verdict on one machine or several."""
    headline = _alone(folder.runs[0]) if len(folder.runs) == 1 else _against(folder)
    if folder.summary.iso:
        headline = f"At the {folder.summary.iso[0].mode.replace('-', ' ')} of {folder.baseline.hardware}, {headline}"
    facts = [f"{_spends(folder, run)} {_over_training(folder, run)}".strip() for run in folder.runs]
    return Verdict(headline, facts, _cautions(folder))


def unequal(folder: ResultFolder) -> dict[str, list[str]]:
    """{condition: its value on each machine} of the conditions that are not equal."""
    names = dict.fromkeys(name for run in folder.runs for name in run.conditions)
    values = {name: [run.conditions.get(name, "not said") for run in folder.runs] for name in names}
    return {name: said for name, said in values.items() if len(set(said)) > 1}


def _alone(run: RunSummary) -> str:
    time, energy = si(run.latency_s_per_iteration, "s"), si(run.energy_j_per_iteration, "J")
    return f"{run.hardware} takes {time} and {energy} for an iteration of {run.trace}."


def _against(folder: ResultFolder) -> str:
    """The best machine against the next one, or the fastest against the thriftiest where they differ."""
    fastest, thriftiest = _fastest(folder.runs), _thriftiest(folder.runs)
    if fastest is not thriftiest:
        faster, dearer = thriftiest.latency_s / fastest.latency_s, fastest.energy_j / thriftiest.energy_j
        return (
            f"{fastest.hardware} trains {faster:.2f}× faster, "
            f"{thriftiest.hardware} spends {dearer:.2f}× less energy on {fastest.trace}."
        )
    others = [run for run in folder.runs if run is not fastest]
    next_best = _fastest(others)
    than = f"than {next_best.hardware}{'' if len(others) == 1 else ', the next best,'}"
    faster, dearer = next_best.latency_s / fastest.latency_s, next_best.energy_j / fastest.energy_j
    if max(faster, dearer) < EQUAL:
        return f"{fastest.hardware} and {next_best.hardware} cost the same on {fastest.trace}."
    if dearer < EQUAL:
        said = f"trains {faster:.2f}× faster {than} at the same energy"
    elif faster < EQUAL:
        said = f"spends {dearer:.2f}× less energy {than} in the same time"
    else:
        said = f"trains {faster:.2f}× faster and spends {dearer:.2f}× less energy {than}"
    return f"{fastest.hardware} {said} on {fastest.trace}."


def _fastest(runs: Sequence[RunSummary]) -> RunSummary:
    """Of those that are fastest as far as is told apart the one of least energy."""
    least = min(run.latency_s for run in runs)
    return min((run for run in runs if run.latency_s <= EQUAL * least), key=lambda run: run.energy_j)


def _thriftiest(runs: Sequence[RunSummary]) -> RunSummary:
    """Of those of least energy as far as is told apart the fastest."""
    least = min(run.energy_j for run in runs)
    return min((run for run in runs if run.energy_j <= EQUAL * least), key=lambda run: run.latency_s)


def _spends(folder: ResultFolder, run: RunSummary) -> str:
    costs = folder.costs[folder.costs["hardware"] == run.hardware]
    cycles = costs["cycles"].sum()
    issue = costs["issue_cycles"].sum() / cycles
    stalls = {name: costs[f"{name}_cycles"].sum() / cycles for name in folder.cycle_classes if name != "issue"}
    worst = max(stalls, key=stalls.__getitem__, default=None)
    waits = f"; most of the others go to {CLASS_WORDS[worst]} ({stalls[worst]:.1%})" if worst else ""
    energy = {name: costs[f"{name}_pj"].sum() / costs["energy_pj"].sum() for name in folder.components}
    first, second = sorted(energy, key=energy.__getitem__, reverse=True)[:2]
    by_pass = costs.groupby("pass")["cycles"].sum() / cycles
    return (
        f"{run.hardware} issues products in {issue:.1%} of its cycles{waits}. "
        f"Of its energy {energy[first]:.0%} is {words(first)} and {energy[second]:.0%} {words(second)}; "
        f"{by_pass.idxmax()} takes the most time ({by_pass.max():.0%})."
    )


def _over_training(folder: ResultFolder, run: RunSummary) -> str:
    """How far the cost of an iteration moves over the run; nothing where it hardly does."""
    training = folder.training[run.hardware]
    ran = training[training["latency_s"] > 0]
    if len(ran) < 2:
        return ""
    cheap, dear = (ran.iloc[int(f(ran["latency_s"]))] for f in (np.argmin, np.argmax))
    ratio = dear["latency_s"] / cheap["latency_s"]
    if ratio < EQUAL:
        return ""
    return (
        "Over training an iteration takes from "
        f"{si(cheap['latency_s'], 's')} (iteration {int(cheap['iteration_start']):,}) to "
        f"{si(dear['latency_s'], 's')} (iteration {int(dear['iteration_start']):,}), {ratio:.2f}×."
    )


def _cautions(folder: ResultFolder) -> list[str]:
    cautions = []
    if folder.run.synthetic:
        cautions.append("The trace is synthetic: its widths follow a schedule, no training was recorded.")
    analytical = [run.hardware for run in folder.runs if run.timing != "exact"]
    if analytical:
        cautions.append(f"{', '.join(analytical)}: by a published closed-form model, not by the exact engine.")
    differences = unequal(folder)
    if differences:
        cautions.append(f"Not equal between the machines: {', '.join(differences)}.")
    cautions += [f"{note}." for run in folder.runs for note in run.notes]
    first, last = folder.runs[0].iteration_range
    if (first, last) != (0, folder.run.iterations):
        cautions.append(f"Iterations {first:,} to {last:,} of {folder.run.iterations:,} only.")
    return cautions
