"""Reports in headless Chromium: `./test -m browser`."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import axsim
from axsim.machine.timeline import Slice
from axsim.show.extrapolated import mark
from axsim.show.report.content import Report, gather
from axsim.show.report.write import write
from axsim.show.tables import number
from axsim.show.timelines import stage_timelines
from axsim.spec.chip import load_chip
from tests.runs.tiny import variants
from tests.show.report.browser import TimelineView, View, browsing

pytestmark = pytest.mark.browser

LEFT, RIGHT, DOWN, UP, SHIFT = "\ue012", "\ue014", "\ue015", "\ue013", "\ue008"
ESCAPE = "\ue00c"

CHIPS = {"ax630c": "224-u8", "ax650n": "448-u16"}
"""Chips with the variant that is not the first but looked at."""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    with browsing(tmp_path_factory.mktemp("profile")) as found:
        yield found


RUNS = {
    "ax630c": ("internvl2_1b", "ax630c", {}),
    "ax650n": ("internvl2_1b", "ax650n", {}),
    "too large": ("internvl3_2b", "ax630c", {"chip.dram.capacity_bytes": 2**31}),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Report, Path]]:
    """A report by its name with the file that it was written to, made when first asked for: those
    of :data:`RUNS`, and "tiny" with its kernels."""
    folder = tmp_path_factory.mktemp("reports")

    @cache
    def made(name: str) -> tuple[Report, Path]:
        path = folder / f"{name}.html"
        if name == "tiny":
            return axsim.report(variants(), load_chip("ax650n"), path), path
        workload, chip, keys = RUNS[name]
        result = axsim.run(workload, chip, overrides=keys, timing_only=True)
        report = gather(result, workload, chip, keys)
        write(report, path)
        return report, path

    return made


@pytest.fixture
def opened(driver, reports):
    """Opens a report by its name in :func:`reports`."""

    def opening(name: str) -> tuple[Report, View]:
        report, path = reports(name)
        return report, View(driver, path)

    return opening


@pytest.mark.parametrize("name", ["ax630c", "ax650n", "too large", "tiny"])
def test_it_loads_without_a_word_in_the_console_and_loads_nothing(opened, name: str) -> None:
    _, view = opened(name)
    assert view.console() == []
    assert view.run("return performance.getEntriesByType('resource').length") == 0
    assert view.run("return document.compatMode") == "CSS1Compat"


@pytest.mark.parametrize("name", CHIPS)
def test_tables_hold_the_numbers_of_the_run(opened, name: str) -> None:
    report, view = opened(name)
    rows = view.run(
        "return [...document.querySelectorAll('#variants tbody tr')]"
        ".map(row => [...row.cells].map(cell => cell.innerText))"
    )
    assert [row[0] for row in rows] == [each.name for each in report.result]
    for row, variant in zip(rows, report.result, strict=True):
        for metric in ("vision_encode_ms", "ttft_ms", "image_to_first_token_ms",
                       "decode_tokens_per_s"):  # fmt: skip
            cells = [cell.split("\n") for cell in row]
            prediction = variant.predictions[metric]
            cell = next(cell for cell in cells if cell[0] == number(prediction.value))
            assert cell[1] == f"±{prediction.interval.high:.0%}{mark(prediction)}"
            if prediction.measured is not None:
                assert cell[2].startswith(f"measured {number(prediction.measured.value)}")
    assert f"{report.validation.overall.mape:.1%}" in view.one("#validation").text


@pytest.mark.parametrize("name", CHIPS)
def test_one_variant_is_shown_and_can_be_chosen(opened, name: str) -> None:
    report, view = opened(name)
    shown = view.one("#answer .variant.shown")
    assert [each for each in view.all("#answer .variant") if each.is_displayed()] == [shown]
    for variant in reversed(list(report.result)):
        view.click(f"[data-choose='{variant.name}']")
        headline = view.one("#answer .variant.shown .headline").text
        value = number(variant.image_to_first_token_ms.value)
        assert headline.replace("\N{NO-BREAK SPACE}", " ").startswith(f"{value} ms ")
        assert view.one("#variant").get_attribute("value") == variant.name
        picked = view.all("#variants tr.picked")
        assert [row.find_element("css selector", "th").text for row in picked] == [variant.name]
        first = view.one("#breakdown .variant.shown tbody tr:nth-child(2)").text.split()
        assert first[:2] == ["vision", number(variant.vision_encode_ms.value)]
    view.run(
        "const s = document.getElementById('variant'); s.selectedIndex = 1;"
        "s.dispatchEvent(new Event('change'))"
    )
    assert view.one(".variant.shown .which b").text == report.result[1].name


def test_a_measured_value_leads_to_its_row(opened) -> None:
    report, view = opened("ax630c")
    row = report.result[0].vision_encode_ms.measured.ids[0]
    assert not view.one(f"#row-{row}").is_displayed()
    view.click(f"#variants a[href='#row-{row}']")
    view.settle()
    assert view.one(f"#row-{row}").is_displayed()
    assert row in view.one(f"#row-{row}").text


def test_synthetic_weights_are_named(opened) -> None:
    _, view = opened("tiny")
    section = view.one("#variants").text
    assert "Synthetic weights" in section
    row = view.one("#variants table tbody tr")
    cells = [each.text for each in row.find_elements("css selector", "td")]
    assert [text.split()[1:] for text in cells[-2:]] == [["synthetic", "weights"]] * 2


def test_what_does_not_fit_stands_over_the_end_of_the_dram(opened) -> None:
    report, view = opened("too large")
    memory = report.result[0].memory
    assert "does not fit" in view.one("#answer .variant.shown").text
    box = "const r = arguments[0].getBoundingClientRect(); return [r.left, r.right]"
    left, right = view.run(box, view.one("#memory .variant.shown .map"))
    limit, _ = view.run(box, view.one("#memory .variant.shown .map .limit"))
    assert (limit - left) / (right - left) == pytest.approx(
        memory.capacity / memory.total, abs=0.01
    )
    assert view.one("#memory .limit").text == "end of DRAM"


# ---- the timeline


def task_at(
    names: list[str], tasks: list[Slice], timeline: TimelineView, x: float, row: int
) -> Slice | None:
    """The task under a pixel of the canvas, as the machine ran it: one of ``tasks``, on engines of
    these names."""
    start, end = timeline.range
    gutter, width = timeline.view.run(
        "const c = arguments[0], p = c.getContext('2d'); p.save();"
        "p.font = `12px ${getComputedStyle(document.documentElement).fontFamily}`;"
        "const w = Math.max(44, ...arguments[1].map(n => p.measureText(n).width)); p.restore();"
        "return [10 + w, c.clientWidth]",
        timeline.canvas,
        names,
    )
    ns = start + (x - gutter) / (width - gutter) * (end - start)
    found = [
        each
        for each in tasks
        if each.task.engine == row and each.start_us * 1e3 <= ns <= each.end_us * 1e3
    ]
    return found[0] if len(found) == 1 else None


def row_middle(view: View, row: int) -> float:
    """The middle of an engine's row in the canvas; vision has a line of titles above."""
    titles = view.one("[data-role=stage]").get_attribute("value") == "vision"
    return 24 + 18 * titles + 24 * row + 9


@pytest.mark.parametrize("name", CHIPS)
def test_the_pointer_is_told_what_it_is_on(opened, name: str) -> None:
    report, view = opened(name)
    timeline = TimelineView(view)
    view.click(f"[data-choose='{CHIPS[name]}']")
    timeline = TimelineView(view)
    for _ in range(4):
        timeline.wheel(700, row_middle(view, 0), -600)
    ran = report.result[CHIPS[name]].planned.of("vision")[0].timeline
    tasks = list(ran.slices())
    names = [engine.name for engine in ran.program.engines]
    seen = 0
    for row, engine in enumerate(names):
        for x in range(200, 1000, 100):
            timeline.mouse("mouseMoved", x, row_middle(view, row))
            words = timeline.tip()
            if words is None or "start" not in words:
                continue
            task = task_at(names, tasks, timeline, x, row)
            if task is None:
                continue  # it is within reach of the pointer, not under it
            step = task.segment.steps[task.task.step]
            assert words[""].endswith(step.label)
            assert words["operator"] == step.operator
            assert words["engine"].startswith(f"{engine}, ")
            value, unit = words["start"].split()
            us = float(value) * {"ms": 1e3, "µs": 1}[unit]
            assert us == pytest.approx(task.start_us, abs=0.06)
            value, unit = words["duration"].split()
            us = float(value) * {"ms": 1e3, "µs": 1}[unit]
            assert us == pytest.approx(task.end_us - task.start_us, rel=0.01)
            if task.task.dram_bytes:
                size = re.sub(r"\D", "", words["bytes"].split(" (")[0])
                assert int(size) == round(task.task.dram_bytes)
            if task.task.kind == "compute" and step.macs:
                assert int(re.sub(r"\D", "", words["MACs"].split(" in ")[0])) == step.macs
            seen += 1
    assert seen >= 5
    timeline.mouse("mouseMoved", 500, -60)
    assert timeline.tip() is None
    assert view.console() == []


def test_the_wheel_zooms_about_the_pointer(opened) -> None:
    report, view = opened("ax630c")
    timeline = TimelineView(view)
    whole = round(report.result[0].planned.of("vision")[0].timeline.duration_us * 1e3)
    assert timeline.range == (0, whole)
    timeline.wheel(1080, 80, -500)
    start, end = timeline.range
    assert end - start < 0.5 * whole
    assert end > 0.95 * whole  # the pointer was near the right end
    timeline.wheel(1080, 80, 3000)
    assert timeline.range == (0, whole)


def test_the_page_scrolls_on_when_all_is_shown(opened) -> None:
    _, view = opened("ax630c")
    timeline = TimelineView(view)
    before = view.run("return scrollY")
    timeline.wheel(500, 80, 300)
    assert timeline.range[0] == 0
    view.driver.execute_async_script("setTimeout(arguments[0], 400)")
    assert view.run("return scrollY") > before
    TimelineView(view)
    before = view.run("return scrollY")
    timeline.wheel(500, 80, -300)
    assert view.run("return scrollY") == before


def test_dragging_moves(opened) -> None:
    _, view = opened("ax650n")
    timeline = TimelineView(view)
    timeline.wheel(600, 80, -900)
    start, end = timeline.range
    timeline.drag(700, 80, -200)
    moved, moved_end = timeline.range
    assert moved_end - moved == pytest.approx(end - start, abs=2)
    assert moved - start == pytest.approx(200 / 1020 * (end - start), rel=0.05)
    timeline.drag(300, 80, 5000)  # no further than the beginning
    assert timeline.range[0] == 0


def test_buttons_and_keys_zoom_and_move(opened) -> None:
    _, view = opened("ax630c")
    timeline = TimelineView(view)
    whole = timeline.span
    view.click("[data-role=in]")
    assert timeline.span < whole
    view.click("[data-role=out]")
    assert timeline.span == whole
    timeline.press("+", "+", "+")
    zoomed = timeline.span
    assert zoomed < 0.3 * whole
    start = timeline.range[0]
    timeline.press(SHIFT + RIGHT)
    assert timeline.range[0] - start == pytest.approx(0.2 * zoomed, rel=0.01)
    timeline.press("-")
    assert timeline.span > zoomed
    timeline.press("0")
    assert timeline.span == whole
    timeline.press("+")
    view.click("[data-role=all]")
    assert timeline.span == whole


def test_the_keyboard_goes_from_task_to_task(opened) -> None:
    report, view = opened("ax630c")
    timeline = TimelineView(view)
    tasks = [
        [
            each
            for each in report.result[0].planned.of("vision")[0].timeline.slices()
            if each.task.engine == engine
        ]
        for engine in range(4)
    ]
    timeline.press(RIGHT)
    for each in tasks[0][:30]:
        words = timeline.tip()
        assert words is not None
        assert words[""].endswith(each.segment.steps[each.task.step].label)
        value, unit = words["start"].split()
        assert float(value) * {"ms": 1e3, "µs": 1}[unit] == pytest.approx(each.start_us, abs=0.06)
        timeline.press(RIGHT)
    timeline.press(LEFT)
    words = timeline.tip()
    assert words is not None
    start, end = timeline.range
    assert start <= tasks[0][29].start_us * 1e3 <= end
    for row, engine in ((1, "teng1"), (2, "sdma3.rd"), (3, "sdma3.wr")):
        timeline.press(DOWN)
        words = timeline.tip()
        assert words is not None
        assert words["engine"].startswith(f"{engine}, "), row
    timeline.press(UP)
    words = timeline.tip()
    assert words is not None
    assert words["engine"].startswith("sdma3.rd, ")
    timeline.press(ESCAPE)
    assert timeline.tip() is None


def test_every_subgraph_of_the_variant_can_be_shown(opened) -> None:
    report, view = opened("too large")
    timeline = TimelineView(view)
    options = [each.text for each in view.all("[data-role=stage] option")]
    assert options == ["vision", "prefill 1", "prefill 2", "prefill 3", "decode", "post"]
    for part, each in stage_timelines(report.result[0]).items():
        name = part.name
        view.click(f"[data-role=stage] option[value='{name}']")
        assert timeline.range == (0, round(each.duration_us * 1e3))
        assert timeline.canvas.get_attribute("aria-label").startswith(f"Timeline of {name}: ")
    view.click(f"[data-choose='{report.result[1].name}']")
    assert view.one("[data-role=stage]").get_attribute("value") == "post"  # stays chosen


def colours(view: View) -> int:
    """How many colours the canvas has."""
    return int(
        view.run(
            "const c = document.querySelector('.frame canvas');"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "const seen = new Set();"
            "for (let i = 0; i < d.length; i += 4) seen.add(d[i] << 16 | d[i+1] << 8 | d[i+2]);"
            "return seen.size"
        )
    )


def test_the_critical_path_stands_out(opened) -> None:
    _, view = opened("ax630c")
    timeline = TimelineView(view)
    view.click("[data-role=stage] option[value=decode]")
    assert colours(view) > 20
    picture = "return document.querySelector('.frame canvas').toDataURL()"
    before = view.run(picture)
    view.click("[data-role=path]")
    view.settle()
    assert view.run(picture) != before
    view.click("[data-role=path]")
    view.settle()
    assert view.run(picture) == before
    assert timeline.range[0] == 0


# ---- phone, dark, paper


@pytest.mark.parametrize("name", ["ax630c", "ax650n", "too large", "tiny"])
def test_a_phone_has_no_horizontal_scrolling_of_the_page(opened, name: str) -> None:
    _, view = opened(name)
    view.reload(360, touch=True)
    view.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
    view.settle()
    assert view.run("return document.documentElement.scrollWidth") == 360
    assert view.run("return document.body.scrollWidth") <= 360
    boxes = view.run(
        "return [...document.querySelectorAll('.scroll')].filter(b => b.offsetParent)"
        ".map(b => [b.getBoundingClientRect().right, b.scrollWidth > b.clientWidth])"
    )
    assert all(right <= 360 for right, _ in boxes)
    assert any(scrolls for _, scrolls in boxes)
    size = "return parseFloat(getComputedStyle(document.querySelector('td')).fontSize)"
    assert view.run(size) >= 13


def test_fingers_zoom_move_and_point(opened) -> None:
    _, view = opened("ax630c")
    view.reload(360, touch=True)
    timeline = TimelineView(view)
    whole = timeline.span
    y = row_middle(view, 0)
    timeline.touch("touchStart", (170, y), (230, y))
    for apart in (50, 70, 90):
        timeline.touch("touchMove", (200 - apart, y), (200 + apart, y))
    timeline.touch("touchEnd")
    assert timeline.span < 0.5 * whole
    start, end = timeline.range
    timeline.touch("touchStart", (250, y))
    for x in (230, 190, 150):
        timeline.touch("touchMove", (x, y))
    timeline.touch("touchEnd")
    moved, _ = timeline.range
    assert moved > start
    assert timeline.span == pytest.approx(end - start, abs=2)
    for x in range(100, 320, 20):
        timeline.touch("touchStart", (x, y))
        timeline.touch("touchEnd")
        if timeline.tip() is not None:
            break
    words = timeline.tip()
    assert words is not None
    assert "duration" in words
    right = "return document.querySelector('.tip').getBoundingClientRect().right"
    assert view.run(right) <= 360
    assert view.run("return document.documentElement.scrollWidth") == 360


CONTRAST = """
const parse = (text) => {
  const numbers = text.match(/[-.\\d]+(e-?\\d+)?/g).map(Number);
  const scale = text.startsWith("color(") ? 1 : 255;
  return {rgb: numbers.slice(0, 3).map((n) => n / scale), alpha: numbers[3] ?? 1};
};
const light = ({rgb}) => rgb
  .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const over = (top, under) => ({
  rgb: top.rgb.map((c, i) => c * top.alpha + under.rgb[i] * (1 - top.alpha)), alpha: 1});
const ground = (element) => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour.alpha) layers.push(colour);
    if (colour.alpha === 1) break;
  }
  return layers.reduceRight((under, top) => over(top, under), parse("rgb(255, 255, 255)"));
};
const low = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !element.offsetParent || element.closest("svg, script")) continue;
  const back = ground(element);
  const [a, b] = [light(over(parse(getComputedStyle(element).color), back)), light(back)];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const name = element.className || element.tagName;
  if (ratio < 4.5) low.push(`${name} ${element.textContent}: ${ratio}`);
}
return low;
"""
"""Elements whose text has less contrast to what is behind it than WCAG 2 asks at level AA."""

BACKGROUND = "return getComputedStyle(document.body).backgroundColor"


def brightness(view: View) -> float:
    """Of the page's background, 0 to 1."""
    rgb = [int(n) for n in re.findall(r"\d+", view.run(BACKGROUND))[:3]]
    return sum(rgb) / 3 / 255


@pytest.mark.parametrize("name", ["ax630c", "too large"])
@pytest.mark.parametrize("dark", [False, True])
def test_all_text_has_contrast(opened, name: str, dark: bool) -> None:
    _, view = opened(name)
    view.reload(dark=dark)
    view.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert (brightness(view) < 0.2) == dark
    assert view.run(CONTRAST) == []


def test_dark_follows_the_system_and_the_switch(opened) -> None:
    _, view = opened("ax630c")
    timeline = TimelineView(view)
    corner = (
        "const d = arguments[0].getContext('2d').getImageData(2, 2, 1, 1).data;"
        "return (d[0] + d[1] + d[2]) / 3 / 255"
    )
    dimmed = "return getComputedStyle(document.querySelector('.picture svg')).filter"
    for dark in (False, True, False):
        view.prefer(dark=dark)
        view.settle()
        assert (brightness(view) < 0.2) == dark
        assert (view.run(corner, timeline.canvas) < 0.2) == dark
        assert ("brightness" in view.run(dimmed)) == dark
    button = view.one("#theme")
    for dark in (True, False):
        button.click()
        view.settle()
        assert (brightness(view) < 0.2) == dark
        assert (view.run(corner, timeline.canvas) < 0.2) == dark
        assert ("brightness" in view.run(dimmed)) == dark
        assert button.get_attribute("aria-pressed") == str(dark).lower()


@pytest.mark.parametrize("name", ["ax630c", "too large"])
def test_paper_is_light_whole_and_without_controls(opened, name: str) -> None:
    _, view = opened(name)
    view.reload(718, dark=True)  # A4 within its margins
    view.prefer(dark=True, media="print")
    view.run("dispatchEvent(new Event('beforeprint'))")
    view.settle()
    assert brightness(view) == 1
    assert not [each for each in view.all(".bar, .controls, .tip") if each.is_displayed()]
    assert all(view.run("return [...document.querySelectorAll('details')].map(d => d.open)"))
    cut = view.run(
        "return [...document.querySelectorAll('.scroll, .frame')].filter(b => b.offsetParent)"
        ".filter(b => b.scrollWidth > b.clientWidth + 1).map(b => b.ariaLabel)"
    )
    assert cut == []
    assert view.run("return document.documentElement.scrollWidth") <= 718
    view.run("dispatchEvent(new Event('afterprint'))")
    assert not any(view.run("return [...document.querySelectorAll('details')].map(d => d.open)"))


def test_it_prints(opened) -> None:
    _, view = opened("ax630c")
    view.console()
    found = view.devtools("Page.printToPDF", preferCSSPageSize=True, paperWidth=8.27,
                          paperHeight=11.69)  # fmt: skip
    document = base64.b64decode(found["data"])
    assert document.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", document))
    assert 5 <= pages <= 25
    assert view.console() == []


def test_without_scripts_everything_is_shown(opened) -> None:
    report, view = opened("ax630c")
    view.devtools("Emulation.setScriptExecutionDisabled", value=True)
    try:
        view.devtools("Page.navigate", url=view.address)
        shown = [each for each in view.all("#answer .variant") if each.is_displayed()]
        assert len(shown) == len(report.result)
        assert not view.one(".timeline").is_displayed()
    finally:
        view.devtools("Emulation.setScriptExecutionDisabled", value=False)
