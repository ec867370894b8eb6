"""Register files: what an SRAM generator does not cover, from the rows of register_file_45nm.csv.

Assumptions
    - Energy and area go with the word width (the rows are 16 bits wide), and between depths along
      a straight line in log(words), log(value); outside 12 to 192 words the line is extended.
    - The rows list no leakage, so none is charged, and the source says so.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

from bitsim.errors import InputError
from bitsim.technology.price import Price, table


@lru_cache(maxsize=512)
def register_file_price(words: int, word_bits: int, node_nm: int = 45) -> Price:
    """Price of one register file of `words` x `word_bits`.

    InputError for a node other than 45 nm, and for a depth or width that is not positive.
    """
    if words < 1 or word_bits < 1:
        raise InputError(f"a register file of {words} words x {word_bits} bits, allowed: 1 or more of each")
    if node_nm != 45:
        raise InputError(
            f"technology.node_nm: {node_nm}: no price for register files ({words} x {word_bits} bits), "
            "allowed: 45, or banks large enough for the SRAM table"
        )
    rows = sorted(table("register_file_45nm.csv"), key=lambda r: int(r["words"]))
    depths = [int(r["words"]) for r in rows]
    scale = word_bits / int(rows[0]["word_bits"])
    exact = [r for r in rows if int(r["words"]) == words]
    read, area = (_along(depths, [float(r[c]) for r in rows], words) for c in ("read_pj", "area_um2"))
    if exact and scale == 1:
        marks: tuple[str, ...] = ()
        how = f"row {exact[0]['name']}"
    else:
        marks = ("interpolated" if depths[0] <= words <= depths[-1] and scale == 1 else "extrapolated",)
        how = f"{marks[0]} to {words} x {word_bits} bits"
    return Price(
        read_pj_per_bit=read * scale / word_bits,
        write_pj_per_bit=read * scale / word_bits,
        leakage_mw=0.0,
        area_mm2=area * scale * 1e-6,
        access_time_ns=None,
        source=f"register_file_45nm.csv, {how}; {rows[0]['source']}; leakage not listed",
        marks=marks,
    )


def spad_price(capacity_bits: int, banks: int, word_bits: int, node_nm: int) -> Price:
    """Price of `banks` equal register files that hold `capacity_bits` together."""
    one = register_file_price(-(-capacity_bits // (banks * word_bits)), word_bits, node_nm)
    return replace(one, area_mm2=one.area_mm2 * banks, source=f"{banks} x {one.source}")


def _along(xs: list[int], ys: list[float], x: int) -> float:
    """Straight line in log-log between the neighbours of x, extended at the ends."""
    if x in xs:
        return ys[xs.index(x)]
    # Depths 12 and 16 differ little and noisily: the ends are extended along the whole table.
    low, high = (
        (0, len(xs) - 1) if x < xs[0] or x > xs[-1] else next((i, i + 1) for i in range(len(xs)) if xs[i + 1] > x)
    )
    slope = math.log(ys[high] / ys[low]) / math.log(xs[high] / xs[low])
    near = low if x < xs[0] or x <= xs[-1] else high
    return ys[near] * (x / xs[near]) ** slope
