"""The command line.  Bad input: message on stderr, exit 2. A bug: short message and a log, exit 3."""

from bitsim.cli.main import main

__all__ = ["main"]
