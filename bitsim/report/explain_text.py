"""An explanation as text for a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from bitsim.accelerators.seam import OUTPUT
from bitsim.explain.explanation import Explanation, PartExplanation, TileKind
from bitsim.kernels.program import CLASSES
from bitsim.report.text import si
from bitsim.simulation.bound import FILL, WAITS
from bitsim.units import show_size


def explain_document(found: Explanation) -> dict[str, Any]:
    """The explanation as one JSON object: its records field by field, sums with their expressions."""
    document = asdict(found)
    for part, shown in zip(found.parts, document["parts"], strict=True):
        for one, into in zip(part.sums, shown["sums"], strict=True):
            into["expression"] = one.expression()
    document["bound"] |= {"cycles": found.bound.cycles, "name": found.bound.name}
    for role, operand in found.reuse.items():
        for level, into in zip(operand.levels, document["reuse"][role]["levels"], strict=True):
            into["macs_per_access"] = operand.macs_per_access(level.level)
    return document


def explain_text(found: Explanation) -> str:
    """The explanation as lines of text."""
    lines = [*_head(found), ""]
    products = sum(part.count for part in found.parts)
    for part in found.parts:
        if products > 1:
            alike = f"{part.count} products alike" if part.count > 1 else "one product"
            lines += [f"{alike}, of {products} that run one after the other", ""]
        for block in (_nest(part), _buffers(part), _tiles(part), _sums(part), _rival(part)):
            lines += [*block, ""]
    lines += [*_reuse(found), "", *_bound(found)]
    return "\n".join(lines) + "\n"


def _head(found: Explanation) -> list[str]:
    row, choice = found.row, found.choice
    where = f"widths of iteration {choice.iteration}" if choice.iteration is not None else "widths as given"
    widths = f"{row['input_bits']} x {row['weight_bits']} bits, run at {row['input_hw_bits']} x {row['weight_hw_bits']}"
    passes = f"{row['passes']} passes" if row["passes"] > 1 else "1 pass"
    return [
        f"{row['layer']}, {row['pass']}, on {found.hardware}: {row['samples']} samples, {where}, objective "
        f"{found.objective}",
        f"{widths} ({passes}), outputs of {row['output_bits']} bits, accumulators of {row['accumulator_bits']}",
        f"{row['macs']:,} MACs in {row['cycles']:,} cycles = {si(row['cycles'] / found.clock_hz, 's')}, "
        f"{si(row['energy_pj'] * 1e-12, 'J')}, utilisation {row['utilisation']:.1%}, bound: {row['bound']}",
    ]


def _nest(part: PartExplanation) -> Iterator[str]:
    """Loops over tiles, with each operand where it moves; then the tile; then the array's own loops."""
    sizes = ", ".join(f"{name} {size}" for name, size in part.sizes.items() if size > 1) or "one of everything"
    yield f"loop nest ({part.orientation}; whole: {sizes}, taps {part.taps})"
    if not part.taps:
        yield "  no tap meets this phase: zeros are stored"
    yield from (f"  {_moved(part, role)}" for role, loop in part.moves_with.items() if loop is None)
    depth = 1
    for loop in part.loops:
        rest = f", the last {loop.last_size}" if loop.last_size != loop.size else ""
        yield f"{'  ' * depth}for {loop.dimension}: {loop.trips} x {loop.size}{rest}"
        depth += 1
        for role, moves_with in part.moves_with.items():
            if moves_with == loop.dimension:
                yield f"{'  ' * depth}{_moved(part, role)}"
    tile = ", ".join(f"{name} {size}" for name, size in part.tile.items() if size > 1) or "one of everything"
    yield f"{'  ' * depth}tile: {tile}"
    for name, trips in part.array_loops:
        if trips != 1:
            depth += 1
            yield f"{'  ' * depth}for {name}: {trips}"


def _moved(part: PartExplanation, role: str) -> str:
    if role != OUTPUT:
        return f"load {role}"
    spilled = any(one.name == "psum_beats" and one.total for one in part.sums)
    return "read partial sums back, store output" if spilled else "store output"


def _buffers(part: PartExplanation) -> Iterator[str]:
    yield "buffers (full tile, padding included, of one half)"
    for one in part.occupation:
        share = one.used_bits / one.half_bits
        yield (
            f"  {one.role:<7} {one.buffer:<15} {one.used_bits:>12,} of {one.half_bits:,} bits "
            f"({show_size(one.half_bits)}), {share:.1%}"
        )
    shared = [name for name in {one.buffer: 0 for one in part.occupation} if _operands_in(part, name) > 1]
    for name in shared:
        used = sum(one.used_bits for one in part.occupation if one.buffer == name)
        half = next(one.half_bits for one in part.occupation if one.buffer == name)
        yield f"  {name} in all: {used:,} of {half:,} bits, {used / half:.1%}"


def _operands_in(part: PartExplanation, name: str) -> int:
    return sum(one.buffer == name for one in part.occupation)


def _tiles(part: PartExplanation) -> Iterator[str]:
    yield "tiles, and the cycles of all of a kind by class"
    names = [n for n in CLASSES if part.tail[n] or any(kind.classes[n] for kind in part.kinds)]
    heads = ("kind", "tiles", "issue of one", "drain", *names, "cycles")
    table = [heads, *((*_of_kind(kind), *_by_class(kind.classes, names)) for kind in part.kinds)]
    table.append(("after the last", "", "", "", *_by_class(part.tail, names)))
    totals = {n: part.tail[n] + sum(kind.classes[n] for kind in part.kinds) for n in names}
    table.append(("all", f"{sum(kind.tiles for kind in part.kinds):,}", "", "", *_by_class(totals, names)))
    widths = [max(len(line[i]) for line in table) for i in range(len(heads))]
    for line in table:
        cells = [
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
        ]
        yield "  " + "  ".join(cells)


def _of_kind(kind: TileKind) -> tuple[str, ...]:
    name = "edge in " + ", ".join(f"{d} {kind.sizes[d]}" for d in kind.edges) if kind.edges else "full"
    return name, f"{kind.tiles:,}", _span(kind.issue_cycles), _span(kind.drain_cycles)


def _span(least_and_most: tuple[int, int]) -> str:
    return " to ".join(f"{value:,}" for value in dict.fromkeys(least_and_most))


def _by_class(classes: dict[str, int], names: list[str]) -> tuple[str, ...]:
    return (*(f"{classes[name]:,}" for name in names), f"{sum(classes.values()):,}")


def _sums(part: PartExplanation) -> Iterator[str]:
    yield "by hand (count x each; a transfer of b bits takes ceil(b / bits a cycle) beats of the port)"
    for one in part.sums:
        if one.total:
            yield f"  {one.name:<12} = {one.expression()} = {one.total:,}"


def _rival(part: PartExplanation) -> Iterator[str]:
    rival = part.next_best
    if rival is None:
        yield "next best: none, this is the only mapping that was timed"
        return
    tile = ", ".join(f"{name} {size}" for name, size in rival.tile.items() if size > 1) or "one of everything"
    loops = " > ".join(name for name in rival.order if rival.tile[name] < part.sizes[name]) or "one tile"
    yield f"next best of the {part.rivals} others timed exactly: {rival.orientation}, {loops}, tile: {tile}"
    yield (
        f"  {rival.cycles:,} cycles, {si(rival.energy_pj * 1e-12, 'J')}, {rival.more_dram_bits:+,} DRAM bits; "
        f"why it lost: {rival.why}"
    )
    if rival.more_cycles:
        yield "  cycles against the chosen one: " + ", ".join(f"{n} {c:+,}" for n, c in rival.more_cycles.items())


def _reuse(found: Explanation) -> Iterator[str]:
    yield "reuse: real MACs for each word that passes (of the output, each word read or written)"
    for role, one in found.reuse.items():
        yield f"  {role:<7} tensor of {one.tensor_words:,} words: {one.most_macs_per_word:,.4g} at most"
        for level in one.levels:
            moved = f"{level.read_words:,} words read, {level.write_words:,} written"
            yield f"    {level.level:<15} {one.macs_per_access(level.level) or 0:>9,.4g}  ({moved})"


def _bound(found: Explanation) -> Iterator[str]:
    bound, row = found.bound, found.row
    added = {names: " + ".join(f"{n} {row[f'{n}_cycles']:,}" for n in names) for names in (WAITS, FILL)}
    transfers, set_up = sum(part.count * part.transfers for part in found.parts), int(row["setup_cycles"])
    array_cycles = bound.issue_cycles + set_up
    yield f"what bounds it: {bound.name}"
    yield f"  issue {bound.issue_cycles:,}"
    yield f"  waits {bound.wait_cycles:,} = {added[WAITS]}"
    yield f"  fill  {bound.fill_cycles:,} = {added[FILL]}"
    yield f"  the array alone needs {array_cycles:,} cycles = issue {bound.issue_cycles:,} + setup {set_up:,}"
    yield (
        f"  the port alone needs {bound.port_beats + transfers:,} cycles = {bound.port_beats:,} beats "
        f"({bound.port_beats / bound.cycles:.0%} of {bound.cycles:,} cycles) + {transfers:,} grants"
    )
    yield f"  {_verdict(found)}"


def _verdict(found: Explanation) -> str:
    return {
        "compute": "issue is the largest of the three: a faster array would help, more bandwidth would not help much",
        "fill": "fill is the largest of the three: tiles are too short for the array they pass through",
        "memory": "waits are the largest of the three, and the port moves data in half of all cycles or more",
        "latency": "waits are the largest of the three, and the port moves data in less than half of all cycles",
    }[found.bound.name]
