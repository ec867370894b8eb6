"""The published loop blocking against a slow reference: plain loops over the equations, ties in the original's order.

C, M: input and output channels; R: kernel rows = columns; E: output rows = columns; U: stride; N: batch;
k: pooling window; Ph x Pw PEs; K: registers of a PE, G: global buffer, both in words.
"""

import itertools
import math
from collections import namedtuple
from fractions import Fraction

import numpy as np
import pytest

from bitsim.analytical.eyeriss_blocking import best_blocking, best_pooling
from bitsim.errors import InputError

LOOPS = "iob"
# trips: Li, Lo, Lb; s, g: words held in registers and in the buffer; W, H, A: words once through, of the buffer,
# and filled into registers; each of filter, input, output.
Candidate = namedtuple("Candidate", "ri trips s g W H A cycles macs registers")


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


def folds(R, E, Ph, Pw):
    """(fh, rh, fw, rw)."""
    fh, rh = (-(-R // Ph), 1) if Ph < R else (1, Ph // R)
    fw, rw = (-(-E // Pw), 1) if Pw < E else (1, Pw // E)
    x = min(rh, fw)
    return fh, rh // x, -(-fw // x), rw


def convolutions(C, M, R, E, U, N, Ph, Pw):
    """Candidate mappings of a convolution."""
    S, F = R, E
    side = R + (E - 1) * U
    fh, rh, fw, rw = folds(R, E, Ph, Pw)
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
        g = S * math.ceil(rF) * ri * ro * fh, side * math.ceil(rI) * ri, F * math.ceil(rO) * ro
        W = C * M * R * S, N * fw * C * side * rI, N * M * E * F
        H = W[0], fh * W[1], fh * W[2]
        A = P * S * fh * Li * Lo, P * side * fh * Li * Lb, P * F * fh * Lo * Lb
        cycles, macs = fh * S * F * Li * Lo * Lb, N * C * M * R * S * E * F
        yield Candidate(ri, (Li, Lo, Lb), (S, S, 1), g, W, H, A, cycles, macs, 4 * P * cycles)


def poolings(C, k, E, U, N, Ph, Pw):
    """The one candidate mapping of a pooling layer, k x k to E x E; its MACs are operations."""
    F = E
    fh, rh, fw, rw = folds(E, F, Ph, Pw)
    ro = rh * rw
    Lo, Lb = -(-C // ro), N * fh * fw
    P = Fraction(E * F * rh * rw, fh * fw)
    a, c = k + (Fraction(E, fh) - 1) * U, k + (Fraction(F, fw) - 1) * U
    g = 0, math.ceil(a) * math.ceil(c) * ro, math.ceil(Fraction(E, fh)) * math.ceil(Fraction(F, fw)) * ro
    W = 0, N * fh * fw * C * a * c, N * C * E * F
    A = 0, P * C * k * k * Lb, P * Lo * Lb
    cycles, operations = k * k * Lo * Lb, N * C * E * F * k * k
    yield Candidate(1, (1, Lo, Lb), (0, k * k, 1), g, W, W, A, cycles, operations, 4 * P * cycles)


def schemes(candidates, K, G):
    """(energy, tie order, columns) of every legal scheme of every candidate."""
    for one in candidates:
        (sF, sI, sO), (gF, gI, gO) = one.s, one.g
        for (i0, i1, i2), (o0, o1, o2), (b0, b1, b2) in itertools.product(*(triples(count) for count in one.trips)):
            if sF * i2 * o2 + sI * i2 * b2 + sO * o2 * b2 > K:
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
                    f0, f1 = (f0F, f0I, f0O), (f1F, f1I, f1O)
                    dram = sum(w * f for w, f in zip(one.W, f0, strict=True))
                    buffer = sum(h * f for h, f in zip(one.H, f1, strict=True))
                    array = sum((a - h) * f for a, h, f in zip(one.A, one.H, f1, strict=True))
                    energy = one.macs + one.registers + 2 * array + 6 * buffer + 200 * dram
                    tie = (one.ri, (b0, b1), order0, order1, (i0, i1), (o0, o1))
                    # Of 2n - 1 visits n write; at level 1 the first of each of the i0 rounds is not read.
                    writes0 = (f0O + 1) // 2
                    writes1 = writes0 if o1 * b1 == 1 else (i0 if q1 == "i" else i0 * i1)
                    written = one.H[2] * writes1, one.W[2] * writes0
                    yield (
                        energy,
                        tie,
                        (one.cycles, one.macs, one.registers, 2 * array, 6 * buffer, 200 * dram, *written),
                    )


def check(candidates, K, G, found):
    """`found` () -> Blocking is the first of the least; InputError where nothing is legal."""
    listed = list(schemes(candidates, K, G))
    if not listed:
        with pytest.raises(InputError, match="no blocking fits"):
            found()
        return
    _, _, columns = min(listed, key=lambda scheme: scheme[:2])
    ours = found()
    units = ours.alu_units, ours.rf_units, ours.noc_units, ours.glb_units, ours.dram_units
    assert (ours.cycles, *units, ours.buffer_write_words, ours.dram_write_words) == columns


def random_machine(rng):
    """Ph, Pw, K, G."""
    choices = ([2, 3, 8, 12, 16], [2, 4, 8, 14, 16], [8, 16, 32, 256], [256, 1024, 4096, 65536])
    return [int(rng.choice(values)) for values in choices]


@pytest.mark.parametrize("seed", range(120))
def test_convolutions_are_what_plain_loops_find(seed):
    rng = np.random.default_rng(seed)
    C, M, R, E = (int(rng.integers(1, most)) for most in (17, 17, 8, 10))
    U, N = int(rng.choice([1, 1, 2, 4])), int(rng.choice([1, 2, 3, 4]))
    Ph, Pw, K, G = random_machine(rng)
    check(convolutions(C, M, R, E, U, N, Ph, Pw), K, G, lambda: best_blocking(C, M, R, E, U, N, Ph, Pw, K, G))


@pytest.mark.parametrize("seed", range(60))
def test_poolings_are_what_plain_loops_find(seed):
    rng = np.random.default_rng(seed)
    C, k, E = (int(rng.integers(1, most)) for most in (40, 5, 20))
    U, N = int(rng.choice([1, 2, 3])), int(rng.choice([1, 2, 3, 4]))
    Ph, Pw, K, G = random_machine(rng)
    check(poolings(C, k, E, U, N, Ph, Pw), K, G, lambda: best_pooling(C, k, E, U, N, Ph, Pw, K, G))
