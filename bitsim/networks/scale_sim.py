"""SCALE-Sim topology files: convolutions, or matrix products (M, N, K).

Source: SCALE-Sim v2 and v3 (Samajdar et al., ISPASS 2020; scalesim/topology_utils.py): an output row is begun at every
stride until the input ends, ceil((ifmap - filter + stride) / stride); layers with DP in their name are depthwise.

Assumptions
    - The input sizes of the file have their padding in them.  Where the last window reaches beyond the input, the
      missing rows are padding at the end.
    - Every layer but the first needs the gradient of its input: the file does not say what follows what.
    - M of a matrix product are rows of one sample.  A product with a batch column multiplies that many pairs of
      matrices, nothing shared between them: an attention product, with a gradient for both.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from bitsim.errors import InputError
from bitsim.networks.unsupported import Unsupported
from bitsim.strict_yaml import read_text
from bitsim.trace.cells import MAX_LAYERS_BYTES, Faults
from bitsim.workload import Layer

# Columns in the order of the file, under the names SCALE-Sim's own topologies give them.
_NAME = ("layer name", "layer", "layers")
_CONV = (
    _NAME,
    ("ifmap height", "ifmap h"),
    ("ifmap width", "ifmap w"),
    ("filter height", "filter h"),
    ("filter width", "filter w"),
    ("channels", "channel"),
    ("num filter", "num filters", "filters"),
    ("strides", "stride", "stride height"),
)
_GEMM = (_NAME, ("m",), ("n",), ("k",))
_SPARSITY = ("sparsity", "sparsity ratio", "sparsity support")
_OPTIONAL = {"conv": (("stride width",), _SPARSITY), "gemm": (_SPARSITY, ("batch",))}
_MAX_SIZE = 2**31 - 1


def read_scale_sim(path: Path) -> tuple[list[Layer], list[Unsupported]]:
    """Layers of a topology file; sparse ones are unsupported.  InputError with every fault and its line."""
    reader = csv.reader(io.StringIO(read_text(path, MAX_LAYERS_BYTES), newline=""), strict=True)
    faults, rows = Faults(path), list[tuple[int, list[str]]]()
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            while stripped and not stripped[-1]:  # the format ends its lines with a comma
                stripped.pop()
            if stripped:
                rows.append((reader.line_num, stripped))
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: not CSV: {error}") from None
    line, header = rows[0]
    kind, columns = _columns(path, line, header)
    layers: dict[str, Layer] = {}
    unsupported: list[Unsupported] = []
    for line, cells in rows[1:]:
        required = len(_CONV if kind == "conv" else _GEMM)
        if not required <= len(cells) <= len(columns):
            faults.add(line, f"{len(cells)} cells, allowed: {required} to {len(columns)}, as the header has")
            continue
        values = dict(zip(columns, cells, strict=False))
        numbers = _numbers(line, values, faults)
        if numbers is None:
            continue
        name = values["layer name"]
        if name in layers or not name or name.startswith("gate:"):
            what = "stands twice" if name in layers else "allowed: a name not starting with gate:"
            faults.add(line, f"layer name: {name!r}: {what}")
            continue
        layer = _conv(name, numbers, not layers) if kind == "conv" else _gemm(name, numbers, not layers)
        if kind == "conv" and (layer.kernel_h > layer.in_h or layer.kernel_w > layer.in_w):
            faults.add(line, "filter height, width: larger than the ifmap, allowed: up to its size, padding included")
        elif values.get("sparsity", "") not in ("", "1:1"):
            what = f"sparsity {values['sparsity']}, allowed: 1:1 (dense)"
            unsupported.append(Unsupported(f"{line}: layer {name}", what, layer.macs(1)))
        else:
            layers[name] = layer
    if len(rows) == 1:
        faults.add(line, "no rows below the header")
    faults.check()
    return list(layers.values()), unsupported


def _columns(path: Path, line: int, header: list[str]) -> tuple[str, list[str]]:
    """(form, first known name of each column); InputError unless the header is one of the two forms."""
    given = [" ".join(re.split(r"[\s_]+", name.strip().lower())) for name in header]
    for kind, required in (("conv", _CONV), ("gemm", _GEMM)):
        known = [*required, *_OPTIONAL[kind]]
        found = [next((names[0] for names in known if name in names), "") for name in given]
        order = [names[0] for names in known if names[0] in found]
        if found == order and all(names[0] in found for names in required):
            return kind, found
    forms = [
        ", ".join(names[0] for names in (*form, *_OPTIONAL[kind])) for kind, form in (("conv", _CONV), ("gemm", _GEMM))
    ]
    raise InputError(
        f"{path}:{line}: {', '.join(header)[:120]}: not the header of a SCALE-Sim topology, allowed: {forms[0]}; or "
        f"{forms[1]} (the last two of each may be left out)"
    )


def _numbers(line: int, values: dict[str, str], faults: Faults) -> dict[str, int] | None:
    numbers, sound = {}, True
    for column, text in values.items():
        if column in ("layer name", "sparsity") or (column in ("batch", "stride width") and not text):
            continue
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
        if not 1 <= number <= _MAX_SIZE:
            faults.add(line, f"{column}: {text!r}, allowed: a whole number 1 to {_MAX_SIZE}")
            sound = False
        numbers[column] = number
    return numbers if sound else None


def _conv(name: str, numbers: dict[str, int], first: bool) -> Layer:
    in_h, in_w, kernel_h, kernel_w, channels, filters, stride_h = (numbers[names[0]] for names in _CONV[1:])
    stride_w = numbers.get("stride width", stride_h)
    depthwise = "DP" in name
    return Layer(
        name,
        "conv",
        channels if depthwise else 1,
        channels,
        filters * channels if depthwise else filters,
        in_h=in_h,
        in_w=in_w,
        kernel_h=kernel_h,
        kernel_w=kernel_w,
        stride_h=stride_h,
        stride_w=stride_w,
        padding_h_end=-(in_h - kernel_h) % stride_h,
        padding_w_end=-(in_w - kernel_w) % stride_w,
        needs_dgrad="false" if first else "true",
    )


def _gemm(name: str, numbers: dict[str, int], first: bool) -> Layer:
    rows, outputs, channels, batch = numbers["m"], numbers["n"], numbers["k"], numbers.get("batch", 1)
    if batch > 1:
        return Layer(name, "matmul", batch, batch * channels, batch * outputs, rows=rows)
    return Layer(name, "linear", 1, channels, outputs, rows=rows, needs_dgrad="false" if first else "true")
