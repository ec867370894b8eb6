"""Commands on a page with what they print; ``python -m tests.page_examples PAGE`` writes the printed parts again."""

import contextlib
import io
import re
import sys
from pathlib import Path

from bitsim.cli.main import main

# A command in a block of its own, then a block of what it prints.
EXAMPLE = re.compile(r"```bash\nbitsim (explain [^\n]+)\n```\n```\n(.*?)```", re.DOTALL)


def printed(command):
    """What a command writes to stdout; it must succeed."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main(command.split())
        except SystemExit as stop:
            assert not stop.code, command
    return out.getvalue()


if __name__ == "__main__":
    page = Path(sys.argv[1])
    text = EXAMPLE.sub(lambda m: f"```bash\nbitsim {m[1]}\n```\n```\n{printed(m[1])}```", page.read_text())
    page.write_text(text)
