"""Scripts in the style of the vendor's repositories run without a changed line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import axsim
from axsim.inputs.sampling import family_end
from axsim.inputs.seeded import image_span, seeded_image, seeded_tokens
from axsim.models.config import DecoderConfig, ModelConfig
from axsim.spec.workload import load_workload
from axsim.system.request import HostCosts
from tests.axengine import networks
from tests.cli.command import axsim as command
from tests.models import layouts
from tests.models.seeded import SeededWeights
from tests.models.writing import internvl_chat_json, stored, write
from tests.runs import tiny

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture(autouse=True)
def _no_modules_left():
    yield
    sys.modules.pop("llm", None)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small InternVL and its workload."""
    folder = tmp_path_factory.mktemp("script")
    tensors = stored(SeededWeights(tiny.VLM), tiny.VLM, layouts.OPENGVLAB)
    write(folder / "checkpoint", internvl_chat_json(tiny.VLM), tensors)
    tiny.write(folder)
    command(
        "build", folder / "tiny.yaml", "--chip", "ax630c", "-o", folder / "files", "--variant",
        "u16", "--checkpoint", folder / "checkpoint", "--no-check", "--calibrate-on", "seeded",
    )  # fmt: skip
    return folder


def ran(name, *arguments, code=0, options=()):
    return command("exec", *options, SCRIPTS / f"{name}.py", *arguments, code=code).stdout


def tokens_of(text):
    line = next(line for line in text.splitlines() if line.startswith("tokens:"))
    return tuple(map(int, line.split()[1:]))


def test_a_language_model_with_pictures_answers_as_axsim_run_does(checkpoint, tmp_path):
    workload = load_workload(checkpoint / "tiny.yaml", variant="u16")
    decoder = workload.model.config().decoder
    image_rows = np.zeros(workload.prompt_tokens, bool)
    image_rows[image_span(workload)] = True
    tokens = seeded_tokens(workload.prompt_tokens, 101, 0, family_end(decoder))
    picture = seeded_image(workload.image_size, 0, "image 0")
    np.savez(tmp_path / "request", tokens=tokens, picture=picture, image_rows=image_rows)
    usage = tmp_path / "usage.json"
    text = ran(
        "vlm", "--axmodel_path", checkpoint / "files", "--request", tmp_path / "request.npz",
        options=("--json", usage),
    )  # fmt: skip
    result = axsim.run(
        checkpoint / "tiny.yaml",
        "ax630c",
        variants=["u16"],
        overrides={"request.stop_at_eos": False},
        checkpoint=checkpoint / "checkpoint",
        calibrate_on="seeded",
    )["u16"]
    assert tokens_of(text) == result.numerics.tokens
    assert len(set(tokens_of(text))) > 1
    assert "is(are) not available" in text  # the first provider asked for

    # The clock: what the request takes, but for preparing the picture and choosing tokens.
    document = json.loads(usage.read_text())
    served, costs = result.served, HostCosts.of(result.deployment)
    choosing_ms = len(result.numerics.tokens) * costs.sample_us / 1e3
    assert document["total_ms"] == pytest.approx(served.ms - served.preprocess_ms - choosing_ms)
    vision = next(each for each in document["sessions"] if each["part"] == "vision")
    assert vision["groups"][0]["mean_ms"] == pytest.approx(result.vision_encode_ms.value)


def test_a_decoder_with_windows_answers_as_axsim_run_does(tmp_path):
    """Gemma's layers: a window in some, other rotations in others, an embedding that is scaled."""
    decoder = DecoderConfig(
        "gemma3", 3, 32, 48, 4, 2, 101, 8, tie_word_embeddings=True, sliding_window=6,
        full_attention_layers=(2,), sliding_rope_theta=1e4, embedding_multiplier=32**0.5,
    )  # fmt: skip
    workload = tiny.workload(ModelConfig(decoder), prompt_tokens=19, stop_at_eos=False)
    document = json.loads(workload.model_dump_json(exclude_unset=True))
    (tmp_path / "windows.yaml").write_text(json.dumps(document))
    command("build", tmp_path / "windows.yaml", "--chip", "ax650n", "-o", tmp_path, "--no-check")
    tokens = seeded_tokens(19, 101, 0, family_end(decoder))
    arguments = "--axmodel_path", tmp_path, "--prefix", "gemma3", "--prompt", *tokens
    (result,) = axsim.run(tmp_path / "windows.yaml", "ax650n")
    assert tokens_of(ran("llm", *arguments)) == result.numerics.tokens


def outputs_of(path, feed):
    return onnxruntime.InferenceSession(path).run(None, feed)


def test_a_dual_encoder_finds_the_same_text(tmp_path):
    files = networks.clip(tmp_path)
    rng = np.random.default_rng(5)
    image, texts = rng.normal(size=(1, 3, 32, 32)), rng.integers(0, 50, (4, 8))
    image = image.astype(np.float32)
    np.savez(tmp_path / "request", image=image, texts=texts)
    np.savez(tmp_path / "images", image=np.concatenate([image, -image]))  # ranges that hold it
    np.savez(tmp_path / "texts", text=texts)
    for path, samples in zip(files, ("images", "texts"), strict=True):
        given = "--samples", tmp_path / f"{samples}.npz", "--set", "build.vision_dtype=u16"
        command("build", path, "--chip", "ax650n", "-o", tmp_path / "files", "--no-check", *given)
    text = ran("clip", tmp_path / "files", tmp_path / "request.npz", tmp_path / "scores.npy")
    seen = outputs_of(files[0], {"image": image})[0][0]
    read = np.concatenate([outputs_of(files[1], {"text": each[None]})[0] for each in texts])
    expected = read @ seen / np.linalg.norm(seen) / np.linalg.norm(read, axis=1)
    assert np.abs(np.load(tmp_path / "scores.npy") - expected).max() < 0.005  # S8 weights
    assert f"best: {expected.argmax()}" in text
    assert text.count("[INFO] Model type: 2 (triple core)") == 2


def test_a_detector_of_bytes_finds_the_same_objects(tmp_path):
    path = networks.yolo(tmp_path)
    pictures = np.concatenate([seeded_image(64, 6, f"picture {i}") for i in range(5)])
    np.save(tmp_path / "image.npy", pictures[0])
    planes = (pictures / np.float32(255)).transpose(0, 3, 1, 2).astype(np.float32)
    np.savez(tmp_path / "samples", images=planes)
    command(
        "build", path, "--chip", "ax630c", "-o", tmp_path, "--picture", "uint8", "--set",
        "build.vision_dtype=u16", "--samples", tmp_path / "samples.npz",
    )  # fmt: skip
    text = ran("yolo", tmp_path / "detector.axmodel", tmp_path / "image.npy")
    found = [line for line in text.splitlines() if line.startswith("object")]
    expected = outputs_of(path, {"images": planes[:1]})[0][0]
    surest = [f"object {cell} {kind}" for cell, kind in detected(expected)][:6]
    assert len(surest) == 6
    assert found[:6] == surest  # what is found with scores near the limit may differ


def detected(output):
    """What the script's own function says of an output."""
    source = (SCRIPTS / "yolo.py").read_text().partition("parser = ")[0]
    names: dict = {}
    exec(
        source.replace("from axengine import InferenceSession, get_available_providers", ""), names
    )
    return names["detect"](output, 0.4)


def test_a_speech_model_sees_the_chips_clock_and_gives_its_status(tmp_path):
    encoder, decoder = networks.whisper(tmp_path)
    mel = np.random.default_rng(7).normal(size=(1, 20, 32)).astype(np.float32)
    np.save(tmp_path / "mel.npy", mel)
    for path in (encoder, decoder):
        command(
            "build", path, "--chip", "ax650n", "-o", tmp_path, "--no-check", "--set",
            "build.vision_dtype=bf16",
        )  # fmt: skip
    text = ran("whisper", tmp_path, tmp_path / "mel.npy", code=3, options=("--virtual-time",))
    keys, values = outputs_of(encoder, {"mel": mel})
    token, said = 1, []
    for _ in range(6):
        feed = {"token": np.array([[token]], np.int64), "keys": keys, "values": values}
        token = int(outputs_of(decoder, feed)[0][0, -1].argmax())
        said.append(token)
        if token == 0:
            break
    assert f"said: {' '.join(map(str, said))}" in text
    rows = [line.split() for line in text.splitlines() if line.startswith("whisper_")]
    assert [row[:3] for row in rows] == [
        ["whisper_encoder", "0", "1"], ["whisper_decoder", "0", str(len(said))],
    ]  # fmt: skip
    assert f"encoder took {rows[0][3]} ms" in text


def test_stages_of_a_pipeline_work_at_a_time_on_partitions(tmp_path):
    first, second = networks.yolo(tmp_path), networks.clip(tmp_path)[0]
    for path in (first, second):
        command(
            "build", path, "--chip", "ax650n", "-o", tmp_path, "--no-check", "--set",
            "build.npu_mode=NPU1",
        )  # fmt: skip
    took = {}
    for vnpu in ("disabled", "enabled"):
        usage = tmp_path / f"{vnpu}.json"
        text = ran(
            "pipeline", "--detector", tmp_path / "detector.axmodel",
            "--encoder", tmp_path / "clip_image.axmodel",
            options=("--virtual-time", "--vnpu", vnpu, "--json", usage),
        )  # fmt: skip
        assert f"order: {' '.join(map(str, range(12)))}" in text
        told = next(line for line in text.splitlines() if line.startswith("took:"))
        document = json.loads(usage.read_text())
        took[vnpu] = float(told.split()[1])
        assert took[vnpu] == pytest.approx(document["clock_ms"], abs=1e-5)
    assert f"the last of them ended at {took['enabled']:.3f} ms of the chip's clock" in text
    slow, quick = (each["groups"][0]["min_ms"] for each in document["sessions"])
    assert took["disabled"] == pytest.approx(12 * (slow + quick))
    assert slow > quick
    # the first stage never waits; company at the DRAM costs less than 2 %
    assert 1 <= took["enabled"] / (12 * slow + quick) < 1.02
