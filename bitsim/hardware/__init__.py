"""Machine files: what is common to all machines (clock, memory, storage, technology) and how they are read."""

from bitsim.hardware.machine_file import MachineSource, read_machine
from bitsim.hardware.schema import MachineConfig, Memory, Storage, Technology

__all__ = ["MachineConfig", "MachineSource", "Memory", "Storage", "Technology", "read_machine"]
