"""Which of the mappings that were timed is chosen."""

from __future__ import annotations

from bitsim.kernels.compile import compiled

OBJECTIVES = ("cycles", "energy", "edp")
CYCLES, ENERGY, EDP = range(3)


@compiled
def judge(counts, prices_pj, cycles, pj_per_cycle, fixed_pj, objective, near, start, values, energies):
    """Judge the mappings of a list; return the number of the one chosen among these and those judged before.

    counts: (E, C) of counters that cost prices_pj, (E,) float64, each; cycles: (C,), each costs pj_per_cycle; fixed_pj:
    energy that every mapping takes; objective: place in OBJECTIVES.
    From `start` on values, what the objective minimises, and energies, in pJ, are written, (any,) float64.
    Chosen is the least energy among those within `near` of the least value; of two that tie the earlier.
    """
    end = start + cycles.shape[0]
    for c in range(cycles.shape[0]):
        energy = 0.0
        # Always in this order, so that equal mappings tie.
        for counter in range(counts.shape[0]):
            energy += counts[counter, c] * prices_pj[counter]
        energy = energy + cycles[c] * pj_per_cycle + fixed_pj
        value = float(cycles[c])
        if objective == ENERGY:
            value = energy
        elif objective == EDP:
            value = energy * cycles[c]
        values[start + c], energies[start + c] = value, energy
    best = 0
    for c in range(end):
        if values[c] < values[best]:
            best = c
    most = values[best] * (1.0 + near)
    for c in range(end):
        alike = energies[c] == energies[best]
        if values[c] <= most and (energies[c] < energies[best] or (alike and values[c] < values[best])):
            best = c
    return best
