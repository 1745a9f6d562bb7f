"""What variants of one workload have in common: keys under which results are kept and found again.

Two variants whose keys for something are equal have that something in common.
"""

from __future__ import annotations

from axsim.compiler.partition import Deployment, Subgraph

Key = tuple[object, ...]


def sees(deployment: Deployment) -> bool:
    """Whether the request, or any of its turns, has images for a tower."""
    return deployment.vision is not None and deployment.workload.all_images > 0


def calibrated(deployment: Deployment) -> bool:
    """Whether the request has images for a vision part with quantised activations."""
    return sees(deployment) and deployment.workload.build.vision_dtype != "bf16"


def vision_part(deployment: Deployment) -> Subgraph:
    """The subgraph of a deployment that :func:`sees`."""
    assert deployment.vision is not None
    return deployment.vision


def pixels_key(deployment: Deployment, what: str) -> Key:
    """Of something that depends on the tower and the size and seed of pictures."""
    workload = deployment.workload
    return what, deployment.model, workload.image_size, workload.request.seed


def request_key(deployment: Deployment, what: str) -> Key:
    """Of something that float32 makes of the request."""
    workload = deployment.workload
    return *pixels_key(deployment, what), *(turn[:3] for turn in workload.asked)


def images_key(deployment: Deployment, what: str) -> Key:
    """Of something that the deployed vision part makes of the request."""
    build = deployment.workload.build
    own = build.vision_dtype, *build.precision_overrides.items()
    if deployment.workload.model.onnx is None:
        return *request_key(deployment, what), own
    numeric = build.model_dump_json(exclude={"npu_mode", "float_matmul_on_conv", "link"})
    network = deployment.workload.model.model_dump_json(), numeric
    return *request_key(deployment, what), own, network


def text_key(deployment: Deployment, what: str) -> Key:
    """Of something that a deployed decoder makes of a text."""
    build = deployment.workload.build
    dtypes = build.weight_dtype, build.post_weight_dtype, build.hidden_dtype
    sizes = build.prefill_chunk, build.compiled_histories, build.kv_cache_len
    seed = deployment.workload.request.seed
    return what, deployment.model, seed, *dtypes, *sizes


def numbers_key(deployment: Deployment, what: str) -> Key:
    """Of deployed numbers: chip, NPU mode and tool options change times only."""
    workload, build = deployment.workload, deployment.workload.build
    decoder = (build.weight_dtype, build.post_weight_dtype, build.prefill_chunk)
    request = workload.request.model_dump_json()
    sizes = build.kv_cache_len, workload.new_tokens, build.compiled_histories
    return *images_key(deployment, what), *decoder, *sizes, request
