"""layers.csv: shapes of the layers of a model."""

from __future__ import annotations

from pathlib import Path

from bitsim.trace.cells import Faults, read_cells
from bitsim.workload import Layer

KINDS = ("conv", "linear", "matmul")
_WINDOW = ("kernel_h", "kernel_w", "stride_h", "stride_w", "padding_h", "padding_w", "dilation_h", "dilation_w")
REQUIRED = (
    "layer",
    "kind",
    "groups",
    "in_channels",
    "out_channels",
    "in_h",
    "in_w",
    *_WINDOW,
    "rows",
    "needs_dgrad",
    "gate_group",
)
OPTIONAL_PADDING = ("padding_h_end", "padding_w_end")
OPTIONAL = (*OPTIONAL_PADDING, "needs_wgrad", "recomputes")
# Columns a kind has; the others must be blank.
_CONV = ("groups", "in_channels", "out_channels", "in_h", "in_w", *_WINDOW)
_COLUMNS = {
    "conv": _CONV,
    "linear": ("in_channels", "out_channels", "rows"),
    "matmul": ("groups", "in_channels", "out_channels", "rows"),
}
_MAY_BE_BLANK = {"groups": 1, "rows": 1}
_MAX_SIZE = 2**31 - 1
# Sizes along which tables are made: images up to 65,536 pixels a side, a million rows of a sample.
_MOST = dict.fromkeys(("in_h", "in_w", *_WINDOW, *OPTIONAL_PADDING), 2**16) | {"rows": 2**20, "recomputes": 64}
_MAX_TAPS_OF_AN_AXIS = 2**22
_MAX_WORDS = 2**42
_MAX_BIT_OPS = 2**62


def read_layers(path: Path, batch: int) -> tuple[Layer, ...]:
    """Read layers.csv.  `batch` bounds the counters.  InputError with every fault and its line."""
    faults = Faults(path)
    layers: dict[str, Layer] = {}
    first_line: dict[str, int] = {}
    for line, cells in read_cells(path, REQUIRED, OPTIONAL):
        name = cells["layer"]
        if not name:
            faults.add(line, "layer: blank, allowed: a name")
        elif name.startswith("gate:"):
            faults.add(line, f"layer: {name}: names starting with gate: are taken")
        elif name in layers:
            faults.add(line, f"layer: {name} stands twice, first on line {first_line[name]}")
        before = faults.count
        layer = _layer(line, cells, faults)
        if layer is not None and faults.count == before:
            _check_shape(line, layer, batch, faults)
        if layer is not None and name not in layers:
            layers[name], first_line[name] = layer, line
    faults.check()
    return tuple(layers.values())


def _layer(line: int, cells: dict[str, str], faults: Faults) -> Layer | None:
    kind = cells["kind"]
    if kind not in KINDS:
        faults.add(line, f"kind: {kind!r}, allowed: {', '.join(KINDS)}")
        return None
    values: dict[str, int] = {}
    sound = True
    columns = (*_COLUMNS[kind], *(OPTIONAL_PADDING if kind == "conv" else ()), "recomputes")
    for column in (*REQUIRED[2:-2], *OPTIONAL_PADDING, "recomputes"):
        text = cells.get(column, "")
        if column not in columns:
            blank_too = kind == "linear" and column == "groups" and text == "1"
            if text and not blank_too:
                faults.add(line, f"{column}: {text!r} does not apply to {kind}, must be blank")
            continue
        if not text and (column in _MAY_BE_BLANK or column in OPTIONAL):
            continue
        least = 0 if column.startswith("padding") or column == "recomputes" else 1
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
        most = _MOST.get(column, _MAX_SIZE)
        if not least <= number <= most:
            faults.add(line, f"{column}: {text!r}, allowed: a whole number {least} to {most}")
            sound = False
        values[column] = number
    grads = ("true", "false") + (("first", "second") if kind == "matmul" else ())
    if cells["needs_dgrad"] not in grads:
        faults.add(line, f"needs_dgrad: {cells['needs_dgrad']!r}, allowed: {', '.join(grads)}")
        sound = False
    needs_wgrad = cells.get("needs_wgrad", "")
    if needs_wgrad not in (("",) if kind == "matmul" else ("", "true", "false")):
        allowed = "blank: a matmul has none" if kind == "matmul" else "true, false, blank (true)"
        faults.add(line, f"needs_wgrad: {needs_wgrad!r}, allowed: {allowed}")
        sound = False
    if not sound:
        return None
    if kind == "conv":
        values.setdefault("padding_h_end", values["padding_h"])
        values.setdefault("padding_w_end", values["padding_w"])
    head = {"groups": values.pop("groups", 1), "in_channels": values.pop("in_channels")}
    return Layer(
        cells["layer"],
        kind,
        **head,
        out_channels=values.pop("out_channels"),
        needs_dgrad=cells["needs_dgrad"],
        gate_group=cells["gate_group"],
        needs_wgrad=needs_wgrad != "false",
        **values,
    )


def _check_shape(line: int, layer: Layer, batch: int, faults: Faults) -> None:
    for column, channels in (("in_channels", layer.in_channels), ("out_channels", layer.out_channels)):
        if channels % layer.groups:
            faults.add(line, f"{column}: {channels} is not divisible by groups {layer.groups}")
    for side, size, kernel, out in (
        ("h", layer.in_h, layer.kernel_h, layer.out_h),
        ("w", layer.in_w, layer.kernel_w, layer.out_w),
    ):
        positions = max(size, out)
        if out < 1:
            faults.add(line, f"kernel_{side}: the kernel is larger than the padded input")
        elif kernel > 1 and positions * kernel > _MAX_TAPS_OF_AN_AXIS:
            faults.add(
                line,
                f"kernel_{side}: {kernel} taps at {positions} positions, allowed up to "
                f"{_MAX_TAPS_OF_AN_AXIS} together: taps x positions along one axis",
            )
    spots = layer.in_h * layer.in_w * layer.rows + layer.out_h * layer.out_w
    words = batch * spots * max(layer.in_channels, layer.out_channels) + layer.in_channels * layer.out_channels
    if layer.macs(batch) * 1024 >= _MAX_BIT_OPS or words > _MAX_WORDS:
        faults.add(
            line, f"{layer.name}: {layer.macs(batch)} MACs a batch: counters would pass int64, allowed below 2^52"
        )
