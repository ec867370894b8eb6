"""Architecture: imports go one way, accelerators know only the seam, the heavy ones load late."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import bitsim

PACKAGE = Path(bitsim.__file__).parent
# Lower first; a module may import its own layer and those before it.
LAYERS = [
    {"drafts", "errors", "units"},
    {"strict_yaml", "data", "workload", "kernels", "schedules"},
    {"technology", "trace", "hardware"},
    {"analytical"},
    {"accelerators", "record", "networks", "synthetic"},
    {"area", "conditions", "energy", "iso", "mapping"},
    {"simulation"},
    {"explain"},
    {"report", "reproduce", "exploration"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: i for i, layer in enumerate(LAYERS) for name in layer}


def room(path):
    """Top-level name of a file inside the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """(module, top level of the package it is in) of every bitsim import, at whatever depth."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bitsim"):
            base = node.module.split(".")
            names = [base[1]] if len(base) > 1 else [alias.name for alias in node.names]
            for name in names:
                yield node.module, name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("bitsim."):
                    yield alias.name, alias.name.split(".")[1]


def files():
    return [p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py" or p.parent != PACKAGE]


def test_every_room_has_a_level():
    assert {room(p) for p in files()} == set(LEVEL)


def test_imports_go_one_way():
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in files()
        for module, target in imports(path)
        if target in LEVEL and LEVEL[target] > LEVEL[room(path)]
    ]
    assert wrong == []


def test_accelerators_never_import_each_other():
    folder = PACKAGE / "accelerators"
    machines = {
        f"bitsim.accelerators.{path.stem}"
        for path in folder.glob("*.py")
        if path.stem != "seam" and re.search(r"^class Accelerator\(", path.read_text(), re.MULTILINE)
    }
    wrong = [
        f"{p.name} imports {module}" for p in folder.glob("*.py") for module, _ in imports(p) if module in machines
    ]
    assert len(machines) >= 4 and wrong == []


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom bitsim.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = ('numba', 'pandas', 'pyarrow', 'pydantic', 'numpy', 'torch', 'jinja2', 'plotly')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_a_small_trace_is_read_without_compiling():
    code = "import sys, bitsim\nbitsim.open_trace('resnet38_cifar_pfq')\nprint('numba' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "False"
