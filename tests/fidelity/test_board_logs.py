"""Logs of the vendor's runtime as rows of a ledger."""

from __future__ import annotations

import pytest

from axsim.fidelity.ledger import load_ledger
from tests.cli import small_network
from tests.cli.command import axsim

LAYER = """\
Run AxModel:
      model: /opt/m/qwen2_p128_l0_together.axmodel
       type: 3 Core
       vnpu: Disable
     warmup: 10
     repeat: 100
pulsar2 ver: 3.2 7e6b2b5f
   cmm size: 12730188 Bytes
------------------------------------------------------
min =   0.850 ms   max =   0.872 ms   avg =   0.862 ms
min =   3.700 ms   max =   3.900 ms   avg =   3.800 ms
group: 3
min =   7.100 ms   max =   7.300 ms   avg =   7.200 ms
------------------------------------------------------
Run AxModel:
      model: qwen2_post.axmodel
min =   7.0 ms   max =   7.2 ms   avg =   7.1 ms
Run AxModel:
      model: intervl_vision_part_224.axmodel
       type: NPU3
min =   25.0 ms   max =   25.2 ms   avg =   25.1 ms
"""
CHAT = """\
\033[1;30;32m[I][          Init][ 280]: kv_cache_size : 128, kv_cache_num: 1023
[I][          Init][ 288]: prefill_token_num : 128
[I][           Run][ 300]: input token num : 200, prefill_split_num : 2
[I][        Encode][ 351]: image encode time : 397.944000 ms, size : 57344
[I][           Run][ 561]: ttft: 250.73 ms
[N][           Run][ 700]: hit eos,avg 31.16 token/s
"""


@pytest.fixture
def logs(tmp_path):
    (tmp_path / "layer.log").write_text(LAYER)
    (tmp_path / "chat.log").write_text(CHAT)
    return tmp_path


def imported(folder, *arguments):
    axsim("ledger", "import", *arguments, "-o", folder / "rows.csv", folder=folder)
    return load_ledger(folder / "rows.csv")


WORKLOAD = ("--workload", "internvl2_1b", "--variant", "224-u8")


def test_every_line_with_a_time_is_a_row_with_its_conditions(logs):
    rows = imported(logs, "layer.log", "chat.log", "--chip", "ax650n", *WORKLOAD)
    assert [(row.metric, row.value) for row in rows] == [
        ("decode_layer_ms", 0.862),
        ("prefill_layer_ms", 3.8),
        ("prefill_layer_ms", 7.2),
        ("post_ms", 7.1),
        ("vision_encode_ms", 25.1),
        ("vision_encode_ms", 397.944),
        ("ttft_ms", 250.73),
        ("decode_tokens_per_s", 31.16),
    ]
    decode, first, third, _, vision, _, ttft, speed = rows
    assert (decode.npu_mode, decode.toolchain, decode.weight_dtype) == ("NPU3", "pulsar2-3.2", "s8")
    assert (first.prefill_chunk, first.cached_tokens) == (128, 0)
    assert (third.prefill_chunk, third.cached_tokens) == (128, 256)
    assert (vision.image_size, vision.vision_dtype) == (224, "u8")
    assert (ttft.prompt_chunks, ttft.prefill_chunk, ttft.kv_cache_len) == (2, 128, 1023)
    assert (speed.kv_cache_len, speed.prefill_chunk) == (1023, None)
    assert {row.model for row in rows} == {"InternVL2-1B"}
    assert "layer.log:10" in decode.note


def test_options_win_over_the_log(logs):
    given = ("--kv-cache-len", "2047", "--toolchain", "pulsar2-3.4", "--card")
    rows = imported(
        logs, "layer.log", "--chip", "ax650n", "--model", "X", "--image-size", "224", *given
    )
    assert (rows[0].kv_cache_len, rows[0].toolchain, rows[0].link) == (2047, "pulsar2-3.4", "pcie")


def test_history_of_groups_is_as_the_log_says(tmp_path):
    text = (
        "grp: 2, prefill_max_kv_cache_num : 512\nRun AxModel:\n model: a_p128_l3_together.axmodel"
    )
    (tmp_path / "a.log").write_text(f"{text}\n  g0: 0.862 ms\n  g1: 1.2ms\n  g2: 7.483 ms\n")
    rows = imported(tmp_path, "a.log", "--chip", "ax650n", "--model", "X")
    assert [(row.metric, row.cached_tokens) for row in rows] == [
        ("decode_layer_ms", None), ("prefill_layer_ms", 0), ("prefill_layer_ms", 512),
    ]  # fmt: skip


def test_a_network_is_called_like_its_file(tmp_path):
    block = (
        "Run AxModel:\n model: /a/resnet50.axmodel\n type: NPU1\nmin = 3 ms max = 4 ms avg = 3.5 ms"
    )
    (tmp_path / "a.log").write_text(block)
    (row,) = imported(tmp_path, "a.log", "--chip", "ax650n", "--vision-dtype", "u8")
    assert (row.model, row.metric, row.npu_mode) == ("resnet50", "graph_ms", "NPU1")


def test_the_size_of_pictures_is_in_the_log(logs):
    (logs / "chat.log").write_text(f"[I][Init][ 290]: vpm_height : 448,vpm_width : 448\n{CHAT}")
    rows = imported(logs, "layer.log", "chat.log", "--chip", "ax650n", "--model", "X")
    sizes = [row.image_size for row in rows if row.metric == "vision_encode_ms"]
    assert sizes == [224, 448]


def test_pictures_of_a_workload_without_any_are_left_out(logs):
    asked = ("chat.log", "--chip", "ax650n", "--workload", "qwen3_0_6b", "-o", "rows.csv")
    told = axsim("ledger", "import", *asked, folder=logs).stderr
    assert "note: chat.log:4: vision_encode_ms is left out, the workload has no pictures" in told
    rows = load_ledger(logs / "rows.csv")
    assert [row.metric for row in rows] == ["ttft_ms", "decode_tokens_per_s"]


def test_the_file_of_a_network_may_have_any_name(tmp_path):
    small_network.small(tmp_path)
    block = "Run AxModel:\n model: vit_b16.axmodel\nmin = 3 ms max = 4 ms avg = 3.5 ms"
    (tmp_path / "a.log").write_text(block)
    (row,) = imported(tmp_path, "a.log", "--chip", "ax650n", "--workload", "models/small.yaml")
    assert (row.model, row.metric) == ("vit_b16", "graph_ms")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("min = 9 ms max = 8 ms avg = 8.5 ms", "found min 9, max 8, avg 8.5 ms; allowed: min <="),
        ("min = 7 ms max = 8 ms avg = 8.5 ms", "found min 7, max 8, avg 8.5 ms; allowed: min <="),
        ("min = -1 ms max = 8 ms avg = 3.5 ms", "found -1; allowed: above 0"),
        ("g2: -0.5 ms", "found -0.5; allowed: above 0"),
        ("ttft: 0.00 ms", "found 0; allowed: above 0"),
        ("hit eos,avg inf token/s", "found inf; allowed: above 0"),
        ("hit eos,avg -nan token/s", "found nan; allowed: above 0"),
    ],
)
def test_times_that_cannot_be(logs, line, message):
    (logs / "a.log").write_text(f"model: a_p128_l3_together.axmodel\n{line}\nttft: -3 ms\n")
    asked = ("a.log", "--chip", "ax650n", "--model", "X")
    told = axsim("ledger", "import", *asked, code=2, folder=logs).stderr
    assert f"error: a.log:2: {message}" in told
    assert "error: a.log:3: found -3" in told


def test_the_rows_are_validated(logs):
    imported(logs, "layer.log", "chat.log", "--chip", "ax650n", *WORKLOAD)
    text = axsim("validate", "--ledger", "rows.csv", folder=logs).stdout
    assert "B001 InternVL2-1B s8 KV 1023 NPU3    0.862" in text
    assert "B008 InternVL2-1B s8 KV 1023" in text


def test_a_model_that_is_not_shipped_gets_its_architecture(logs):
    (logs / "mine.yaml").write_text(
        "name: Mine\nmodel: {decoder: {family: qwen2, num_hidden_layers: 2, hidden_size: 64, "
        "intermediate_size: 96, num_attention_heads: 4, num_key_value_heads: 2, vocab_size: 300}}\n"
    )
    asked = ("chat.log", "--chip", "ax650n", "--workload", "mine.yaml")
    told = axsim("ledger", "import", *asked, "-o", "rows.csv", folder=logs).stderr
    assert "Mine is no shipped architecture" in told
    imported(logs, *asked, "--models", "models.yaml")
    text = axsim("validate", "--ledger", "rows.csv", "--models", "models.yaml", folder=logs).stdout
    assert "B001 Mine" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.log", "--chip", "ax650n"), "error: cannot read none.log: No such file"),
        (("other.txt", "--chip", "ax650n"), "error: other.txt: has no line with a time; allowed"),
        (("layer.log", "--chip", "ax650"), "did you mean 'ax650n'?"),
        (("layer.log", "--chip", "ax650n"), "error: layer.log:10: decode_layer_ms: whose is it?"),
        (
            ("chat.log", "--chip", "ax650n", "--model", "X"),
            "chat.log:4: vision_encode_ms needs --image-size, or",
        ),
        (("chat.log", "--chip", "ax650n", "--models", "m.yaml"), "--models writes an architecture"),
        (("chat.log", "--chip", "ax650n", "--toolchain", "gcc"), "toolchain: found 'gcc'; allowed"),
        (("chat.log", "--chip", "ax650n", "--weight-dtype", "s9"), "'s9' is not one of"),
    ],
)
def test_wrong_input(logs, arguments, message):
    (logs / "other.txt").write_text("nothing of interest\n")
    assert message in axsim("ledger", "import", *arguments, code=2, folder=logs).stderr


@pytest.mark.parametrize(
    "line",
    [f"group: {'9' * 5000}", f"prefill_token_num : {'1' * 5000}", "prefill_token_num : 0"],
)
def test_numbers_that_no_log_has_are_passed_over(logs, line):
    (logs / "chat.log").write_text(f"{line}\n{CHAT}")
    rows = imported(logs, "chat.log", "--chip", "ax650n", *WORKLOAD)
    assert {row.metric for row in rows} >= {"ttft_ms", "decode_tokens_per_s"}
