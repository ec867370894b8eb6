"""Names are shown as they were given, whatever a terminal library would take them for."""

import shutil

import pytest

import bitsim


@pytest.mark.parametrize("name", ["[bold]", ":smile:", "[/x]"])
def test_names_are_not_markup(bitsim_command, trace_folder, tmp_path, name):
    folder = tmp_path / ("[/x]" if name == "[/x]" else "machines")
    folder.mkdir(parents=True)
    machine = folder / f"{name.replace('/', '')}.yaml"
    shutil.copyfile(bitsim.load_hardware("bitfusion_16x32_192b").source.path, machine)
    trace = trace_folder()
    for command in (
        ("hw", "show", machine),
        ("hw", "area", machine),
        ("run", trace, "--hw", machine),
        ("compare", trace, "--hw", machine, "--hw", "int8_16x32_192b"),
    ):
        status, out, err = bitsim_command(*command)
        assert status == 0 and machine.stem in "".join(out.split()), err  # a long title is wrapped
