"""The walk: what the runtime asks for, in its order."""

from __future__ import annotations

from axsim.compiler.partition import Deployment
from axsim.models.config import ModelConfig
from axsim.spec.chip import load_chip
from axsim.system.request import Call, HostWork, Pass, ride, walk
from tests.runs.tiny import DECODER, VISION, VLM, workload

CHIP = load_chip("ax650n")


def order(passes: list[Pass]) -> list[tuple[str, int, int]]:
    return [(work.stage, work.index, work.layers) for work in passes]


def test_a_request_in_the_runtimes_order() -> None:
    deployment = Deployment(workload(images=2, text_tokens=8), CHIP)
    passes = list(walk(deployment, 3))
    assert order(passes) == [
        ("preprocess", 0, 1),
        ("vision", 0, 1),
        ("vision", 1, 1),
        ("prefill", 0, 2),
        ("post", 0, 1),
        ("decode", 1, 2),
        ("post", 1, 1),
        ("decode", 2, 2),
        ("post", 2, 1),
    ]
    preparation, vision, _, prefill, post, decode, *_ = passes
    (prepare,) = preparation.steps
    assert prepare == HostWork(prepare.us, cores=CHIP.cpu.cores)
    assert vision.steps == (Call(deployment.vision),)
    # within a layer chunk after chunk, each after its host work: 16 tokens in chunks of 8
    assert [type(step) for step in prefill.steps] == [HostWork, Call, HostWork, Call]
    assert prefill.steps[1::2] == tuple(Call(deployment.prefill[n], n) for n in range(2))
    assert post.steps[0] == Call(deployment.post)
    assert isinstance(post.steps[1], HostWork)  # the choice of the token comes after
    assert decode.steps[1] == Call(deployment.decode)


def test_parts_that_a_workload_lacks_are_not_asked_for() -> None:
    text = Deployment(workload(ModelConfig(DECODER), prompt_tokens=8), CHIP)
    assert [work.stage for work in walk(text, 2)] == ["prefill", "post", "decode", "post"]
    tower = Deployment(workload(ModelConfig(None, VISION, VLM.projector)), CHIP)
    assert [work.stage for work in walk(tower, 2)] == ["preprocess", "vision"]
    blind = Deployment(workload(images=0, text_tokens=8), CHIP)
    assert next(walk(blind, 1)).stage == "prefill"


def test_riding_runs_every_call_of_every_layer_once() -> None:
    deployment = Deployment(workload(), CHIP)  # 20 tokens: three chunks
    seen = []

    def compute(work: Pass, call: Call, layer: int) -> int | None:
        seen.append((work.stage, work.index, layer, call.chunk))
        return 7 if work.stage == "post" else None

    for _ in ride(walk(deployment, 5, ends=(7,)), compute):
        pass
    prefill = [("prefill", 0, layer, chunk) for layer in range(2) for chunk in range(3)]
    assert seen == [("vision", 0, 0, 0), *prefill, ("post", 0, 0, 0)]
