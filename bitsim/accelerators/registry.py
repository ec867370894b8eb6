"""From a machine file to a machine: the file names its accelerator, nothing lists them."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from bitsim import accelerators
from bitsim.accelerators.seam import Accelerator
from bitsim.errors import InputError
from bitsim.hardware.machine_file import MachineSource, read_machine
from bitsim.kernels.program import PortTiming


@dataclass(frozen=True)
class Machine:
    """A checked machine: its accelerator and the file it came from."""

    accelerator: Accelerator
    source: MachineSource

    @property
    def name(self) -> str:
        """Name in results: that of the file."""
        return self.source.name

    @property
    def structure(self) -> str:
        """What mapping and timing depend on beside the sizes of buffers, as text: equal means alike.

        Taken from the machine file, so that a default written out counts as another structure; clock and memory
        are in it as the port they make.
        """
        apart = {"clock", "memory", *self.accelerator.price_keys, *self.accelerator.size_keys}
        said = {key: value for key, value in self.source.content.items() if key not in apart}
        return json.dumps([said, str(self.rate), str(self.port)], sort_keys=True, default=str)

    @property
    def clock_hz(self) -> Fraction:
        """Cycles a second, exact."""
        return self.accelerator.config.clock

    @property
    def rate(self) -> Fraction:
        """Bits a cycle of the memory port, exact."""
        return self.accelerator.config.memory.rate_bits_per_cycle(self.clock_hz)

    @property
    def port(self) -> PortTiming:
        """Constants of the tile recurrence."""
        config = self.accelerator.config
        return PortTiming(
            config.memory.latency_in_cycles(self.clock_hz),
            config.memory.turnaround_cycles,
            config.microarchitecture.setup_cycles,
            config.microarchitecture.reconfigure_cycles,
        )


def accelerator_class(name: str) -> type[Accelerator]:
    """The class `Accelerator` of bitsim.accelerators.NAME, or of package.module."""
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name):
        raise InputError(f"accelerator: {name!r} is not the name of a machine, allowed: {_known()}")
    module = name if "." in name else f"bitsim.accelerators.{name}"
    try:
        found = _machine_of(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        found = None
    if found is None:
        raise InputError(f"accelerator: {name}: no such machine, allowed: {_known()}, or package.module of your own")
    if lacking := sorted(found.__abstractmethods__):
        raise InputError(f"accelerator: {name}: its class Accelerator lacks {', '.join(lacking)}")
    return found


def _machine_of(module: str) -> type[Accelerator] | None:
    """Its class `Accelerator`, if it has one of its own that derives from the seam's."""
    found = getattr(importlib.import_module(module), "Accelerator", None)
    derived = isinstance(found, type) and issubclass(found, Accelerator) and found is not Accelerator
    return found if derived else None


def _known() -> str:
    modules = (m.name for m in pkgutil.iter_modules(accelerators.__path__))
    return ", ".join(sorted(name for name in modules if _machine_of(f"{accelerators.__name__}.{name}")))


def load_hardware(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> Machine:
    """Load a machine from a path, or a shipped one by name, with overrides by key path.

    ``load_hardware("bitfusion_16x32_192b", {"array.cols": 24})``.
    Raises InputError naming file, line, key and what is allowed, all faults at once.
    """
    return build(read_machine(name_or_path, overrides))


def build(source: MachineSource) -> Machine:
    """The machine a file describes.  Raises InputError naming file, line, key and what is allowed, all at once."""
    name = source.accelerator
    try:
        kind = accelerator_class(name)
    except InputError as error:
        raise InputError(source.located(str(error))) from None
    return Machine(kind(source.check(kind.config_model)), source)
