"""The size of pictures as a vision part takes them, and what keeps it from doing so."""

from __future__ import annotations

from axsim.errors import Fault
from axsim.models.config import Pixels, sides, size_text
from axsim.models.smart_resize import MAX_PIXELS, MIN_PIXELS, smart_resize
from axsim.spec.architecture import ModelSection
from axsim.spec.request_section import RequestSection


def picture_size(model: ModelSection, request: RequestSection) -> Pixels:
    """Pixels along one side, or height and width; 0 without a tower.

    Raises ValueError for a picture that is too long to be resized.
    """
    vision = model.vision
    if vision is None:
        return 0
    size = request.image_size or vision.image_size
    if request.min_pixels or request.max_pixels:
        least, most = request.min_pixels or MIN_PIXELS, request.max_pixels or MAX_PIXELS
        factor = vision.patch_size * (model.projector.block if model.projector else 1)
        size = smart_resize(*sides(size), factor, min(least, most), max(least, most))
    return size[0] if isinstance(size, tuple) and size[0] == size[1] else size


def size_fault(model: ModelSection, request: RequestSection) -> Fault | None:
    """What keeps pictures of the requested size from being cut into patches and blocks."""
    vision, projector = model.vision, model.projector
    assert vision is not None
    for name in ("min_pixels", "max_pixels"):
        if getattr(request, name) and vision.rotary != "qwen2_vl":
            what = "has no effect: this tower's pictures are not resized by their pixels"
            return Fault(f"request.{name}", what)
    key = "request.image_size" if request.image_size else "model.vision.image_size"
    try:
        size = picture_size(model, request)
    except ValueError as error:
        found = size_text(request.image_size or vision.image_size)
        return Fault(key, f"found {found}: {error}", "up to 200 times")
    if vision.stem == "sound" and size != vision.image_size:
        return Fault(key, f"found {size_text(size)}", f"{vision.image_size} frames")
    patch, own = vision.patch_size, vision.image_size
    block = projector.block if projector else 1
    # A tower trained on a size that is no multiple drops what fills no patch, as convolutions do,
    # and so does one whose own grid remains; else it would be a slip.
    if all(
        side >= patch
        and (not side % patch or own % patch or side // patch == own // patch)
        and not side // patch % block
        for side in sides(size)
    ):
        return None
    why = f"patch_size {patch}"
    why += f" × {block} patches joined by the projector" if block > 1 else ""
    allowed = f"a multiple of {patch * block} ({why})"
    return Fault(key, f"found {size_text(size)}", allowed, also=["model.vision.patch_size"])
