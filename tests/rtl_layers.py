"""Whole products with data: a mapping walked index by index into tiles, memory images, and numpy's answer.

Memory holds the activations (batch, channels, rows, columns), the weights (outputs, channels, kernel
rows, kernel columns) and the outputs like activations; gradients lie as what they are gradients of.
A matmul's operands are (groups, channels, rows) and (groups, channels, outputs).
"""

import itertools
from dataclasses import dataclass

import numpy as np

from bitsim.accelerators.seam import DIMENSIONS
from bitsim.mapping.record import dimension_sizes
from bitsim.workload import DGRAD, DGRAD_SECOND, FORWARD, WGRAD, Layer
from tests.rtl_chain import words


def strides(shape):
    """Words between neighbours along each axis of a packed tensor."""
    return [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]


@dataclass(frozen=True)
class Case:
    """One pass of a layer with its operands: X and Y in the order of the product, Z what numpy makes of them.

    place: {"X", "Y", "Z"} -> five strides, for the loops of fields.svh; zeroth word 0.
    """

    layer: Layer
    pass_name: str
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    place: dict


def random_values(rng, shape, bits):
    """Signed values of `bits` bits."""
    return rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape, dtype=np.int64)


def wrap(values, bits):
    """Values as a two's complement word of `bits` bits holds them."""
    if bits >= 64:
        return values
    return ((values + (1 << (bits - 1))) & ((1 << bits) - 1)) - (1 << (bits - 1))


def taps(layer):
    """(kernel row, kernel column, rows and columns of the padded input that meet them)."""
    for i, j in itertools.product(range(layer.kernel_h), range(layer.kernel_w)):
        top, left = i * layer.dilation_h, j * layer.dilation_w
        yield (
            i,
            j,
            slice(top, top + layer.stride_h * (layer.out_h - 1) + 1, layer.stride_h),
            slice(left, left + layer.stride_w * (layer.out_w - 1) + 1, layer.stride_w),
        )


def convolution(layer, pass_name, activations, weights, gradients):
    """The pass in numpy: forward, dgrad or wgrad of a (grouped) convolution or linear layer.

    weights (wgrad) and gradients (forward) may be None.
    """
    g = layer.groups
    batch, height, width = activations.shape[0], activations.shape[2], activations.shape[3]
    if weights is None:
        weights = np.zeros((layer.out_channels, layer.in_channels // g, layer.kernel_h, layer.kernel_w), np.int64)
    if gradients is None:
        gradients = np.zeros((batch, layer.out_channels, layer.out_h, layer.out_w), np.int64)
    pads = ((layer.padding_h, layer.padding_h_end), (layer.padding_w, layer.padding_w_end))
    padded = np.pad(activations, ((0, 0), (0, 0), *pads)).reshape(
        batch, g, -1, height + sum(pads[0]), width + sum(pads[1])
    )
    weights = weights.reshape(g, layer.out_channels // g, -1, layer.kernel_h, layer.kernel_w)
    gradients = gradients.reshape(batch, g, -1, layer.out_h, layer.out_w)
    out, back, change = np.zeros_like(gradients), np.zeros_like(padded), np.zeros_like(weights)
    for i, j, rows, cols in taps(layer):
        met, kernel = padded[..., rows, cols], weights[..., i, j]
        out += np.einsum("bgchw,goc->bgohw", met, kernel)
        back[..., rows, cols] += np.einsum("bgohw,goc->bgchw", gradients, kernel)
        change[..., i, j] = np.einsum("bgchw,bgohw->goc", met, gradients)
    inside = back[..., pads[0][0] : pads[0][0] + height, pads[1][0] : pads[1][0] + width]
    shapes = {
        FORWARD: (batch, layer.out_channels, layer.out_h, layer.out_w),
        DGRAD: activations.shape,
        WGRAD: (layer.out_channels, layer.in_channels // g, layer.kernel_h, layer.kernel_w),
    }
    return {FORWARD: out, DGRAD: inside, WGRAD: change}[pass_name].reshape(shapes[pass_name])


def conv_case(rng, layer, pass_name, samples, input_bits, weight_bits):
    """A pass of a convolution or linear layer with random operands."""
    height, width = (layer.rows, 1) if layer.kind == "linear" else (layer.in_h, layer.in_w)
    g, c, o = layer.groups, layer.in_channels // layer.groups, layer.out_channels // layer.groups
    bits = {
        FORWARD: (input_bits, weight_bits, 1),
        DGRAD: (1, weight_bits, input_bits),
        WGRAD: (input_bits, 1, weight_bits),
    }
    a_bits, w_bits, g_bits = bits[pass_name]
    activations = random_values(rng, (samples, g * c, height, width), a_bits)
    weights = random_values(rng, (g * o, c, layer.kernel_h, layer.kernel_w), w_bits)
    gradients = random_values(rng, (samples, g * o, layer.out_h, layer.out_w), g_bits)
    answer = convolution(layer, pass_name, activations, weights, gradients)
    into = [strides((samples, g, c, height, width))[i] for i in (1, 0, 3, 4, 2)]
    out_of = [strides((samples, g, o, layer.out_h, layer.out_w))[i] for i in (1, 0, 3, 4, 2)]
    filters = strides((g, o, c, layer.kernel_h, layer.kernel_w))
    turned = [filters[i] for i in (0, 2, 1, 3, 4)]  # dgrad: outputs are the input channels
    x, y, place = {
        FORWARD: (activations, weights, {"X": into, "Y": filters, "Z": out_of}),
        DGRAD: (gradients, weights, {"X": out_of, "Y": turned, "Z": into}),
        WGRAD: (activations, gradients, {"X": into, "Y": out_of, "Z": filters}),
    }[pass_name]
    return Case(layer, pass_name, x, y, answer, place)


def matmul_case(rng, layer, pass_name, samples, input_bits, weight_bits):
    """A pass of an attention product with random operands."""
    g, c, o, r = (
        layer.groups * samples,
        layer.in_channels // layer.groups,
        layer.out_channels // layer.groups,
        layer.rows,
    )
    first, second, out = (g, c, r), (g, c, o), (g, o, r)
    x_shape, y_shape, equation = {
        FORWARD: (first, second, "gcr,gco->gor"),
        DGRAD: (out, second, "gor,gco->gcr"),
        DGRAD_SECOND: (out, first, "gor,gcr->gco"),
    }[pass_name]
    x, y = random_values(rng, x_shape, input_bits), random_values(rng, y_shape, weight_bits)
    place = {
        FORWARD: {"X": [c * r, 0, 1, 0, r], "Y": [c * o, 1, o, 0, 0], "Z": [o * r, 0, 1, 0, r]},
        DGRAD: {"X": [o * r, 0, 1, 0, r], "Y": [c * o, o, 1, 0, 0], "Z": [c * r, 0, 1, 0, r]},
        # Positions are the columns of the second operand, rows are reduced.
        DGRAD_SECOND: {"X": [o * r, 0, r, 0, 1], "Y": [c * r, r, 1, 0, 0], "Z": [c * o, 0, 1, 0, o]},
    }[pass_name]
    return Case(layer, pass_name, x, y, np.einsum(equation, x, y), place)


def random_case(rng, layer, pass_name, samples, input_bits, weight_bits):
    """A pass of any layer with random operands."""
    make = matmul_case if layer.kind == "matmul" else conv_case
    return make(rng, layer, pass_name, samples, input_bits, weight_bits)


def operand_places(case, product, phase):
    """{"X", "Y", "Z"} -> (first word, five strides) of one product of a pass.

    phase: (row, column) phase of a strided dgrad, else (0, 0).
    """
    layer, place = case.layer, {operand: [0, list(steps)] for operand, steps in case.place.items()}
    axes = ((product.rows, layer.stride_h, layer.padding_h, layer.dilation_h, layer.kernel_h),)
    axes += ((product.cols, layer.stride_w, layer.padding_w, layer.dilation_w, layer.kernel_w),)
    if layer.kind != "conv":
        return place
    for i, (axis, stride, padding, dilation, kernel) in enumerate(axes):
        if case.pass_name == DGRAD:
            # Output row p + tap meets the kernel row k with phase = tap * stride + k * dilation - padding.
            numbers = [(phase[i] - tap * stride + padding) / dilation for tap in axis.taps]
            operand = "Y"
            place["Z"][0] += phase[i] * place["Z"][1][2 + i]
            place["Z"][1][2 + i] *= stride
        else:
            numbers = [(tap + padding) / dilation for tap in axis.taps]
            operand = "Y" if case.pass_name == FORWARD else "Z"
        assert all(k == int(k) and 0 <= k < kernel for k in numbers), "a tap that is not one of the kernel"
        if numbers:
            step = int(numbers[1] - numbers[0]) if len(numbers) > 1 else 0
            place[operand][0] += int(numbers[0]) * place[operand][1][3 + i]
            place[operand][1][3 + i] *= step
    return place


def phases(layer, pass_name):
    """The phases of a pass in the order of its products."""
    if pass_name != DGRAD or layer.kind != "conv":
        return [(0, 0)]
    return list(itertools.product(range(min(layer.stride_h, layer.in_h)), range(min(layer.stride_w, layer.in_w))))


def product_tiles(product, datapath, orientation, mapping, place, spilled=False):
    """The tiles of a mapped product, walked index by index; `place` as operand_places gives it.

    spilled: outputs are read and written at accumulator width on every visit, the first included.
    """
    filters = product.writes_filter
    tiles, keys_of, before, seen = [], [], {}, set()
    for at, start, own in _walk(product, mapping):
        keys = _keys(at, filters)
        moved = {operand: before.get(operand) != key for operand, key in keys.items()}
        before = keys
        tile = dict(zip(("G", "B", "R", "C", "O", "CH"), (own[d] for d in DIMENSIONS), strict=True))
        tile |= {"KR": len(product.rows.taps), "KC": len(product.cols.taps), "ISSUE_EMPTY": int(product.taps == 0)}
        rows, cols = (_window(n, product, start, own) for n in ("rows", "cols"))
        tile |= rows | cols
        tile |= {"X_MODE": datapath.input_unit_bits.bit_length() - 2, "X_SLICES": datapath.input_slices}
        tile |= {"Y_MODE": datapath.weight_unit_bits.bit_length() - 2, "Y_SLICES": datapath.weight_slices}
        tile |= {"X_SIGNED": 1, "Y_SIGNED": 1, "X_BITS": datapath.dram_bits[0], "Y_BITS": datapath.dram_bits[1]}
        tile |= {"PSUM_BITS": datapath.accumulator_bits, "STORE_BITS": datapath.accumulator_bits}
        as_map = (start["groups"], start["batch"], start["rows"], start["cols"], start["outputs"])
        as_filter = (start["groups"], start["outputs"], start["channels"], 0, 0)
        into = (start["groups"], start["batch"], rows["BOX_ROW"], cols["BOX_COL"], start["channels"])
        firsts = {"X": into, "Y": as_map if filters else as_filter, "Z": as_filter if filters else as_map}
        for operand, (base, steps) in place.items():
            offset = sum(s * i for s, i in zip(steps, firsts[operand], strict=True))
            tile |= {f"{operand}_BASE": base + offset, f"{operand}_STRIDES": tuple(steps)}
        brings = int(moved["Z"] and (spilled or keys["Z"] in seen) and product.taps > 0)
        seen.add(keys["Z"])
        tile |= {"F_FILTER": int(filters), "F_SWAPPED": int(orientation.name == "swapped")}
        x_words, y_words, _ = words(tile)
        tile |= {"F_LOAD_X": int(moved["X"] and x_words > 0), "F_LOAD_Y": int(moved["Y"] and y_words > 0)}
        tile |= {"F_LOAD_Z": brings, "F_NEW": int(moved["Z"]), "F_ACCUMULATE": int(brings or not moved["Z"])}
        tile |= {"F_STORE": 0, "F_SWITCH": int(not tiles), "F_FENCE": 0}
        tiles.append(tile)
        keys_of.append(keys["Z"])
    last = {key: j for j, key in enumerate(keys_of)}
    for j, tile in enumerate(tiles):
        tile["F_STORE"] = int(j + 1 == len(tiles) or tiles[j + 1]["F_NEW"])
        if tile["F_STORE"] and last[keys_of[j]] == j:  # complete: as its reader wants it
            tile["STORE_BITS"] = datapath.output_bits
    return tiles


def _walk(product, mapping):
    """(loop indices, first index, size) of each tile, by dimension."""
    sizes = dimension_sizes(product)
    size = dict(zip(DIMENSIONS, mapping.tile, strict=True))
    for indices in itertools.product(*(range(-(-sizes[d] // size[d])) for d in mapping.order)):
        at = dict(zip(mapping.order, indices, strict=True))
        start = {d: at[d] * size[d] for d in DIMENSIONS}
        yield at, start, {d: min(size[d], sizes[d] - start[d]) for d in DIMENSIONS}


def _keys(at, filters):
    """Which tile of each operand stands at the loop indices `at`."""
    spot = (at["groups"], at["batch"], at["rows"], at["cols"])
    as_map, as_filter = (*spot, at["outputs"]), (spot[0], at["outputs"], at["channels"])
    return {
        "X": (*spot, at["channels"]),
        "Y": as_map if filters else as_filter,
        "Z": as_filter if filters else as_map,
    }


def _window(name, product, start, own):
    """Fields of one spatial axis of a tile: where its taps reach, and the inputs it really needs."""
    axis, prefix = {"rows": (product.rows, "ROW"), "cols": (product.cols, "COL")}[name]
    assert axis.hole == 1, "zero-inserted products are not laid out here"
    positions = range(start[name], start[name] + own[name])
    reached = {p * axis.stride + t for p in positions for t in axis.taps}
    real = sorted(i for i in reached if 0 <= i < axis.extent)
    first, last = (real[0], real[-1]) if real else (0, 0)
    assert last - first < 32, "a mask has 32 bits"
    steps = {b - a for a, b in itertools.pairwise(axis.taps)}
    assert len(steps) <= 1, "taps are evenly spaced"
    return {
        f"{prefix}_STRIDE": axis.stride,
        f"{prefix}_FIRST": start[name] * axis.stride + (axis.taps[0] if axis.taps else 0),
        f"{prefix}_STEP": steps.pop() if steps else 0,
        f"IN_{prefix}S": axis.extent,
        f"BOX_{prefix}": first,
        f"BOX_{prefix}S": last - first + 1,
        f"{prefix}_MASK": sum(1 << (i - first) for i in real),
    }


def fits(tiles, depth):
    """Whether every operand of every tile fits a buffer half of `depth` words."""
    return all(max(t["G"] * t["B"] * t["BOX_ROWS"] * t["BOX_COLS"] * t["CH"], *words(t)[1:]) <= depth for t in tiles)


def memory_of(case):
    """One operand after the other; the output as zeros.  Returns (words, first word of X, Y and Z)."""
    parts = [case.x.ravel(), case.y.ravel(), np.zeros(case.z.size, np.int64)]
    firsts = np.cumsum([0, *(part.size for part in parts)])[:3].tolist()
    return np.concatenate(parts), dict(zip("XYZ", firsts, strict=True))


def random_widths(rng):
    """Operand widths, a few of them wider than a unit."""
    return [int(b) for b in rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 8, 11, 16], 2)]
