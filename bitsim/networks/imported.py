"""What reading a network from a file gives: layers, and what cannot be said as layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bitsim.errors import InputError
from bitsim.networks.network import Network
from bitsim.networks.onnx_file import read_onnx
from bitsim.networks.scale_sim import read_scale_sim
from bitsim.networks.unsupported import Unsupported


@dataclass(frozen=True)
class ImportedNetwork:
    """A network to be run one sample at a time for one iteration, unless told otherwise."""

    network: Network
    skipped: tuple[Unsupported, ...]


def import_network(path: Path, dims: dict[str, int], skip_unsupported: bool = False) -> ImportedNetwork:
    """Read a SCALE-Sim topology (.csv) or an ONNX model (.onnx).

    dims: lengths of named dimensions of an ONNX model.  skip_unsupported: leave out what cannot be said as a layer.
    InputError naming each such node or line otherwise, and for a file that is neither.
    """
    if path.suffix == ".csv":
        if dims:
            raise InputError("--dim: a SCALE-Sim topology has no named dimensions, allowed with .onnx")
        layers, unsupported = read_scale_sim(path)
    elif path.suffix == ".onnx":
        layers, unsupported = read_onnx(path, dims)
    else:
        raise InputError(f"{path}: {path.suffix or 'no suffix'}: not a form that can be read, allowed: .csv, .onnx")
    if unsupported and not skip_unsupported:
        raise InputError(f"{path}:{item.where}: {item.what}" for item in unsupported)
    if not layers:
        raise InputError(f"{path}: no product in it that can be said as a layer, allowed: at least one")
    settings = f"layers imported from {path.name}"
    network = Network(path.stem, f"shapes of {path.name}", tuple(layers), frozenset(), 1, 1, None, settings)
    return ImportedNetwork(network, tuple(unsupported))
