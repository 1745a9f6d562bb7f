"""axsim.run: what it predicts, what it compares with, and that it repeats itself to the bit."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Literal, get_args, get_origin

import pytest

import axsim
from axsim.errors import InputError
from axsim.fidelity.prediction import Interval
from axsim.models.config import DecoderConfig, ModelConfig, ProjectorConfig
from axsim.runs.run import run_kernels, time_run
from axsim.spec.chip import load_chip
from axsim.spec.workload import NETWORKS_OWN, BuildSection
from axsim.system.metrics import PREDICTED
from tests.models.towers import tower
from tests.runs.tiny import DECODER, VISION, VLM, variants, workload

NAMES = ["224-u8", "224-u16", "448-u8", "448-u16"]


@pytest.fixture(scope="module")
def timed() -> axsim.RunResult:
    return axsim.run("internvl2_1b", "ax650n", timing_only=True)


def test_the_main_job_has_four_variants_with_every_metric(timed) -> None:
    assert [each.name for each in timed] == NAMES
    assert timed.timing_only
    assert timed.complete
    for each in timed:
        of_networks = ("graph_ms",)
        metrics = [m.name for m in PREDICTED if m.sources != of_networks and not m.needs]
        assert list(each.predictions) == metrics
        assert all(found.value > 0 for found in each.predictions.values())
        assert each.numerics is None
        assert each.npu_mode == "NPU3"
        assert each.memory.fits
    assert timed["448-u8"].prefill_chunks == 1
    assert timed["448-u8"].workload.prompt_tokens == 310


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("toolchain", "pulsar2-3.3", True),  # the same generation of the runtime
        ("toolchain", "pulsar2-5.1", False),
        ("weight_format", "plain", False),
        ("link", "pcie", False),
    ],
)
def test_another_build_is_not_held_against_what_was_measured(key, value, found) -> None:
    keys = {f"build.{key}": value}
    run = axsim.run("internvl2_1b", "ax650n", variants=["224-u8"], overrides=keys, timing_only=True)
    assert (run[0].ttft_ms.measured is not None) is found


def test_what_follows_from_what(timed) -> None:
    for each in timed:
        parts = each.preprocess_ms + each.vision_encode_ms.value + each.ttft_ms.value
        assert each.image_to_first_token_ms.value == pytest.approx(parts)
        assert each.decode_tokens_per_s.value == pytest.approx(1e3 / each.token_ms.value)
        assert len(each.arrivals_ms) == each.workload.new_tokens
        assert each.arrivals_ms[0] == each.image_to_first_token_ms.value
        step = each.arrivals_ms[-1] - each.arrivals_ms[-2]
        assert step == pytest.approx(each.token_ms.value)


def test_measured_values_stand_beside_predictions_of_the_same_configuration(timed) -> None:
    found = timed["224-u8"].vision_encode_ms
    assert found.measured.value == 25
    assert found.measured.ids == ("P001",)
    assert found.error == pytest.approx(found.value / 25 - 1)
    several = timed["448-u16"].vision_encode_ms.measured  # median of five sources
    assert several.value == 362.22
    assert (several.low, several.high) == (347, 371.7)
    # The workload's own rows first; else models of the same architecture.
    assert timed["224-u8"].ttft_ms.measured.models == ("InternVL2-1B",)
    assert timed["448-u8"].ttft_ms.measured.models == ("InternVL2.5-1B",)
    assert timed["448-u8"].ttft_ms.measured.value == pytest.approx((427.35 + 430.86) / 2)
    assert timed["224-u8"].token_ms.measured is None


def test_other_configurations_are_not_held_against_measurements() -> None:
    def measured(overrides) -> set[str]:
        result = axsim.run(
            "internvl2_1b", "ax650n", variants=["224-u8"], overrides=overrides, timing_only=True
        )
        return {name for name, each in result[0].predictions.items() if each.measured}

    everything = {"vision_encode_ms", "ttft_ms", "decode_tokens_per_s"}
    assert measured({}) == everything
    assert measured({"request.new_tokens": 3}) == everything
    assert measured({"build.kv_cache_len": 1022}) == {"vision_encode_ms"}
    assert measured({"build.npu_mode": "NPU1"}) == set()
    assert measured({"build.float_matmul_on_conv": True}) == {"vision_encode_ms"}
    assert measured({"request.text_tokens": 100}) == {"vision_encode_ms", "decode_tokens_per_s"}
    assert measured({"model.vision.num_hidden_layers": 23}) == everything - {"vision_encode_ms"}
    assert measured({"chip.dram.data_rate_mtps": 2000}) == set()


def test_a_descriptor_of_ones_own_has_no_measurements() -> None:
    chip = load_chip("ax650n")
    faster = chip.model_copy(
        update={"dram": chip.dram.model_copy(update={"data_rate_mtps": 8000.0})}
    )
    result = axsim.run("internvl2_1b", faster, variants=["224-u8"], timing_only=True)
    assert not any(each.measured for each in result[0].predictions.values())


def test_intervals_plug_in() -> None:
    def five_percent(chip, metric):
        return Interval(-0.05, 0.05) if metric == "ttft_ms" else None

    result = axsim.run(
        "internvl2_1b", "ax630c", variants=["224-u8"], timing_only=True, intervals=five_percent
    )
    found = result[0].ttft_ms
    assert found.interval == (-0.05, 0.05)
    document = found.to_dict()
    assert document["low"] == pytest.approx(0.95 * found.value)
    assert result[0].token_ms.interval is None


def test_overrides_reach_chip_and_workload() -> None:
    slow = axsim.run(
        "internvl2_1b",
        "ax630c",
        variants=["224-u8"],
        overrides={"chip.dram.data_rate_mtps": 1066, "request.new_tokens": 3},
        seed=9,
        timing_only=True,
    )[0]
    fast = axsim.run("internvl2_1b", "ax630c", variants=["224-u8"], timing_only=True)[0]
    assert slow.token_ms.value > 1.3 * fast.token_ms.value
    assert slow.new_tokens == 3
    assert slow.workload.request.seed == 9
    assert slow.settings["request.seed"] == 9
    assert fast.settings["build.vision_dtype"] == "u8"


def test_parts_that_a_workload_lacks_are_absent() -> None:
    tower = axsim.run("siglip2_b16", "ax650n", timing_only=True)[0]
    assert list(tower.predictions) == ["vision_encode_ms"]
    assert tower.ttft_ms is None
    text = axsim.run("qwen3_0_6b", "ax650n", timing_only=True)[0]
    assert list(text.predictions) == ["ttft_ms", "token_ms", "decode_tokens_per_s"]
    assert text.vision_encode_ms is None


def test_unknown_names_are_input_errors() -> None:
    with pytest.raises(InputError, match="internvl2_1b"):
        axsim.run("internvl", "ax650n", timing_only=True)
    with pytest.raises(InputError, match="448-u16"):
        axsim.run("internvl2_1b", "ax650n", variants=["449"], timing_only=True)
    with pytest.raises(InputError, match="kv_cache_len"):
        axsim.run("internvl2_1b", "ax650n", overrides={"build.kv_cache": 1}, timing_only=True)


def test_two_runs_agree_to_the_last_bit(timed) -> None:
    again = axsim.run("internvl2_1b", "ax650n", timing_only=True)
    assert json.dumps(again.to_dict()) == json.dumps(timed.to_dict())


def test_rows_have_the_same_keys_and_make_a_frame(timed) -> None:
    pytest.importorskip("pandas")
    rows = timed.to_rows()
    assert len({tuple(row) for row in rows}) == 1
    frame = timed.to_pandas()
    assert list(frame.index) == NAMES
    assert frame.loc["224-u8", "ttft_ms"] == timed["224-u8"].ttft_ms.value
    assert frame.loc["224-u8", "vision_encode_ms_measured"] == 25


# With the kernels, on a model of toy size.


def strip(result: axsim.RunResult) -> list[dict]:
    found = [replace(each, numerics=None).to_dict() for each in result]
    return found


def test_kernels_change_no_time_and_repeat_to_the_last_bit() -> None:
    bare = axsim.run(variants(), "ax630c", timing_only=True)
    full = axsim.run(variants(), "ax630c")
    assert strip(full) == strip(bare)
    assert json.dumps(axsim.run(variants(), "ax630c").to_dict()) == json.dumps(full.to_dict())
    for each in full:
        numerics = each.numerics
        assert numerics.synthetic
        assert len(numerics.tokens) == 5
        assert 0.9 < numerics.vision_cosine <= 1
        assert 0.9 < numerics.logits_cosine <= 1
    u8, u16 = full
    assert u16.numerics.vision_cosine > u8.numerics.vision_cosine
    assert u16.numerics.vision_cosine > 0.99


def test_the_seed_changes_numbers_and_no_time() -> None:
    first, second = (axsim.run(workload(), "ax630c", seed=seed)[0] for seed in (0, 1))
    assert first.numerics.vision_cosine != second.numerics.vision_cosine
    numbers = {"numerics": 0, "seed": 0, "settings": 0}
    dicts = [each.to_dict() for each in (first, second)]
    for each in dicts:
        each["turns"][0]["tokens"] = None
    assert dicts[0] | numbers == dicts[1] | numbers


def test_equal_numbers_are_computed_once() -> None:
    chosen = [{"name": mode, "set": {"build.npu_mode": mode}} for mode in ("NPU1", "NPU3")]
    base = workload().model_dump(exclude_unset=True)
    both = axsim.Workload.model_validate({**base, "variants": tuple(chosen)})
    labels = []
    result = axsim.run(both, "ax650n", on_progress=lambda p: labels.append((p.done, p.label)))
    first, second = result
    assert first.numerics is second.numerics
    assert first.ttft_ms.value != second.ttft_ms.value
    assert [done for done, _ in labels] == sorted(done for done, _ in labels)


def test_progress_ends_where_it_was_to_end() -> None:
    seen = []
    axsim.run(variants(), "ax630c", on_progress=seen.append)
    assert seen[-1].done == pytest.approx(seen[-1].total)
    assert all(a.done <= b.done for a, b in itertools.pairwise(seen))


def test_finished_variants_come_one_by_one() -> None:
    timed = time_run(variants(), "ax630c")
    steps = list(run_kernels(timed))
    assert [sum(v.numerics is not None for v in step) for step in steps] == [0, 1, 2]
    assert [step.complete for step in steps] == [False, False, True]
    assert not any(step.timing_only for step in steps)


@pytest.mark.parametrize(
    ("model", "request_keys", "tokens"),
    [
        (ModelConfig(DECODER), {"prompt_tokens": 11}, 5),
        (ModelConfig(None, VISION), {"new_tokens": 1}, 0),
        (VLM, {"images": 3, "new_tokens": 2}, 2),
        (VLM, {"images": 0, "new_tokens": 2}, 2),
        (VLM, {"temperature": 1.0, "top_k": 5, "top_p": 0.9}, 5),
    ],
)
def test_every_kind_of_workload_runs(model, request_keys, tokens) -> None:
    result = axsim.run(workload(model, **request_keys), "ax630c")[0]
    assert len(result.numerics.tokens) == tokens
    assert (result.numerics.logits_cosine is None) == (model.decoder is None)
    shown = model.vision is not None and result.workload.images > 0
    assert (result.numerics.vision_cosine is not None) == shown


@pytest.mark.parametrize("dtype", ["u8", "u16", "bf16"])
@pytest.mark.parametrize("weights", ["s8", "s4", "bf16"])
def test_every_storage_type_runs(dtype, weights) -> None:
    build = {"vision_dtype": dtype, "weight_dtype": weights, "post_weight_dtype": weights}
    numerics = axsim.run(workload(build=build), "ax650n")[0].numerics
    assert numerics.vision_cosine > 0.9
    assert numerics.logits_cosine > (0.9 if weights != "s4" else 0.8)


def enumerated() -> list[tuple[str, object]]:
    """Every value of every key of the build that takes one of a few."""

    def values(annotation: object) -> list[object]:
        if annotation is bool:
            return [True, False]
        if get_origin(annotation) is dict:
            return [{"*": value} for value in values(get_args(annotation)[1])]
        if get_origin(annotation) is Literal:
            return [*get_args(annotation)]
        return [value for part in get_args(annotation) for value in values(part)]

    fields = {k: v for k, v in BuildSection.model_fields.items() if k not in NETWORKS_OWN}
    return [(key, value) for key, field in fields.items() for value in values(field.annotation)]


def test_the_enumerated_keys_are_those_that_the_schema_has() -> None:
    keys = {key for key, _ in enumerated()}
    assert keys >= {"npu_mode", "vision_dtype", "weight_dtype", "precision_overrides", "toolchain"}
    assert ("vision_dtype", "bf16") in enumerated()


@pytest.mark.parametrize(("key", "value"), enumerated(), ids=str)
def test_kernels_run_with_every_value_of_every_enumerated_key(key, value) -> None:
    decoder = DecoderConfig("qwen2", 1, 384, 1024, 6, 2, 1000)
    model = ModelConfig(decoder, tower(1, 384, 6, 448, 4), ProjectorConfig(384))
    build = {key: value, "prefill_chunk": 128, "kv_cache_len": 255}
    asked = workload(model, build, image_size=224, new_tokens=2)
    numerics = axsim.run(asked, "ax650n")[0].numerics
    assert numerics.vision_cosine > 0.9
    assert numerics.logits_cosine > 0.9
    assert len(numerics.tokens) == 2


def test_a_tower_whose_own_grid_cannot_be_joined_serves_pictures_whose_can() -> None:
    """518 / 14 = 37 patches along a side, of which two by two become one token."""
    model = ModelConfig(DECODER, tower(2, 32, 2, 518), ProjectorConfig(32))
    asked = workload(model, {"kv_cache_len": 127}, image_size=224)
    assert axsim.run(asked, "ax630c")[0].numerics.vision_cosine > 0.9


def test_a_picture_that_is_not_square_runs() -> None:
    found = axsim.run(workload(image_size=(28, 84), new_tokens=2), "ax630c")[0]
    assert found.workload.image_tokens == 3
    assert found.to_dict()["image_size"] == "28x84"
    assert found.numerics.vision_cosine > 0.98
    assert found.numerics.logits_cosine > 0.99
    video = axsim.run(
        workload(video={"seconds": 1.5, "fps": 2.0}, text_tokens=9), "ax630c", timing_only=True
    )[0]
    assert (video.workload.images, len(video.timeline.of("vision"))) == (3, 3)


def test_the_end_of_sequence_shortens_the_request() -> None:
    free = axsim.run(workload(new_tokens=8), "ax630c")[0]
    stop = free.numerics.tokens[2]
    ending = {"new_tokens": 8, "eos_token_id": [100, stop]}
    short = axsim.run(workload(**ending), "ax630c")[0]
    first = free.numerics.tokens.index(stop)
    assert short.numerics.tokens == free.numerics.tokens[: first + 1]
    assert short.numerics.stopped_at_eos
    assert short.arrivals_ms == free.arrivals_ms[: first + 1]
    on = axsim.run(workload(**ending, stop_at_eos=False), "ax630c")[0]
    assert on.numerics.tokens == free.numerics.tokens


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path) -> None:
    from axsim.models.checkpoint import Checkpoint
    from tests.models.layouts import OPENGVLAB
    from tests.models.seeded import INTERNVL, SeededWeights
    from tests.models.writing import internvl_chat_json, stored, write

    tensors = stored(SeededWeights(INTERNVL), INTERNVL, OPENGVLAB)
    write(tmp_path, internvl_chat_json(INTERNVL), tensors)
    given = {"checkpoint": tmp_path, "calibrate_on": "seeded"}
    with pytest.raises(InputError, match="another architecture"):
        axsim.run(workload(), "ax630c", **given)
    model = Checkpoint(tmp_path).config
    result = axsim.run(workload(model), "ax630c", **given)[0]
    assert not result.numerics.synthetic
    assert result.numerics.logits_cosine > 0.5
    tokens = result.numerics.tokens
    assert not result.numerics.stopped_at_eos
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": tokens[1]}))
    ended = axsim.run(workload(model), "ax630c", **given)[0].numerics
    assert ended.tokens == tokens[: tokens.index(tokens[1]) + 1]
    assert ended.stopped_at_eos
    told = workload(model, eos_token_id=tokens[0])  # the workload's word counts more
    assert axsim.run(told, "ax630c", **given)[0].numerics.tokens == tokens[:1]
