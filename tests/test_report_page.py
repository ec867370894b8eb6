"""The page of `bitsim report` in a browser: it loads alone, draws the result's values, and answers mouse and keys."""

import csv
import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import bitsim
from bitsim.report.folder import write_folder
from bitsim.report.html import write_report
from bitsim.report.result_folder import read_folder
from tests.browser import needs_browser, opened, running_browser

pytestmark = [pytest.mark.slow, needs_browser]

MACHINES = ("bitfusion_16x32_192b", "eyeriss_12x14_108k_500mhz")
RANGE = (120, 280)  # three steps of the ladder
PLOT = "document.querySelector('#figure-{} .plot')"


@pytest.fixture(scope="module")
def browser():
    with running_browser() as found:
        yield found


@pytest.fixture(scope="module")
def results():
    trace = bitsim.open_trace("resnet20_digits_pfq")
    return [bitsim.simulate(trace, bitsim.load_hardware(name), iterations=RANGE) for name in MACHINES]


@pytest.fixture(scope="module")
def page_file(results, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "out"
    write_folder(folder, results)
    write_report(read_folder(folder), folder / "report.html")
    return folder / "report.html"


@pytest.fixture
def page(browser, page_file):
    with opened(browser, page_file) as found:
        yield found.page


def data_of(page, figure):
    """The traces plotly holds of a figure."""
    return page.evaluate(f"JSON.parse(JSON.stringify({PLOT.format(figure)}.data))")


def column(page, table, number):
    """A column of a table as it stands."""
    return page.locator(f"#{table}-table tbody tr:visible td:nth-child({number})").all_text_contents()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_loads_alone_at_any_width(browser, page_file, width, scheme):
    with opened(browser, page_file, width, scheme) as found:
        page = found.page
        assert found.requests == [page_file.resolve().as_uri()]
        assert found.problems == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        plots = page.locator(".plot").all()
        assert len(plots) == 8
        for plot in plots:
            box, drawing = plot.bounding_box(), plot.locator(".main-svg").first.bounding_box()
            assert drawing["width"] == pytest.approx(box["width"], abs=1)
            assert drawing["height"] == pytest.approx(box["height"], abs=1)
            assert plot.locator(".trace, .hm image, .bars, .scatterlayer path").count() > 0
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 28)"
        )


def test_nothing_but_the_file_may_be_loaded(page):
    """The policy of the page holds even for scripts that are added to it."""
    blocked = page.evaluate(
        "new Promise(done => { addEventListener('securitypolicyviolation', event => done(event.blockedURI));"
        " fetch('https://example.org/').catch(() => {}); setTimeout(() => done('nothing'), 5000); })"
    )
    assert blocked.startswith("https://example.org")


def test_bars_are_as_long_as_the_energies(page, results):
    data = data_of(page, "energy")
    for panel, result in zip(("x", "x2"), results, strict=True):
        parts = {bar["name"]: bar["x"][0] for bar in data if bar.get("xaxis", "x") == panel}
        per_iteration_mj = {
            name[:-3].replace("_", " ").replace("dram", "DRAM"): result.totals[name] * 1e-9 / result.iterations
            for name in result.energy_columns[:-1]
        }
        for name, value in per_iteration_mj.items():
            assert parts.get(name, 0) == pytest.approx(value, rel=1e-5), name
        assert sum(parts.values()) == pytest.approx(result.totals["energy_j"] * 1e3 / result.iterations, rel=1e-5)
    # What is drawn, in pixels: one scale for all bars of both machines.
    lengths_px = page.evaluate(
        "[...document.querySelectorAll('#figure-energy .bars .point path')].map(path => path.getBBox().width)"
    )
    values = [value for panel in ("x", "x2") for bar in data if bar.get("xaxis", "x") == panel for value in bar["x"]]
    drawn = [(px, value) for px, value in zip(lengths_px, values, strict=True) if value > 0.05]
    scale = np.array([px / value for px, value in drawn])
    assert len(drawn) > 10 and scale.max() / scale.min() < 1.02


def test_training_holds_every_iteration(page, results):
    lines = {(line["name"], line["yaxis"]): line for line in data_of(page, "training")}
    for result in results:
        for axis, name, factor in (("y2", "latency_s", 1e3), ("y3", "energy_j", 1e3)):
            line = lines[result.machine.name, axis]
            steps = np.diff(line["x"])
            assert (line["x"][0], line["x"][-1]) == RANGE
            total = (np.array(line["y"][:-1]) * steps).sum() / factor
            assert total == pytest.approx(result.totals[name], rel=1e-5)
    assert lines["activation bits", "y"]["y"][0] == 3 and lines["activation bits", "y"]["y"][-1] == 8
    loss = lines["training loss", "y4"]
    assert (
        dict(zip(loss["x"], loss["y"], strict=True))[200] == results[0].trace.run.loss["train"][19]
    )  # the end of epoch 20
    assert page.locator("#figure-training .shapelayer path").count() == 3  # 140, 210 and 260


def test_dots_lie_where_axes_say(page, results):
    """Roofline: the dots' places on the screen, read back through the axes, are MACs a byte and MACs a second."""
    rows, clock = results[0].rows, float(results[0].machine.clock_hz)
    keys = ["layer", "pass", "input_hw_bits", "weight_hw_bits"]
    times = rows["occurrences"] * rows["iterations"]
    sums = (
        rows[["macs", "cycles", "dram_read_bits", "dram_write_bits"]]
        .mul(times, axis=0)
        .groupby([rows[key] for key in keys])
        .sum()
    )
    expected = sorted(
        zip(sums.macs * 8 / (sums.dram_read_bits + sums.dram_write_bits), sums.macs / sums.cycles * clock, strict=True)
    )
    seen = page.evaluate(
        f"""(() => {{
          const plot = {PLOT.format("roofline-0")}, layout = plot._fullLayout;
          const area = plot.querySelector('.nsewdrag').getBoundingClientRect();
          return [...plot.querySelectorAll('.scatterlayer .points path')].map(path => {{
            const box = path.getBoundingClientRect();
            const x = box.x + box.width / 2 - area.x, y = box.y + box.height / 2 - area.y;
            return [10 ** layout.xaxis.p2l(x), 10 ** layout.yaxis.p2l(y)];
          }});
        }})()"""
    )
    assert len(seen) == len(expected)
    assert np.log(sorted(x for x, _ in seen)) == pytest.approx(np.log([x for x, _ in expected]), abs=0.02)
    assert np.log(sorted(y for _, y in seen)) == pytest.approx(np.log(sorted(y for _, y in expected)), abs=0.02)


def test_views_change_what_is_drawn(page):
    page.locator("#figure-energy label", has_text="share").click()
    shares = [bar["x"] for bar in data_of(page, "energy") if bar.get("xaxis", "x") == "x2"]
    assert np.sum(shares, axis=0) == pytest.approx(np.full(4, 100), rel=1e-4)
    assert page.locator("#figure-energy .x2title").text_content() == "share of energy, %"
    first = data_of(page, "layers")[0]["z"]
    page.locator("#figure-layers input").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#figure-layers input:checked").get_attribute("value") == "1"
    assert data_of(page, "layers")[0]["z"] != first
    assert "energy" in page.locator("#figure-layers .cbcoloraxis").text_content()


def test_tables_sort_by_value(page):
    times = page.locator("#rows-table th button", has_text="time").first
    values = "[...document.querySelectorAll('#rows-table tbody tr')].map(row => Number(row.cells[4].dataset.value))"
    as_run = page.evaluate(values)
    times.click()
    assert page.evaluate(values) == sorted(as_run, reverse=True) != as_run
    assert times.locator("..").get_attribute("aria-sort") == "descending"
    times.focus()
    page.keyboard.press("Enter")
    assert page.evaluate(values) == sorted(as_run)
    assert times.locator("..").get_attribute("aria-sort") == "ascending"
    page.locator("#rows-table th button", has_text="layer").click()
    names = column(page, "rows", 2)
    assert names[0] == "conv1" and names == sorted(names)
    assert page.locator("#rows-table th[aria-sort=none]").count() == 10


def test_rows_are_found_by_word(page):
    everything = len(column(page, "rows", 1))
    page.locator("[data-filter=rows]").fill("fc eyeriss")
    assert set(column(page, "rows", 2)) == {"fc"} and set(column(page, "rows", 1)) == {MACHINES[1]}
    page.locator("[data-filter=rows]").fill("")
    assert len(column(page, "rows", 1)) == everything


def luminance(colour):
    """Relative luminance (WCAG 2) of a CSS colour rgb(r, g, b)."""
    channels = np.array([float(part) for part in colour[4:-1].split(",")]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_themes_are_legible_and_change(browser, page_file, scheme):
    def contrasts():
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        inks = page.evaluate(
            "['body', 'h1', '.note', 'figcaption', '.caution', 'nav a', '.trace', 'td']"
            ".map(name => getComputedStyle(document.querySelector(name)).color)"
        )
        inks += page.evaluate(
            "[...document.querySelectorAll('.xtick text, .ytick text, .legendtext')].map(t => getComputedStyle(t).fill)"
        )
        levels = [sorted((luminance(ink), luminance(ground))) for ink in inks]
        return ground, [(light + 0.05) / (dark + 0.05) for dark, light in levels]

    with opened(browser, page_file, scheme=scheme) as found:
        page = found.page
        ground, ratios = contrasts()
        assert min(ratios) >= 4.5
        page.locator("#theme").focus()
        page.keyboard.press("Enter")
        other, ratios = contrasts()
        assert min(ratios) >= 4.5 and other != ground
        page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
        page.emulate_media(color_scheme=scheme)
        assert contrasts()[0] == other  # what was chosen stays
        assert found.problems == []


def test_the_theme_follows_the_system_until_chosen(page):
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_selector(f"html[data-theme={scheme}]", timeout=5000)


def test_figures_are_saved_for_paper(browser, page_file):
    """As SVG: light and without ground even from the dark page, of one width whatever the window's."""
    words_in = {"training": "iteration", "precision": "layer1.0.conv1", "energy": "DRAM", "cycles": "wait load"}
    words_in |= {"roofline-0": "MACs a second", "layers": "wgrad", "ratios": "eyeriss"}
    with opened(browser, page_file, width=400, scheme="dark") as found:
        for figure, expected in words_in.items():
            with found.page.expect_download() as download:
                found.page.locator(f"#figure-{figure} [data-save=svg]").click()
            assert download.value.suggested_filename == f"{figure}.svg"
            text = Path(download.value.path()).read_text()
            root = ElementTree.fromstring(text)
            assert root.tag.endswith("svg") and root.get("width") == "760"
            assert "rgb(27, 31, 36)" in text and "rgb(232, 235, 239)" not in text, figure
            words = " ".join("".join(node.itertext()) for node in root.iter() if node.tag.endswith("text"))
            assert expected in words


def test_values_are_saved_as_csv(page, results):
    with page.expect_download() as download:
        page.locator("#figure-energy [data-save=csv]").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    whole = [row for row in rows if row["y"] == "all passes" and row["panel"] == MACHINES[1]]
    total = sum(float(row["x"]) for row in whole)
    assert total == pytest.approx(results[1].totals["energy_j"] * 1e3 / results[1].iterations, rel=1e-4)


def test_figures_are_read_with_the_keys(page):
    plot = page.locator("#figure-cycles .plot")
    plot.focus()
    page.keyboard.press("ArrowRight")
    said = page.locator("#figure-cycles .hoverlayer .hovertext")
    first, second = data_of(page, "cycles")[0]["x"][:2]
    said.filter(has_text=f"issue: {first:.4g}").wait_for()
    page.keyboard.press("ArrowRight")
    said.filter(has_text=f"issue: {second:.4g}").wait_for()
    page.keyboard.press("ArrowLeft")
    said.filter(has_text=f"issue: {first:.4g}").wait_for()
    page.keyboard.press("Escape")
    said.wait_for(state="detached")


def test_keys_reach_everything(page):
    """Tab goes from the link past the bar through controls, figures and tables, each with a visible focus."""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "(e => e.id || e.dataset.save || e.dataset.filter || e.name || e.classList[0] || e.tagName)"
            "(document.activeElement)"
        )
        outline = page.evaluate(
            "(e => getComputedStyle(e.type === 'radio' ? e.nextElementSibling : e).outlineStyle)"
            "(document.activeElement)"
        )
        if name == "BODY":
            break
        assert outline != "none", name
        reached.add(name)
    assert {"theme", "svg", "csv", "plot", "scroll", "rows", "view-energy", "SUMMARY"} <= reached


HOSTILE = "</script><img src=x onerror=document.title='taken'>"


@pytest.mark.parametrize("layers", [1, 600])
def test_any_number_of_layers_of_any_name(browser, tmp_path, layers):
    folder = tmp_path / "trace"
    folder.mkdir()
    (folder / "run.yaml").write_text(
        f'schema: 1\nname: hostile\nmodel: "{HOSTILE}"\ndataset: none\nbatch: 4\niterations: 5\nsource: test\n'
        "synthetic: true\n"
    )
    columns = "layer,kind,groups,in_channels,out_channels,in_h,in_w,kernel_h,kernel_w,stride_h,stride_w,padding_h,"
    columns += "padding_w,dilation_h,dilation_w,rows,needs_dgrad,gate_group\n"
    names = [f"{HOSTILE} {i}" for i in range(layers)]
    (folder / "layers.csv").write_text(columns + "".join(f"{n},linear,,8,8,,,,,,,,,,,1,true,\n" for n in names))
    head = "iteration_start,iteration_end,layer,samples,activation_bits,weight_bits,gradient_bits\n"
    (folder / "precision.csv").write_text(head + "".join(f"0,5,{name},,4,4,8\n" for name in names))
    out = tmp_path / "out"
    write_folder(out, [bitsim.simulate(bitsim.open_trace(folder), bitsim.load_hardware(MACHINES[0]))])
    write_report(read_folder(out), out / "report.html")
    with opened(browser, out / "report.html") as found:
        assert found.problems == [] and len(found.requests) == 1
        assert found.page.title() == "trace: bitsim report"
        assert found.page.locator("main img").count() == 0
        assert f"{HOSTILE} 0" in column(found.page, "rows", 2)
        bands = data_of(found.page, "layers")[0]["x"]
        assert len(bands) == (1 if layers == 1 else 200)
        ticks = found.page.locator("#figure-layers .xaxislayer-above text").all_text_contents()
        assert any(HOSTILE in tick for tick in ticks)
        noted = found.page.locator("#figure-layers .note").count()
        assert noted == (layers > 250)
        assert len(column(found.page, "rows", 1)) == min(3 * layers, 1000)
