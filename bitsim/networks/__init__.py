"""Networks as layer tables: the published ones by name, and those that files describe."""

from bitsim.networks.known import NAMES, known_network
from bitsim.networks.network import Network

__all__ = ["NAMES", "Network", "known_network"]
