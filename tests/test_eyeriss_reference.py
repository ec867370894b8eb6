"""The published loop blocking against a slow reference: plain loops over the equations, ties in the original's order.

C, M: input and output channels; R: kernel rows = columns; E: output rows = columns; U: stride; N: batch;
Ph x Pw PEs; K: registers of a PE, G: global buffer, both in words.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from bitsim.analytical.eyeriss_blocking import best_blocking
from bitsim.errors import InputError

LOOPS = "iob"


def triples(number):
    """Ordered exact factorisations into three."""
    return [
        (a, b, number // (a * b))
        for a in range(1, number + 1)
        if number % a == 0
        for b in range(1, number // a + 1)
        if number // a % b == 0
    ]


def orders(factors):
    """Orders of a level, innermost first among the loops that run: (order number, innermost, outermost, how many run).

    An order gives the position of i, o, b (0 innermost); loops of factor 1 stand outermost.
    """
    running = [loop for loop, factor in zip(LOOPS, factors, strict=True) if factor > 1]
    found = []
    for inner in itertools.permutations(running):
        if len(running) == 3 and tuple(inner.index(loop) for loop in LOOPS) not in {(0, 1, 2), (1, 0, 2), (1, 2, 0)}:
            continue
        idle = [loop for loop in LOOPS if loop not in running]
        full = [*inner, *idle]
        found.append((tuple(full.index(loop) for loop in LOOPS), *_ends(inner), len(running)))
    return sorted(found)


def _ends(inner):
    return (inner[0], inner[-1]) if inner else ("none", "none")


def schemes(C, M, R, E, U, N, Ph, Pw, K, G):
    """(energy, tie order, columns) of every legal scheme."""
    S, F = R, E
    W = R + (E - 1) * U
    fh, rh = (-(-R // Ph), 1) if Ph < R else (1, Ph // R)
    fw, rw = (-(-E // Pw), 1) if Pw < E else (1, Pw // E)
    x = min(rh, fw)
    fw, rh = -(-fw // x), rh // x
    fewest = math.inf
    for ri in range(1, rh + 1):
        if rh % ri:
            continue
        ro = rh // ri * rw
        Li, Lo, Lb = -(-C // ri), -(-M // ro), N * fw
        if Li * Lo * Lb > fewest:
            continue
        fewest = Li * Lo * Lb
        P = Fraction(R * E * rh * rw, fh * fw)
        rF, rO = Fraction(R, fh), Fraction(E, fw)
        rI = min(rF + (rO - 1) * U, rF * rO)
        gF, gI, gO = S * math.ceil(rF) * ri * ro * fh, W * math.ceil(rI) * ri, F * math.ceil(rO) * ro
        WF, WI, WO = C * M * R * S, N * fw * C * W * rI, N * M * E * F
        AF, AI, AO = P * S * fh * Li * Lo, P * W * fh * Li * Lb, P * F * fh * Lo * Lb
        HF, HI, HO = WF, fh * WI, fh * WO
        cycles = fh * S * F * Li * Lo * Lb
        macs = N * C * M * R * S * E * F
        registers = 4 * fh * P * S * F * Li * Lo * Lb
        for (i0, i1, i2), (o0, o1, o2), (b0, b1, b2) in itertools.product(triples(Li), triples(Lo), triples(Lb)):
            if S * i2 * o2 + S * i2 * b2 + o2 * b2 > K:
                continue
            if gF * i1 * i2 * o1 * o2 + gI * i1 * i2 * b1 * b2 + gO * o1 * o2 * b1 * b2 > G:
                continue
            for order0, q0, _, many0 in orders((i0, o0, b0)):
                for order1, q1, last1, many1 in orders((i1, o1, b1)):
                    if many0 >= 2 and many1 >= 2 and last1 == q0:
                        continue
                    f0F, f0I = 1 if q0 == "b" else b0, 1 if q0 == "o" else o0
                    f0O = 1 if q0 == "i" else 2 * i0 - 1
                    f1F = f0F if i1 * o1 == 1 else (b0 if q1 == "b" else b0 * b1)
                    f1I = f0I if i1 * b1 == 1 else (o0 if q1 == "o" else o0 * o1)
                    f1O = f0O if o1 * b1 == 1 else (2 * i0 - 1 if q1 == "i" else 2 * i0 * i1 - i0)
                    dram = WF * f0F + WI * f0I + WO * f0O
                    buffer = HF * f1F + HI * f1I + HO * f1O
                    array = (AF - HF) * f1F + (AI - HI) * f1I + (AO - HO) * f1O
                    energy = macs + registers + 2 * array + 6 * buffer + 200 * dram
                    tie = (ri, (b0, b1), order0, order1, (i0, i1), (o0, o1))
                    yield energy, tie, (cycles, macs, registers, 2 * array, 6 * buffer, 200 * dram)


@pytest.mark.parametrize("seed", range(60))
def test_the_search_finds_what_plain_loops_find(seed):
    rng = np.random.default_rng(seed)
    shape = {"C": rng.integers(1, 17), "M": rng.integers(1, 17), "R": rng.integers(1, 8), "E": rng.integers(1, 10)}
    shape |= {"U": rng.choice([1, 1, 2, 4]), "N": rng.choice([1, 2, 3, 4])}
    shape |= {"Ph": rng.choice([2, 3, 8, 12, 16]), "Pw": rng.choice([2, 4, 8, 14, 16])}
    shape |= {"K": rng.choice([8, 16, 32, 256]), "G": rng.choice([256, 1024, 4096, 65536])}
    shape = {name: int(value) for name, value in shape.items()}
    listed = list(schemes(**shape))
    arguments = [shape[n] for n in ("C", "M", "R", "E", "U", "N", "Ph", "Pw", "K", "G")]
    if not listed:
        with pytest.raises(InputError):
            best_blocking(*arguments)
        return
    _, _, columns = min(listed, key=lambda scheme: scheme[:2])
    found = best_blocking(*arguments)
    ours = (found.cycles, found.alu_units, found.rf_units, found.noc_units, found.glb_units, found.dram_units)
    assert ours == columns, shape
