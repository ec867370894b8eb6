"""``python -m bitsim`` is the command ``bitsim``."""

from bitsim.cli import main

if __name__ == "__main__":
    main()
