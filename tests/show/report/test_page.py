"""The page as a document: well formed, self-contained, with the numbers of the run."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

import axsim
from axsim.compiler.partition import MEBI
from axsim.show.extrapolated import mark
from axsim.show.report import content
from axsim.show.report.content import Report, gather
from axsim.show.report.page import SECTIONS, page
from axsim.show.report.variants_table import SYNTHETIC
from axsim.show.tables import number
from axsim.spec.chip import load_chip
from axsim.spec.describe import explain
from axsim.spec.descriptor import override
from axsim.spec.workload import load_workload
from tests.runs.tiny import variants
from tests.show.report.reading import Page


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for the sake of speed."""
    monkeypatch.setattr(content, "draw", lambda *_: {})


@pytest.fixture(scope="module")
def report() -> Report:
    chosen = ["224-u8", "448-u16"]
    result = axsim.run("internvl2_1b", "ax630c", variants=chosen, timing_only=True)
    return gather(result, "internvl2_1b", "ax630c", command="axsim report …")


@pytest.fixture(scope="module")
def text(report: Report) -> str:
    return page(report)


@pytest.fixture(scope="module")
def found(text: str) -> Page:
    return Page(text)


@pytest.fixture
def kernels(tmp_path: Path, without_pictures: None) -> tuple[Report, Page]:
    """A tiny model with its kernels."""
    path = tmp_path / "tiny.html"
    chip = load_chip("ax650n")
    report = axsim.report(variants(), chip, path)
    return report, Page(path.read_text(encoding="utf-8"))


def test_links_lead_somewhere_and_names_are_unique(found) -> None:
    ids = found.ids()
    assert len(ids) == len(set(ids))
    targets = [a["href"] for tag, a in found.elements if tag == "a"]
    assert {f"#{name}" for name in SECTIONS} <= set(targets)
    references = [a["aria-labelledby"] for _, a in found.elements if "aria-labelledby" in a]
    references += [a["aria-describedby"] for _, a in found.elements if "aria-describedby" in a]
    assert {target.removeprefix("#") for target in targets} | set(references) <= set(ids)


def test_headings_go_down_one_level_at_a_time(found) -> None:
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_every_table_has_a_caption_and_scopes(found) -> None:
    assert found.tables
    for table in found.tables:
        assert table.caption
        assert set(table.scopes) == {"col", "row"}
        assert len({len(row) for row in table.rows}) == 1


def test_nothing_is_loaded(text, found) -> None:
    loading = ("src", "srcset", "href", "xlink:href", "data", "poster", "action", "background")
    for tag, attributes in found.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        for name in loading:
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
        assert "url(" not in (attributes.get("style") or "").replace("url(#", "")
    for style in found.styles:
        assert "@import" not in style
        assert "url(" not in style
    addresses = set(re.findall(r"https?://[^\s\"'<]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_the_policy_lets_only_the_pages_own_scripts_run(found) -> None:
    metas = [attributes for tag, attributes in found.elements if tag == "meta"]
    (policy,) = (each["content"] for each in metas if each.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ")
    runs = [body for attributes, body in found.scripts if attributes.get("type") is None]
    hashes = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in runs]
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes


def test_the_variant_table_holds_the_numbers_of_the_run(report, found) -> None:
    table = found.table("Variants")
    for variant in report.result:
        row = table.row(variant.name)
        cells = " | ".join(row)
        for name, prediction in variant.predictions.items():
            if name == "token_ms":
                continue
            assert number(prediction.value) in cells
            assert f"±{prediction.interval.high:.0%}{mark(prediction)}" in cells
            if prediction.measured is not None:
                assert f"measured {number(prediction.measured.value)}" in cells
        memory = variant.memory
        assert row[-1] == f"{(memory.total - memory.embedding) / MEBI:.0f}"


def test_each_variant_has_its_own_answer_breakdown_and_memory(report, found) -> None:
    stages = [table for table in found.tables if table.caption == "Time by stage"]
    memory = [table for table in found.tables if table.caption == "Memory by part"]
    assert len(stages) == len(memory) == len(report.result)
    for variant, times, parts in zip(report.result, stages, memory, strict=True):
        for stage in variant.breakdown:
            assert times.row(stage.name)[1] == number(stage.ms)
        assert parts.row("all")[1] == f"{variant.memory.total / MEBI:.0f}"
        first = variant.image_to_first_token_ms
        assert f"{number(first.value)}\N{NO-BREAK SPACE}ms from the image" in found.text


def test_the_critical_path_and_what_would_help(report, found) -> None:
    for explanation in report.explanations:
        for gain in (*explanation.first_token_gains, *explanation.token_gains):
            tables = [t for t in found.tables if t.caption.endswith("changes that help")]
            rows = [row for table in tables for row in table.rows]
            assert [gain.text, number(gain.after_ms)] in [row[:2] for row in rows]


def test_every_ledger_row_of_the_chip_with_its_source(report, found) -> None:
    rows = {row[0]: row for table in found.tables for row in table.rows}
    assert len(report.validation.compared) > 20
    for each in report.validation.compared:
        row = rows[each.row.id]
        assert number(each.row.value) in row
        assert number(each.predicted) in row
        assert each.row.source in row[-1]
        assert f"row-{each.row.id}" in found.ids()
    assert f"{report.validation.overall.mape:.1%}" in found.text


def test_every_key_of_chip_and_workload_with_meaning_and_source(report, found) -> None:
    chip = report.chip_of_run
    table = found.table("Chip ax630c: every key, its meaning and its source")
    rows = {row[0]: row for row in table.rows}
    lines = {each.path[-1]: each for each in report.chip.lines}
    assert "[vendor]" in lines["capacity_bytes"].source
    for name in type(chip.calibrated).model_fields:
        assert name in rows
    for each in report.chip.lines:
        shown = [row for row in table.rows if row[0] == each.path[-1]]
        assert any(each.meaning in row[2] and each.source in row[3] for row in shown)
    workload = found.table("Workload InternVL2-1B: every key, its meaning and its source")
    assert workload.row("vision_dtype")[1:2] == ["u8 / u16"]
    assert workload.row("vision_dtype")[3] == "set by the variants"
    assert "1000000.0" in [row[1] for row in workload.rows if row[0] == "rope_theta"]
    assert "default" in workload.row("num_channels")[3]
    assert report.chip.comment in found.text


def test_calibrated_parameters_with_error_and_range(report, found) -> None:
    table = found.table("Calibrated parameters")
    calibrated = report.chip_of_run.calibrated
    for name in type(calibrated).model_fields:
        if getattr(calibrated, name) is None:
            continue
        row = table.row(name)
        assert "–" in row[3]
        if name in report.chip_of_run.borrowed:
            assert "borrowed from ax650n" in row[-1]
        elif name in report.chip_of_run.fixed:
            assert "fixed: " in row[-1]
        else:
            assert re.search(r"±|open|at bound", row[2])


def test_a_timing_run_says_nothing_about_weights(text, found) -> None:
    assert SYNTHETIC not in text
    assert "cosine" not in " ".join(found.table("Variants").rows[0])


def test_synthetic_weights_are_named_wherever_their_results_are(kernels) -> None:
    report, found = kernels
    assert report.synthetic
    assert SYNTHETIC in found.text
    for variant in report.result:
        row = found.table("Variants").row(variant.name)
        assert row[-1] == f"{variant.numerics.logits_cosine:.4f} synthetic weights"
        assert row[-2] == f"{variant.numerics.vision_cosine:.4f} synthetic weights"
        tokens = found.table("Tokens generated, synthetic weights").row(variant.name)
        assert tokens[1] == " ".join(map(str, variant.numerics.tokens))


def test_an_interrupted_run_says_what_is_missing(kernels) -> None:
    report, _ = kernels
    first, second = report.result
    cut = replace(report.result, variants=(first, replace(second, numerics=None)), complete=False)
    found = Page(page(replace(report, result=cut)))
    assert found.table("Variants").row(second.name)[-2:] == ["not finished"] * 2
    assert "not finished" not in found.table("Variants").row(first.name)
    assert "The run was interrupted" in found.text


def test_pictures_are_there_and_share_no_names(report, text) -> None:
    svgs = re.findall(r"<svg .*?</svg>", text, flags=re.DOTALL)
    assert len(svgs) == len(report.pictures) == len(report.result) + 2
    for svg in svgs:
        used = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", svg))
        assert used <= set(re.findall(r'\bid="([^"]+)"', svg))


@pytest.mark.usefixtures("without_pictures")
def test_a_model_that_does_not_fit() -> None:
    keys = {"chip.dram.capacity_bytes": 2**30}
    result = axsim.run("internvl2_1b", "ax630c", overrides=keys, timing_only=True)
    found = Page(page(gather(result, "internvl2_1b", "ax630c", keys)))
    assert "It does not fit" in found.text
    assert "It fits" not in found.text
    need = math.ceil(result[0].memory.total / MEBI)
    assert f"does not fit: needs {need} MiB, has 1024" in found.text
    assert all("does not fit" in row[-1] for row in found.table("Variants").rows[1:])
    chip = found.table("Chip ax630c: every key, its meaning and its source")
    assert chip.row("capacity_bytes")[1:] == [
        str(2**30),
        "memory that the NPU can be given",
        f"--set chip.dram.capacity_bytes={2**30}",
    ]
    assert "is not the ax630c that was measured" in found.text
    assert "Validation of ax630c" in found.text


@pytest.mark.usefixtures("without_pictures")
def test_a_chip_without_measurements() -> None:
    chip = override(load_chip("ax630c"), {"name": "mine"})
    result = axsim.run("siglip2_b16", chip, timing_only=True)
    report = gather(result, "siglip2_b16", chip)
    assert report.validation is None
    found = Page(page(report))
    assert "The ledger has no measurements of mine" in found.text
    assert "measured" not in " ".join(map(str, found.table("Variants").rows))


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("workload", ["siglip2_b16", "qwen3_0_6b"])
def test_a_tower_and_a_language_model_alone(workload: str) -> None:
    result = axsim.run(workload, "ax650n", timing_only=True)
    found = Page(page(gather(result, workload, "ax650n")))
    decodes = workload == "qwen3_0_6b"
    assert ("tokens a second" in found.text) == decodes
    assert ("to encode an image" in found.text) == (not decodes)
    assert ("from the prompt to the first token" in found.text) == decodes


@pytest.mark.usefixtures("without_pictures")
def test_what_a_user_writes_is_text() -> None:
    name = '<script>alert("1")</script>&amp;'
    workload = override(load_workload("siglip2_b16"), {"name": name})
    result = axsim.run(workload, "ax650n", timing_only=True)
    found = Page(page(gather(result, workload, "ax650n")))
    assert len(found.scripts) == 3
    assert f"{name} on ax650n" in found.text


@pytest.mark.usefixtures("without_pictures")
def test_a_variant_by_name_and_a_seed() -> None:
    keys = {"build.kv_cache_len": 511, "request.seed": 3}
    result = axsim.run("internvl2_1b", "ax650n", variants=["448-u16"], overrides=keys,
                       timing_only=True)  # fmt: skip
    report = gather(result, "internvl2_1b", "ax650n", keys)
    found = Page(page(report))
    table = found.table("Workload InternVL2-1B: every key, its meaning and its source")
    assert table.row("kv_cache_len")[1::2] == ["511", "--set build.kv_cache_len=511"]
    assert table.row("vision_dtype")[1::2] == ["u16", "set by the variants"]
    assert table.row("seed")[1::2] == ["3", "--set request.seed=3"]
    for line in explain(report.chip_of_run, _tree()):
        assert line.meaning in found.text


def _tree():
    from axsim.spec.chip import Chip
    from axsim.spec.descriptor import document, find

    return document(Chip, find("chip", "ax650n"))


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    """In other processes, whose sets and dicts of strings have another order."""
    pages = []
    for seed in ("1", "2"):
        target = tmp_path / f"{seed}.html"
        script = (
            "import axsim\n"
            f"axsim.report('siglip2_b16', 'ax630c', {str(target)!r}, timing_only=True,\n"
            "             variants=['u8'])"
        )
        command = [sys.executable, "-c", script]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": seed, "HOME": str(tmp_path)})
        pages.append(target.read_bytes())
    assert pages[0] == pages[1]


def test_it_is_small(text) -> None:
    assert len(text.encode()) < 2e6
