"""bitsim: a cycle-accurate simulator of accelerators for low-precision DNN training.

``open_trace``, ``load_hardware`` and ``simulate`` are the way in; nothing heavy loads before they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from bitsim.accelerators.registry import Machine, load_hardware
    from bitsim.area import Area, area_of
    from bitsim.errors import InputError, MappingError
    from bitsim.iso import resize
    from bitsim.simulation.compare import compare
    from bitsim.simulation.result import Result
    from bitsim.simulation.run import simulate
    from bitsim.trace import Trace, open_trace

_HOMES = {
    "open_trace": "bitsim.trace",
    "Trace": "bitsim.trace",
    "load_hardware": "bitsim.accelerators.registry",
    "Machine": "bitsim.accelerators.registry",
    "Area": "bitsim.area",
    "area_of": "bitsim.area",
    "resize": "bitsim.iso",
    "simulate": "bitsim.simulation.run",
    "Result": "bitsim.simulation.result",
    "compare": "bitsim.simulation.compare",
    "InputError": "bitsim.errors",
    "MappingError": "bitsim.errors",
}

__all__ = [
    "Area",
    "InputError",
    "Machine",
    "MappingError",
    "Result",
    "Trace",
    "__version__",
    "area_of",
    "compare",
    "load_hardware",
    "open_trace",
    "resize",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'bitsim' has no attribute {name!r}")
