"""A power block from a meter's readings."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

import axsim
from axsim.errors import InputError
from axsim.fidelity.power_fit import PowerFit, Reading, fit_power, load_readings, work_per_ms
from axsim.show.power_table import note, remarks
from axsim.spec.chip import load_chip
from axsim.spec.descriptor import find
from tests.cli.command import axsim as command
from tests.runs.tiny import write

TRUE = {
    "power.idle_w": 0.9,
    "power.dram_pj_per_byte": 60.0,
    "power.mac_pj": {"int8": 1.2, "bf16": 7.0},
    "power.conv_w": 0.3,
}
CHIP = load_chip("ax630c")
KEPT = ("teng_w", "sdma_w", "cpu_w", "mac_pj.int16", "mac_pj.int16x8")


def watts(tmp_path: Path, **keys: object) -> dict[str, float]:
    """What a chip of :data:`TRUE` draws: predicted energy over predicted time."""
    found = {"idle": TRUE["power.idle_w"]}
    for each in axsim.run(write(tmp_path), load_chip("ax630c", TRUE), timing_only=True):
        seconds = each.vision_encode_ms.value + each.preprocess_ms
        found[f"vision {each.name}"] = each.energy_per_image_mj.value / seconds
        found["decode"] = each.energy_per_token_mj.value / each.token_ms.value
    return found


def readings(tmp_path: Path) -> list[Reading]:
    """Of a meter that is exact. A decode step is its layers and its post; a reading of one stage
    alone is told by the model itself, so that the whole request stands for these."""
    path = str(write(tmp_path))
    keys = [
        ("idle", "", "", "idle"),
        ("short", "u8", "request.new_tokens=1", "request"),
        ("long", "u8", "request.new_tokens=20", "request"),
        ("u16", "u16", "", "request"),
        ("layers", "u8", "", "decode"),
        ("head", "u8", "", "post"),
        ("tower", "u8", "", "vision"),
        ("prompt", "u8", "", "prefill"),
    ]
    truth = load_chip("ax630c", TRUE)
    made = [Reading(name, path, variant, given, run, 1.0, "") for name, variant, given, run in keys]
    assert truth.power is not None
    return [
        Reading(r.id, r.workload, r.variant, r.set, r.run,
                work_per_ms(r, truth).mj(truth.power) + truth.power.idle_w, "")
        for r in made
    ]  # fmt: skip


def values(fit: PowerFit) -> dict[str, float]:
    return {each.name: each.value for each in fit.parameters}


def test_watts_of_a_run_are_its_energy_over_its_time(tmp_path) -> None:
    """The readings above against predictions, which come another way."""
    found = {each.id: each.watts for each in readings(tmp_path)}
    expected = watts(tmp_path)
    assert found["idle"] == expected["idle"]
    assert min(found["layers"], found["head"]) < expected["decode"]
    assert max(found["layers"], found["head"]) > expected["decode"]
    assert found["tower"] == pytest.approx(expected["vision u8"], rel=0.2)  # without preparation


def test_an_exact_meter_gives_the_block_back(tmp_path) -> None:
    fit = fit_power(CHIP, readings(tmp_path), KEPT)
    block = {**fit.block}
    macs = block.pop("mac_pj")
    expected = {"idle_w": 0.9, "dram_pj_per_byte": 60.0, "conv_w": 0.3}
    expected |= {"teng_w": 0.0, "sdma_w": 0.0, "cpu_w": 0.0}
    assert block == pytest.approx(expected, rel=1e-3, abs=1e-9)
    kinds = {"int8": 1.2, "bf16": 7.0, "int16": 0.0, "int16x8": 0.0}
    assert macs == pytest.approx(kinds, rel=1e-3, abs=1e-9)
    assert fit.watts == pytest.approx([each.watts for each in fit.readings])
    for each in fit.parameters:
        assert not each.open
        assert sum(share for _, share in each.readings) <= 1 + 1e-9
    idle = next(each for each in fit.parameters if each.name == "idle_w")
    assert idle.readings[0][0] == "idle"


def test_a_noisy_meter_gives_errors_that_say_so(tmp_path) -> None:
    exact = readings(tmp_path)
    noisy = [replace(r, watts=r.watts * (1.01 if i % 2 else 0.99)) for i, r in enumerate(exact)]
    fit = fit_power(CHIP, noisy, KEPT)
    true = {"idle_w": 0.9, "dram_pj_per_byte": 60.0, "conv_w": 0.3,
            "mac_pj.int8": 1.2, "mac_pj.bf16": 7.0}  # fmt: skip
    for each in fit.parameters:
        if each.value:
            assert each.error is not None
            assert each.error > 0
            assert abs(each.value - true[each.name]) < 6 * each.error
    assert all(value >= 0 for value in values(fit).values())


def test_what_readings_cannot_tell_apart_is_open(tmp_path) -> None:
    few = [each for each in readings(tmp_path) if each.id in ("idle", "long")]
    fit = fit_power(CHIP, few)
    found = {each.name: each for each in fit.parameters}
    assert not found["idle_w"].open
    assert set(found["mac_pj.bf16"].open) == set(found) - {"idle_w", "mac_pj.bf16"}
    assert note(found["mac_pj.bf16"]) == "open"
    assert any(line.startswith("open, no reading tells them apart") for line in remarks(fit))
    assert fit.unseen == ("mac_pj.int16x8", "mac_pj.int16")
    assert fit.watts == pytest.approx([each.watts for each in few])


def test_nothing_is_below_zero(tmp_path) -> None:
    """A meter that reads less when more is done."""
    path = str(write(tmp_path))
    some = [
        Reading("a", "", "", "", "idle", 2.0, ""),
        Reading("b", path, "u8", "", "vision", 1.0, ""),
        Reading("c", path, "u8", "", "decode", 1.0, ""),
    ]
    fit = fit_power(CHIP, some)
    assert set(values(fit).values()) == {0.0, values(fit)["idle_w"]}
    assert any("at zero" in line for line in remarks(fit))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,run\na,idle\n", "watts: column is missing"),
        ("id,run,watts,wats\n", "did you mean 'watts'?"),
        ("id,run,watts\na,idle,-1\n", ":2: watts: found '-1'; allowed: a positive number"),
        ("id,run,watts\na,idel,1\n", ":2: run: found 'idel'; did you mean 'idle'?"),
        ("id,run,watts\na,vision,1\n", ":2: workload: is empty, but vision needs one"),
        ("id,run,watts\na,idle,1\na,idle,1\n", ":3: id: 'a' is given twice"),
        ("id,run,watts\na,idle,1,2\n", ":2: the row has more or fewer fields"),
        ("id,run,watts\n", "has no readings"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path, text: str, said: str) -> None:
    path = tmp_path / "meter.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_readings(path)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"variant": "u8", "run": "graph"}, "m.csv:2: run: tiny.yaml has no graph; allowed: idle"),
        ({"run": "vision"}, "m.csv:2: variant: tiny.yaml has several variants; allowed: u8, u16"),
        ({"variant": "u9", "run": "vision"}, "m.csv:2: tiny has no variant 'u9'"),
        ({"variant": "u8", "run": "vision", "set": "build.x=1"}, "build.x"),
    ],
)
def test_what_is_wrong_with_a_reading(tmp_path, monkeypatch, keys, said: str) -> None:
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    given = {"variant": "", "set": "", **keys}
    reading = Reading(
        "a", "tiny.yaml", given["variant"], given["set"], given["run"], 1.0, "m.csv:2"
    )
    with pytest.raises(InputError) as error:
        fit_power(CHIP, [reading])
    assert said in str(error.value)


def test_command(tmp_path) -> None:
    write(tmp_path)
    lines = ["id,workload,variant,set,run,watts"]
    lines += [f"{r.id},tiny.yaml,{r.variant},{r.set},{r.run},{r.watts}" for r in readings(tmp_path)]
    (tmp_path / "meter.csv").write_text("\n".join(lines) + "\n")
    keep = [word for name in KEPT for word in ("--keep", name)]
    options = ["--power", "meter.csv", *keep, "-o", "mine.yaml", "--json", "fit.json"]
    done = command("calibrate", "ax630c", *options, folder=tmp_path)
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "determined by" in done.stdout
    mine = load_chip(tmp_path / "mine.yaml")
    assert mine.power is not None
    assert mine.power.conv_w == pytest.approx(0.3, rel=0.01)
    assert mine.power.source == "fitted to 8 readings of meter.csv"
    before = yaml.safe_load(find("chip", "ax630c").read_text())
    after = yaml.safe_load((tmp_path / "mine.yaml").read_text())
    assert {**after, "power": None} == before  # nothing else has changed
    again = command("calibrate", "mine.yaml", *options, folder=tmp_path)
    assert again.stdout.splitlines()[1:] == done.stdout.splitlines()[1:]
    shown = command("run", "tiny.yaml", "--chip", "mine.yaml", "--timing-only", folder=tmp_path)
    assert "Energy, from the power block of ax630c: fitted to 8 readings" in shown.stdout
    for options in (["--ledger", "meter.csv"], ["--keep", "watt"]):
        command("calibrate", "ax630c", "--power", "meter.csv", *options, folder=tmp_path, code=2)
    card = command("calibrate", "ax8850_card", "--power", "meter.csv", *keep, folder=tmp_path)
    assert "ax8850_card, power block" in card.stdout
    command("calibrate", "ax8850_card", folder=tmp_path, code=2)  # its times are AX650N's


def test_a_shipped_chip_says_that_nothing_is_published() -> None:
    for chip in ("ax650n", "ax630c", "ax620q", "ax8850_card"):
        assert load_chip(chip).power is None
        text = " ".join(command("show", chip).stdout.split())
        assert "not published" in text[text.index(" power: ") :]


def test_a_sweep_has_energy_where_a_chip_has_the_block(tmp_path) -> None:
    write(tmp_path)
    base = ("sweep", "tiny.yaml", "--chip", "ax630c", "--timing-only", "--quiet", "-j", 1)
    goal = ("--objective", "energy_per_token_mj")
    said = command(*base, *goal, folder=tmp_path, code=2).output
    assert "energy_per_token_mj: needs chip.power, which no chip here has" in said
    power = ("--set", "chip.power.idle_w=1", "--vary", "chip.power.dram_pj_per_byte=10,20")
    done = command(*base, *goal, *power, "-o", "out.csv", folder=tmp_path)
    assert "energy_per_token_mj" in done.output
    header = (tmp_path / "out.csv").read_text().splitlines()[0].split(",")
    assert {"energy_per_image_mj", "energy_per_token_mj"} <= set(header)


def test_too_few_readings_leave_errors_open_in_json_too(tmp_path) -> None:
    few = [each for each in readings(tmp_path) if each.id == "idle"]
    document = asdict(fit_power(CHIP, few))
    assert all(each["error"] is None for each in document["parameters"])
    json.dumps(document, allow_nan=False)
