"""Sessions: what is told of inputs and outputs, what is a mistake, how the chip is shared."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from ml_dtypes import bfloat16
from simpy import Environment

import axsim.axengine
from axsim.axengine.session import ModelError
from axsim.axmodel.model import Model
from axsim.errors import InputError
from axsim.machine.npu import Npu
from axsim.spec.chip import load_chip
from axsim.system.request import HostCosts
from axsim.system.soc import Soc
from tests.cli.command import axsim as command
from tests.runs import tiny


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("session")
    arguments = tiny.write(folder), "--chip", "ax630c", "-o", folder, "--no-check", "--variant"
    command("build", *arguments, "u16")
    return folder


@pytest.fixture
def axengine(capsys):
    axsim.axengine.install("ax630c")
    import axengine

    capsys.readouterr()
    return axengine


@pytest.fixture
def layer(files, axengine):
    return axengine.InferenceSession(str(files / "qwen2_p8_l0_together.axmodel"))


def feed_of(session, group):
    """Zeros of the right shapes."""
    return {a.name: np.zeros(a.shape, a.dtype) for a in session.get_inputs(shape_group=group)}


def test_the_public_names(axengine):
    assert axengine.axengine_provider_name == "AxEngineExecutionProvider"
    assert axengine.axclrt_provider_name == "AXCLRTExecutionProvider"
    assert axengine.get_all_providers() == ["AxEngineExecutionProvider", "AXCLRTExecutionProvider"]
    assert axengine.get_available_providers() == ["AxEngineExecutionProvider"]
    assert axengine.NodeArg("x", np.dtype(np.uint8), [1]).shape == [1]
    assert axengine.SessionOptions()


def test_names_are_in_the_modules_of_the_vendors_package(axengine):
    from axengine._base_session import SessionOptions
    from axengine._node import NodeArg
    from axengine._providers import axclrt_provider_name, get_available_providers
    from axengine._session import InferenceSession

    assert (InferenceSession, NodeArg) == (axengine.InferenceSession, axengine.NodeArg)
    assert SessionOptions is axengine.SessionOptions
    assert axclrt_provider_name not in get_available_providers()
    with pytest.raises(ModuleNotFoundError, match=r"axengine\._axe"):
        import axengine._axe


def test_groups_of_a_layer(layer):
    told = [(a.name, a.dtype, a.shape) for a in layer.get_inputs()]
    assert told == [
        ("K_cache", bfloat16, [1, 40, 16]),
        ("V_cache", bfloat16, [1, 40, 16]),
        ("indices", np.uint32, [1, 1]),
        ("input", bfloat16, [1, 1, 32]),
        ("mask", bfloat16, [1, 1, 41]),
    ]
    assert [a.name for a in layer.get_outputs()] == ["K_cache_out", "V_cache_out", "output"]
    assert layer.get_inputs(shape_group=1)[0].shape == [1, 1, 32]
    assert layer.get_inputs(shape_group=3)[0].shape == [1, 16, 16]
    assert layer.get_outputs(3)[2].shape == [1, 8, 32]
    assert layer.get_outputs()[0].dtype == bfloat16
    assert layer.get_providers() == "AxEngineExecutionProvider"


def test_outputs_come_in_the_order_asked_for(layer):
    feed = feed_of(layer, 0) | {"input": np.ones((1, 1, 32), bfloat16)}
    every = layer.run(None, feed)
    some = layer.run(["output", "K_cache_out"], feed)
    assert [each.shape for each in some] == [(1, 1, 32), (1, 1, 16)]
    assert np.array_equal(some[0], every[2])
    assert np.array_equal(some[1], every[0])
    some[0][:] = 0  # results are new arrays
    assert np.array_equal(layer.run(["output"], feed, None, 0)[0], every[2])


def test_slices_of_caches_are_taken_as_they_lie(layer):
    cache = np.random.default_rng(0).normal(size=(16, 40)).astype(bfloat16).T[None]
    feed = feed_of(layer, 2) | {"K_cache": cache[:, :8]}
    whole = feed | {"K_cache": np.ascontiguousarray(cache[:, :8])}
    first, second = (layer.run(None, each, shape_group=2)[2] for each in (feed, whole))
    assert np.array_equal(first, second)


def _without(name):
    return lambda feed: feed.pop(name)


@pytest.mark.parametrize(
    ("group", "names", "change", "message"),
    [
        (6, None, None, r"Shape group '6' is out of range, total 6\."),
        (-1, None, None, r"Shape group '-1' is out of range, total 6\."),
        (0, ["logits"], None, "Output name 'logits' is not in model outputs name list"),
        (0, None, _without("mask"), r"Required inputs \(\['mask'\]\) are missing from input feed"),
        (
            0, None, lambda feed: feed.update(mask=np.zeros((1, 1, 40), bfloat16)),
            r"model inputs\(mask\) expect shape \[1, 1, 41\] and dtype bfloat16, however gets "
            r"input with shape \[1, 1, 40\] and dtype bfloat16",
        ),
        (
            0, None, lambda feed: feed.update(mask=np.zeros((1, 1, 41), np.float32)),
            "however gets input with shape .* and dtype float32",
        ),
        (
            0, None, lambda feed: feed.update(indices=np.full((1, 1), 4000, np.uint32)),
            "model inputs point beyond what the model has: index 4000",
        ),
        (0, None, lambda feed: feed.update(mask=[0.0] * 41), "however gets a list"),
    ],
)  # fmt: skip
def test_mistakes_are_value_errors(layer, group, names, change, message):
    feed = feed_of(layer, min(max(group, 0), 5))
    if change is not None:
        change(feed)
    with pytest.raises(ValueError, match=message):
        layer.run(names, feed, shape_group=group)
    with pytest.raises(ValueError, match="out of range"):
        layer.get_inputs(shape_group=6)


def test_more_than_the_inputs_may_be_fed(layer):
    assert len(layer.run(None, feed_of(layer, 0) | {"other": np.zeros(3)})) == 3


def test_with_closes_a_session(files, axengine):
    with axengine.InferenceSession(files / "qwen2_post.axmodel") as session:
        assert session.get_outputs()[0].shape == [1, 1, 101]
    with pytest.raises(ValueError, match="the session is closed"):
        session.run(None, {"input": np.zeros((1, 1, 32), bfloat16)})


def test_a_session_of_bytes(files, axengine):
    first = axengine.InferenceSession.load_from_model(files / "qwen2_post.axmodel")
    assert first.get_inputs()[0].name == "input"
    session = axengine.InferenceSession((files / "qwen2_post.axmodel").read_bytes())
    assert session.get_inputs()[0].shape == [1, 1, 32]


@pytest.mark.parametrize(
    ("providers", "options", "message"),
    [
        ("AXCLRTExecutionProvider", None, "'AXCLRTExecutionProvider' is not available"),
        (["CPUExecutionProvider"], None, r"\['CPUExecutionProvider'\] is\(are\) not available"),
        ([("AxEngineExecutionProvider",)], None, "names or .name, options. pairs"),
        (["AxEngineExecutionProvider"], [{"device_id": 3}], "device_id 3 is not there"),
        ([("AxEngineExecutionProvider", {"device_id": 1})], None, "device_id 1 is not there"),
    ],
)
def test_providers_that_are_not_there(files, axengine, providers, options, message):
    with pytest.raises(ValueError, match=message):
        axengine.InferenceSession(files / "qwen2_post.axmodel", None, providers, options)


def test_the_first_provider_that_is_there_is_taken(files, axengine, capsys):
    wanted = ["CPUExecutionProvider", ("AxEngineExecutionProvider", {"device_id": 0})]
    session = axengine.InferenceSession(files / "qwen2_post.axmodel", providers=wanted)
    assert session.get_providers() == "AxEngineExecutionProvider"
    text = capsys.readouterr().out.splitlines()
    assert text[0] == (
        "[WARNING] Selected provider(s): ['CPUExecutionProvider'] is(are) not available."
    )
    assert all(line.startswith("[INFO] ") for line in text[1:])
    starts = [line.partition(":")[0].removeprefix("[INFO] ") for line in text[1:]]
    assert starts == [
        "Using provider", "Chip type", "VNPU type", "Engine version", "Model type",
        "Compiler version",
    ]  # fmt: skip


def test_a_card_has_its_own_provider_and_a_round_trip(files, capsys):
    feed = {"input": np.zeros((1, 1, 32), bfloat16)}
    took = []
    for card in (False, True):
        board = axsim.axengine.install("ax630c", card=card)
        import axengine

        options = [{"device_id": 0}]
        session = axengine.InferenceSession(
            files / "qwen2_post.axmodel",
            providers=axengine.get_available_providers(),
            provider_options=options,
        )
        session.run(None, feed)
        took.append(board.now_ms)
    assert session.get_providers() == "AXCLRTExecutionProvider"
    assert took[1] - took[0] == pytest.approx(board.chip.host.pcie_ms)
    text = capsys.readouterr().out
    assert "[INFO] Available providers:  ['AXCLRTExecutionProvider']" in text
    assert "[INFO] SOC Name: AX630C" in text


def test_files_that_cannot_be_loaded(files, axengine, tmp_path):
    with pytest.raises(FileNotFoundError):
        axengine.InferenceSession("nowhere.axmodel")
    (tmp_path / "vendor.axmodel").write_bytes(b"\x08\x0a\x12\x07Pulsar2" + bytes(100))
    with pytest.raises(RuntimeError, match="Axera's compiled format; build it from ONNX"):
        axengine.InferenceSession(tmp_path / "vendor.axmodel")
    axsim.axengine.install("ax650n")
    with pytest.raises(ModelError, match="is built for ax630c, this is ax650n"):
        axengine.InferenceSession(files / "qwen2_post.axmodel")
    with pytest.raises(InputError, match="no chip is named 'ax9'"):
        axsim.axengine.install("ax9")


def test_the_clock_advances_by_what_the_chip_takes(layer):
    board = axsim.axengine.stand_in.current()
    for group in (0, 0, 2):
        layer.run(None, feed_of(layer, group), shape_group=group)
    model = layer._sess._model
    host = HostCosts.of(model.deployment)
    decode, prefill = (
        Npu().run(model.subgraph(group).program).duration_us + us
        for group, us in ((0, host.decode_layer_us), (2, host.prefill_layer_us))
    )
    assert board.now_ms == pytest.approx((2 * decode + prefill) / 1e3)
    (session,) = board.usage.to_dict()["sessions"]
    assert [(g["group"], g["calls"]) for g in session["groups"]] == [(0, 2), (2, 1)]
    assert session["groups"][0]["mean_ms"] == pytest.approx(decode / 1e3)
    assert sum(g["share"] for g in session["groups"]) == pytest.approx(1)


def at_a_time(sessions, counts):
    """So many calls of each session, each session in a thread of its own; when each ended, ms after
    the first began."""
    board, ended = axsim.axengine.stand_in.current(), [0.0] * len(sessions)
    begun = board.now_ms

    def work(index):
        for _ in range(counts[index]):
            sessions[index].run(None, feed_of(sessions[index], 0))
        ended[index] = board.now_ms - begun

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(sessions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


def as_scenarios_have_it(chip, sessions, counts, partitions):
    """The same of processes on a chip."""
    env, ended = Environment(), [0.0] * len(sessions)
    soc = Soc(env, chip, dict(partitions))

    def work(index):
        model = sessions[index]._sess._model
        host_us = HostCosts.of(model.deployment).decode_layer_us
        for _ in range(counts[index]):
            if model.manifest.part == "layer":
                yield from soc.work(host_us)
            yield from soc.invoke(model.subgraph(0).program, partitions[index][0])
        ended[index] = env.now / 1e3

    for index in range(len(sessions)):
        env.process(work(index))
    env.run()
    return ended


def test_sessions_of_one_partition_queue(files, axengine):
    board = axsim.axengine.install("ax630c")
    names = ["qwen2_post", "qwen2_p8_l0_together"]
    sessions = [axengine.InferenceSession(files / f"{name}.axmodel") for name in names]
    ended = at_a_time(sessions, [20, 12])
    whole = [("npu", "NPU2")] * 2
    assert ended == pytest.approx(as_scenarios_have_it(board.chip, sessions, [20, 12], whole))
    assert sum(group.waited_ms for group in board.usage.rows()) > 0.1


@pytest.fixture(scope="module")
def small_files(tmp_path_factory):
    """For one core of AX650N."""
    folder = tmp_path_factory.mktemp("npu1")
    arguments = tiny.write(folder), "--chip", "ax650n", "-o", folder, "--no-check", "--variant"
    command("build", *arguments, "u16", "--set", "build.npu_mode=NPU1")
    return folder


def test_sessions_on_partitions_run_at_a_time_and_share_the_dram(small_files, capsys):
    board = axsim.axengine.install("ax650n", vnpu="enabled")
    import axengine

    names = ["qwen2_vision_part_56", "qwen2_post", "qwen2_vision_part_56"]
    sessions = [axengine.InferenceSession(small_files / f"{name}.axmodel") for name in names]
    assert "[INFO] VNPU type: VNPUType.ENABLED" in capsys.readouterr().out
    counts = [6, 13, 6]
    ended = at_a_time(sessions, counts)
    own = [(f"npu{index}", "NPU1") for index in range(3)]
    assert ended == pytest.approx(as_scenarios_have_it(board.chip, sessions, counts, own))
    rows = board.usage.rows()
    assert sum(group.waited_ms for group in rows) == 0.0
    alone = [Npu().run(each._sess._model.subgraph(0).program).duration_us for each in sessions]
    assert rows[0].max_ms > 1.002 * alone[0] / 1e3  # others were at the DRAM
    assert board.now_ms < 0.5 * board.usage.total_ms


def test_in_real_time_sessions_run_at_a_time(small_files):
    chip = load_chip("ax650n", {"host.decode_layer_ms": 60})
    board = axsim.axengine.install(chip, vnpu="enabled", realtime=True)
    import axengine

    path = small_files / "qwen2_p8_l0_together.axmodel"
    sessions = [axengine.InferenceSession(path) for _ in range(2)]
    sessions[0].run(None, feed_of(sessions[0], 0))  # what is made once
    begun = time.perf_counter()
    at_a_time(sessions, [4, 4])
    assert 0.24 <= time.perf_counter() - begun < 0.46
    assert board.usage.total_ms > 9 * 60


def test_a_fourth_session_waits_for_the_first_free_partition(small_files):
    board = axsim.axengine.install("ax650n", vnpu="enabled")
    import axengine

    names = ["qwen2_vision_part_56"] * 3 + ["qwen2_post"]
    sessions = [axengine.InferenceSession(small_files / f"{name}.axmodel") for name in names]
    at_a_time(sessions, [1, 1, 1, 1])
    waited = [group.waited_ms for group in board.usage.rows()]
    assert sum(each > 0 for each in waited) == 1
    assert board.now_ms < 2.1 * board.usage.rows()[0].min_ms


def test_halves_of_an_npu_take_turns(tmp_path):
    arguments = tiny.write(tmp_path), "--chip", "ax630c", "-o", tmp_path, "--no-check", "--quiet"
    command("build", *arguments, "--set", "build.npu_mode=NPU1", "--variant", "u16")
    board = axsim.axengine.install("ax630c", vnpu="enabled")
    import axengine

    path = tmp_path / "qwen2_vision_part_56.axmodel"
    sessions = [axengine.InferenceSession(path) for _ in range(2)]
    ended = sorted(at_a_time(sessions, [4, 4]))
    halves = [("npu0", "NPU1"), ("npu1", "NPU1")]
    expected = as_scenarios_have_it(board.chip, sessions, [4, 4], halves)
    assert ended == pytest.approx(sorted(expected))
    assert board.usage.clock_ms == pytest.approx(board.usage.total_ms)


def test_a_model_needs_a_partition_with_its_cores(small_files, tmp_path):
    arguments = tiny.write(tmp_path), "--chip", "ax650n", "-o", tmp_path, "--no-check", "--quiet"
    command("build", *arguments, "--variant", "u8", "--set", "build.npu_mode=NPU3")
    for vnpu, allowed in (("big-little", "NPU2, NPU1"), ("enabled", "NPU1, NPU1, NPU1")):
        axsim.axengine.install("ax650n", vnpu=vnpu)
        import axengine

        assert axengine.InferenceSession(small_files / "qwen2_post.axmodel").get_inputs()
        message = (
            f"a model for NPU3 does not run while VNPU is {vnpu}: ax650n has partitions {allowed}"
        )
        with pytest.raises(ValueError, match=message):
            axengine.InferenceSession(tmp_path / "qwen2_post.axmodel")


def test_vnpu_types_that_a_chip_does_not_have():
    with pytest.raises(InputError, match=r"no VNPU type little-big.*disabled, enabled"):
        axsim.axengine.install("ax630c", vnpu="little-big")
    with pytest.raises(InputError, match=r"vnpu: found 'dual'.*disabled, enabled, big-little"):
        axsim.axengine.install("ax650n", vnpu="dual")


def test_what_is_loaded_must_fit_into_the_chips_memory(files):
    path = files / "qwen2_vision_part_56.axmodel"
    weights = Model(path, load_chip("ax630c")).subgraph(0).program.weight_bytes
    capacity = max(65536, 5 * weights // 2)  # of two such files
    chip = load_chip("ax630c", {"dram.capacity_bytes": capacity})
    axsim.axengine.install(chip)
    import axengine

    sessions = [axengine.InferenceSession(path) for _ in range(capacity // weights - 2)]
    first, second = axengine.InferenceSession(path), axengine.InferenceSession(path)
    with pytest.raises(RuntimeError, match="does not fit: with it, files take 0 MiB"):
        axengine.InferenceSession(path)
    del second
    with axengine.InferenceSession(path) as third:
        assert third.get_inputs() == first.get_inputs()
    axengine.InferenceSession(path)
    assert len(sessions) == capacity // weights - 2
