"""Accelerators, one file each.  `load_hardware` finds the right one for a machine file."""

from bitsim.accelerators.registry import Machine, load_hardware

__all__ = ["Machine", "load_hardware"]
