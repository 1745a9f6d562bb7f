"""Workload descriptors: the shipped ones, what follows from their keys, and what is refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from axsim.errors import InputError
from axsim.models import config, parts
from axsim.spec import architecture
from axsim.spec.descriptor import data_folder, find, parse_overrides, shipped
from axsim.spec.workload import ALLOWED_TOOLCHAINS, Workload, load_workload

INTERNVL = "internvl2_1b"


def refused(*settings: str, name: str = INTERNVL, variant: str | None = None) -> str:
    with pytest.raises(InputError) as error:
        load_workload(name, parse_overrides(settings), variant)
    return str(error.value)


def test_the_default_workload_is_the_vendors_four_configurations() -> None:
    variants = load_workload(INTERNVL).expand()
    assert {
        name: (each.image_size, each.build.vision_dtype, each.prompt_tokens, each.prefill_chunks,
               each.build.prefill_chunk)
        for name, each in variants.items()
    } == {
        "224-u8": (224, "u8", 118, 1, 128),
        "224-u16": (224, "u16", 118, 1, 128),
        "448-u8": (448, "u8", 310, 1, 320),
        "448-u16": (448, "u16", 310, 1, 320),
    }  # fmt: skip
    assert all(each.label == name for name, each in variants.items())
    assert all(each.build.kv_cache_len == 1023 for each in variants.values())
    assert all(each.new_tokens == 16 for each in variants.values())


@pytest.mark.parametrize("name", sorted(shipped("workload")))
def test_every_shipped_workload_loads_with_its_variants(name: str) -> None:
    workload = load_workload(name)
    assert workload.name
    assert workload.description
    for each in workload.expand().values():
        assert each.variants == ()
        assert (each.prompt_tokens > 0) == (each.model.decoder is not None)
        assert (each.image_tokens > 0) == (each.model.vision is not None)
        assert each.build.toolchain in ALLOWED_TOOLCHAINS
        built = each.model.config()
        assert (built.vision is None, built.decoder is None) == (
            each.model.vision is None,
            each.model.decoder is None,
        )


@pytest.mark.parametrize(
    ("section", "dataclass"),
    [
        (architecture.VisionSection, config.VisionConfig),
        (architecture.DecoderSection, config.DecoderConfig),
        (architecture.ProjectorSection, config.ProjectorConfig),
        (architecture.RopeScalingSection, config.RopeScaling),
        (architecture.PartsSection, parts.Parts),
    ],
)
def test_sections_mirror_the_dataclasses_field_by_field(section: type, dataclass: type) -> None:
    known = section.model_fields  # type: ignore[attr-defined]
    assert list(known) == [field.name for field in fields(dataclass)]
    for field in fields(dataclass):
        default = known[field.name].default
        if field.name == "head_dim":  # derived: None in a file, 0 in the dataclass
            assert (default, field.default) == (None, 0)
        elif field.name == "parts" or section is architecture.PartsSection:
            assert default in (None, architecture.PartsSection())  # the family's
        elif not known[field.name].is_required():
            assert default == field.default


def test_every_architecture_of_the_ledger_can_be_described() -> None:
    ledger = yaml.safe_load((data_folder("measurements") / "models.yaml").read_text())
    for name, decoder in ledger["decoders"].items():
        workload = Workload.model_validate({"name": name, "model": {"decoder": decoder}})
        assert workload.model.config().decoder == config.DecoderConfig(**decoder)
    for name, vision in ledger["vision"].items():
        workload = Workload.model_validate({"name": name, "model": {"vision": vision}})
        assert workload.model.config().vision == config.VisionConfig(**vision)
        assert workload.image_tokens == config.VisionConfig(**vision).tokens(vision["image_size"])


def test_a_workload_from_python() -> None:
    decoder = config.DecoderConfig("llama", 2, 64, 128, 4, 2, 1000)
    model = config.ModelConfig(decoder)
    workload = Workload.of("tiny", model, request={"prompt_tokens": 5, "new_tokens": 2})
    assert workload.model.config() == model
    assert (workload.prompt_tokens, workload.images, workload.image_size) == (5, 0, 0)
    with pytest.raises(InputError, match=r"^tiny: build\.weight_dtype: found 's5'"):
        Workload.of("tiny", model, build={"weight_dtype": "s5"})


def test_the_vocabulary_may_differ_from_the_decoders() -> None:
    workload = load_workload(INTERNVL, {"model.vocab_size": 1000})
    decoder = workload.model.config().decoder
    assert decoder is not None
    assert decoder.vocab_size == 1000


def test_prompt_tokens_in_place_of_text_tokens() -> None:
    workload = load_workload(INTERNVL, {"request.prompt_tokens": 300})
    assert {each.text_tokens for each in workload.expand().values()} == {300 - 64, 300 - 256}
    both = {"request.prompt_tokens": 118, "request.text_tokens": 54}
    assert load_workload(INTERNVL, both, "224-u8").prompt_tokens == 118


def test_several_images_lengthen_the_prompt() -> None:
    workload = load_workload(INTERNVL, {"request.images": 3}, "224-u8")
    assert (workload.prompt_tokens, workload.prefill_chunks) == (54 + 3 * 64, 2)


def test_a_ladder_of_chunks_is_selectable() -> None:
    workload = load_workload(INTERNVL, {"build.prefill_chunk": 128}, "448-u8")
    assert (workload.prompt_tokens, workload.prefill_chunks) == (310, 3)


def test_an_override_selects_the_variants_that_agree() -> None:
    assert load_workload(INTERNVL, {"build.vision_dtype": "u16"}).variant_names == (
        "224-u16", "448-u16"
    )  # fmt: skip
    both = {"request.image_size": 448, "build.vision_dtype": "u8"}
    assert load_workload(INTERNVL, both).variant_names == ("448-u8",)


def test_an_override_that_no_variant_has_holds_in_all_and_twins_are_merged() -> None:
    overrides = {"request.image_size": 364, "build.prefill_chunk": 128}
    variants = load_workload(INTERNVL, overrides).expand()
    assert {n: (v.image_size, v.build.vision_dtype) for n, v in variants.items()} == {
        "364-u8-128": (364, "u8"), "364-u16-128": (364, "u16")
    }  # fmt: skip


TURNS = ({"text_tokens": 20}, {"text_tokens": 9})


@pytest.mark.parametrize("key", ["request.turns", "request.text_tokens"])
def test_an_override_replaces_what_variants_say_in_other_words(key: str) -> None:
    overrides = {key: TURNS if key == "request.turns" else 20}
    variants = load_workload("qwen3_0_6b", overrides).expand()
    assert {name: each.prompt_tokens for name, each in variants.items()} == {"s8": 20, "s4": 20}
    chosen = load_workload("qwen3_0_6b", overrides, "256-s4")
    assert (chosen.prompt_tokens, chosen.build.weight_dtype) == (20, "s4")
    assert len(chosen.asked) == (2 if key == "request.turns" else 1)


def test_variants_of_nothing_else_are_one(tmp_path: Path) -> None:
    text = (find("workload", "qwen3_0_6b")).read_text().partition("variants:")[0]
    file = tmp_path / "w.yaml"
    sizes = "".join(f"- {{name: p{n}, set: {{request.prompt_tokens: {n}}}}}\n" for n in (64, 128))
    file.write_text(f"{text}variants:\n{sizes}")
    assert load_workload(file, {"request.turns": TURNS}).variants == ()
    file.write_text(f"{text}variants:\n{sizes}- {{name: s4, set: {{build.weight_dtype: s4}}}}\n")
    assert load_workload(file, {"request.turns": TURNS}).variant_names == ("p64", "s4")


def test_an_override_of_another_key_reaches_every_variant() -> None:
    variants = load_workload(INTERNVL, {"request.new_tokens": 3}).expand()
    assert [each.new_tokens for each in variants.values()] == [3, 3, 3, 3]


def test_a_chosen_variant_is_alone_and_overrides_win() -> None:
    workload = load_workload(INTERNVL, {"build.vision_dtype": "bf16"}, "448-u8")
    assert (workload.variants, workload.image_size) == ((), 448)
    assert workload.build.vision_dtype == "bf16"
    assert list(workload.expand()) == ["448-bf16"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model.vision.rotary=dinov3", "model.vision.hidden_size=32"], "hidden_size: found 32"),
        (["request.image_size=230"], "--set request.image_size=230: request.image_size: found 230 "
         "[model.vision.patch_size = 14 at "),
        (["request.image_size=238"], "allowed: a multiple of 28 (patch_size 14 × 2 patches"),
        (["model.decoder.num_attention_heads=15"], "found 15 [model.decoder.num_key_value_heads = "
         "2 at "),
        (["model.decoder.num_attention_heads=18"], "model.decoder.hidden_size: found 896 "
         "[model.decoder.num_attention_heads = 18 at --set"),
        (["model.decoder.head_dim=33"], "head_dim: found 33; allowed: an even number"),
        (["model.vision.num_attention_heads=15"], "allowed: a multiple of num_attention_heads, 15"),
        (["model.vision.patch_size=450"], "model.vision.image_size: found 448"),
        (["model.decoder.family=qwen"], "allowed: qwen2, qwen3, llama, mistral"),
        (["model.decoder.num_hidden_layers=0"], "allowed: a number greater than 0"),
        (["model.projector.hidden_size=64"], "allowed: 896, its hidden_size"),
        (
            ["model.projector.queries=64", "model.projector.hidden_size=32"],
            "allowed: whole heads of 128 channels",
        ),
        (["model.projector.downsample_ratio=0.4"], "allowed: 1 / N for a whole number N"),
        (["model.projector=null"], "model.projector: missing: without it"),
        (["model.vision=null"], "model.projector: joins nothing"),
        (["model.vision=null", "model.projector=null"], "request.image_size: asks for vision, but "
         "model.vision is missing"),
        (["model={}"], "model: holds neither part; allowed: vision, decoder or both"),
        (["request.prompt_tokens=1009"], "a prompt of 1009 tokens and 16 new ones is longer than "
         "the compiled context [build.kv_cache_len = 1023 at "),
        (["request.text_tokens=2000"], "--set request.text_tokens=2000: request.text_tokens: a "
         "prompt of 2064 tokens"),
        (["request.new_tokens=2000"], "is longer than the compiled context"),
        (["request.prompt_tokens=60"], "found 60; allowed: at least 64, the image tokens"),
        (["request.prompt_tokens=100", "request.text_tokens=54"], "found 100 [request.text_tokens "
         "= 54 at --set request.text_tokens=54]; allowed: 118"),
        (["build.prefill_max_chunks=1", "build.prefill_chunk=64"], "a prompt of 118 tokens is "
         "longer than the compiled prefill [build.prefill_max_chunks = 1 at --set"),
        (["build.prefill_chunk=2048"], "found 2048, more than the KV cache holds"),
        (["build.vision_dtype=u61"], "did you mean 'u16'?; allowed: u8, u16, bf16"),
        (["build.weight_dtype=int8"], "allowed: s8, s4, bf16"),
        (["build.npu_mode=NPU4"], "allowed: NPU1, NPU2, NPU3"),
        (["build.toolchain=pulsar2-9"], "did you mean 'pulsar2-"),
        (["build.float_matmul_on_conv=1"], "found 1; allowed: true or false"),
        (["request.top_k=5"], "request.top_k: has no effect: decoding is greedy"),
        (["request.top_p=0"], "request.top_p: found 0; allowed: a number greater than 0"),
        (["request.temperature=-1"], "allowed: a number of at least 0"),
        (["request.images=-1"], "allowed: a number of at least 0"),
        (["request.seed=-1"], "allowed: a number of at least 0"),
        (["reqest.seed=1"], "reqest: unknown key (value found: {seed: 1}); did you mean "
         "'request'?"),
        (["variants.0.set.build.vision_dtyp=u8"], "variants.0.set.build: "),
        (["variants.0.name="], "variants.0.name: found null; allowed: text"),
    ],
)  # fmt: skip
def test_impossible_values_are_refused(settings: list[str], message: str) -> None:
    # one 224-pixel row: the messages are about the base, not about the other variants
    text = refused(*settings, *([] if "variants" in settings[0] else ["variants=[]"]))
    assert message in text


def test_without_a_decoder_there_must_be_an_image() -> None:
    assert "request.images: asks for nothing" in refused("request.images=0", name="siglip2_b16")


def test_an_unknown_variant_is_told_with_the_known_ones() -> None:
    assert refused(variant="225-u8") == (
        "InternVL2-1B has no variant '225-u8'; allowed: 224-u8, 224-u16, 448-u8, 448-u16"
    )


def test_a_workload_without_variants_says_what_to_do() -> None:
    single = load_workload("internvl2_1b").variant("224-u8")
    with pytest.raises(InputError, match="no variant 'u8'; allowed: none: it is one build, which"):
        single.variant("u8")


def test_a_faulty_variant_is_found_at_once_and_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.yaml").write_text(
        "name: x\n"
        "model: {vision: {num_hidden_layers: 1, hidden_size: 8, intermediate_size: 8, "
        "num_attention_heads: 2, patch_size: 14, image_size: 28}}\n"
        "variants:\n"
        "  - name: good\n"
        "    set: {request.image_size: 56}\n"
        "  - name: bad\n"
        "    set:\n"
        "      build.vision_dtype: u16\n"
        "      request.image_size: 57\n"
        "  - {name: good, set: {build.vision_dtyp: u8}}\n"
    )
    with pytest.raises(InputError) as error:
        load_workload("w.yaml")
    assert str(error.value).splitlines() == [
        "w.yaml:9: variants.1.set.request.image_size: found 57 [model.vision.patch_size = 14]; "
        "allowed: a multiple of 14 (patch_size 14)",
        "w.yaml:10: variants.2.name: 'good' is given twice",
        "w.yaml:10: variants.2.set.build.vision_dtyp: unknown key (value found: 'u8'); did you "
        "mean 'vision_dtype'?; allowed: npu_mode, vision_dtype, precision_overrides, weight_dtype, "
        "weight_format, post_weight_dtype, hidden_dtype, prefill_chunk, prefill_max_chunks, "
        "prefill_history, kv_cache_len, kv_slots, float_matmul_on_conv, toolchain, link, pulsar2, "
        "preprocess, observer",
    ]


@pytest.mark.parametrize("toolchain", ALLOWED_TOOLCHAINS)
def test_the_matmul_flag_follows_the_toolchain_unless_it_is_given(toolchain) -> None:
    def flag(workload: str, **build: object) -> bool:
        keys = {f"build.{key}": value for key, value in build.items()}
        return load_workload(workload, keys).float_matmul_on_conv

    default = {"build.float_matmul_on_conv": None}
    base = load_workload("qwen3_0_6b", {**default, "build.toolchain": toolchain})
    assert base.float_matmul_on_conv is (toolchain == "pulsar2-5.1")
    for given in (True, False):
        assert flag("qwen3_0_6b", toolchain=toolchain, float_matmul_on_conv=given) is given
    assert flag("siglip2_b16") is False  # no language model


def test_shipped_workloads_are_built_as_measured_ones_were() -> None:
    for name in ("internvl2_1b", "internvl3_2b", "qwen3_0_6b"):
        assert load_workload(name).float_matmul_on_conv is False


QWEN = {
    "model.vision.rotary": "qwen2_vl", "model.vision.position": "none",
    "model.vision.temporal_patch_size": 2, "model.vision.class_token": False,
    "variants": (), "build.kv_cache_len": 20_000,
}  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "size", "tokens"),
    [
        ({"request.image_size": "448x672"}, (448, 672), 16 * 24),
        ({"request.image_size": (448, 672)}, (448, 672), 16 * 24),
        ({"request.image_size": "448x448"}, 448, 256),
        # the picture's size: the nearest multiples of 28 within the bounds
        ({"request.image_size": "1080x1920", "request.max_pixels": 602112}, (560, 1008), 20 * 36),
        ({"request.image_size": "20x30", "request.min_pixels": 3136}, (56, 84), 2 * 3),
        ({"request.image_size": "300x500", "request.max_pixels": 999999}, (308, 504), 11 * 18),
    ],
)
def test_pictures_that_are_not_square(keys, size, tokens) -> None:
    workload = load_workload("internvl2_1b", {**QWEN, **keys})
    assert workload.image_size == size
    assert workload.image_tokens == tokens
    assert workload.prompt_tokens == 54 + tokens
    text = size if isinstance(size, int) else f"{size[0]}x{size[1]}"
    assert list(workload.expand()) == [f"{text}-u8"]


def test_frames_of_a_video_are_images_for_each_temporal_patch() -> None:
    video = {"request.video": {"seconds": 10.0, "fps": 2.0}}
    assert load_workload("internvl2_1b", {**QWEN, **video}).images == 10
    still = {**QWEN, "model.vision.temporal_patch_size": 1}
    assert load_workload("internvl2_1b", {**still, **video}).images == 20


def test_a_convolution_drops_what_fills_no_patch() -> None:
    """SigLIP of 384 pixels has 27 x 27 patches of 14, like one of 378."""
    keys = {
        "num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 32, "patch_size": 14,
        "num_attention_heads": 2,
    }  # fmt: skip
    for own, asked in ((384, 384), (384, 378), (378, 384)):
        model = config.ModelConfig(
            None, config.VisionConfig(**keys, image_size=own, class_token=False)
        )
        workload = Workload.of("t", model, request={"image_size": asked})
        assert workload.image_tokens == 27 * 27
    with pytest.raises(InputError, match="allowed: a multiple of 14"):
        Workload.of("t", model, request={"image_size": 400})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"request.image_size": "448x"}, "request.image_size: found '448x'"),
        ({"request.image_size": [1, 2, 3]}, r"found \[1, 2, 3\]; allowed: pixels along one side,"),
        ({"request.image_size": 0}, "found 0; allowed: pixels along one side"),
        ({"request.image_size": [28, -1]}, "such as 448x672"),
        ({"request.image_size": "448x470"}, "found 448x470 .*allowed: a multiple of 28"),
        ({"request.image_size": "28x9000", "request.max_pixels": 9999}, "28x9000: one side is 321"),
        (
            {"request.max_pixels": 100, "request.min_pixels": 200},
            "min_pixels: found 200 .*to max_pixels, 100",
        ),
        ({"request.max_pixels": 100, "model.vision.rotary": "none"}, "max_pixels: has no effect"),
        ({"request.video": {"seconds": 2.0}, "request.images": 2}, "images: has no effect: video"),
        ({"request.video": {"fps": 2.0}}, "request.video.seconds: missing"),
        ({"request.video": {"seconds": -1.0}}, "request.video.seconds: found -1.0"),
    ],
)
def test_pictures_that_cannot_be(keys, message) -> None:
    with pytest.raises(InputError, match=message):
        load_workload("internvl2_1b", {**QWEN, **keys})


@pytest.mark.parametrize("token", ["class_token", "register_tokens"])
def test_tokens_before_the_patches_stand_in_no_window(token: str) -> None:
    keys = {f"model.vision.{token}": 1 if token == "register_tokens" else True}
    keys |= {"model.vision.class_token": token == "class_token", "model.vision.window_size": 112}
    with pytest.raises(InputError, match=f"window_size: found 112, but {token} stands in no"):
        load_workload("internvl2_1b", keys)


def test_only_a_layer_normalization_has_a_bias() -> None:
    with pytest.raises(InputError, match="but the norm is RMSNormalization"):
        load_workload("qwen3_0_6b", {"model.decoder.parts.norm_bias": True})
