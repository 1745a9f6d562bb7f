"""The pictures that ranges of activations are taken from."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image

import axsim
from axsim.errors import InputError
from axsim.inputs.seeded import seeded_image
from axsim.runs import numbers as numerics
from tests.runs.tiny import VLM, workload


@pytest.fixture
def photos(tmp_path):
    """A folder; ``photos(a, b)`` has the pictures a and b [S, S, 3]."""

    def write(*pictures):
        for index, pixels in enumerate(pictures):
            Image.fromarray(np.asarray(pixels, np.uint8)).save(tmp_path / f"{index}.png")
        return tmp_path

    return write


def run(images=None, **build):
    return axsim.run(workload(build=build), "ax650n", images=images)[0].numerics


def test_the_ranges_are_those_of_the_folder(photos):
    asked = seeded_image(56, 0, "image 0")[0]
    fitting = run(photos(asked))
    dark = run(photos(np.zeros((56, 56, 3))))
    assert fitting.vision_cosine > 0.99
    assert dark.vision_cosine < fitting.vision_cosine - 0.01
    # The ranges of both together hold whatever either needs.
    both = run(photos(np.zeros((56, 56, 3)), asked))
    assert both.vision_cosine > dark.vision_cosine + 0.01
    assert both.calibrated_on == f"2 pictures of {photos().name}"
    assert fitting.calibrated_on == f"1 picture of {photos().name}"


def test_a_seeded_picture_without_a_folder(photos):
    found = run()
    assert found.calibrated_on == "a seeded picture"
    same = run(photos(seeded_image(56, 0, "calibration 0")[0]))
    assert same.vision_cosine == found.vision_cosine
    assert same.tokens == found.tokens


def test_many_pictures_go_in_batches(photos, monkeypatch):
    folder = photos(*(seeded_image(56, 1, f"{index}")[0] for index in range(6)))
    together = run(folder)
    monkeypatch.setattr(numerics, "IN_STEP", 2)
    assert run(folder) == together


def test_every_size_has_its_own_ranges(photos):
    folder = photos(seeded_image(112, 0, "a")[0])
    base = workload()
    sizes = [{"name": str(s), "set": {"request.image_size": s}} for s in (56, 112)]
    document = base.model_dump(exclude_unset=True)
    both = type(base).model_validate({**document, "variants": tuple(sizes)})
    found = axsim.run(both, "ax650n", images=folder)
    assert {each.numerics.calibrated_on for each in found} == {f"1 picture of {folder.name}"}
    assert all(each.numerics.vision_cosine > 0.95 for each in found)


@pytest.mark.parametrize("change", [{"build": {"vision_dtype": "bf16"}}, {"images": 0}])
def test_nothing_to_calibrate(photos, change):
    with pytest.raises(InputError, match="nothing to calibrate"):
        axsim.run(workload(**change), "ax650n", images=photos(np.zeros((9, 9, 3))))
    assert axsim.run(workload(VLM, **change), "ax650n")[0].numerics.calibrated_on is None


def test_a_folder_without_pictures(tmp_path):
    with pytest.raises(InputError, match="has no pictures"):
        run(tmp_path)
