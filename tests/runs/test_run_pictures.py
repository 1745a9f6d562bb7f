"""The pictures that ranges of activations are taken from."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image

import axsim
from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.inputs.seeded import seeded_image
from axsim.models.synthetic import SyntheticWeights
from axsim.runs import expected
from axsim.runs.run_pictures import RunPictures, split
from axsim.runs.sources import Sources
from axsim.spec.chip import load_chip
from axsim.study.precision import Analysis
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


def test_ranges_come_from_the_pictures_that_are_not_held_out(photos):
    asked, black = seeded_image(56, 0, "image 0")[0], np.zeros((56, 56, 3))
    fitting = run(photos(asked, asked))
    dark = run(photos(asked, black))
    assert fitting.vision_cosine > 0.99
    assert dark.vision_cosine < fitting.vision_cosine - 0.01
    # The ranges of both together hold whatever either needs.
    both = run(photos(asked, black, asked))
    name = photos().name
    assert both.vision_cosine > dark.vision_cosine + 0.01
    assert both.calibrated_on == f"2 pictures of {name}"
    assert dark.calibrated_on == f"1 picture of {name}"
    assert dark.compared_on == f"1 held-out picture of {name}"


def test_a_single_picture_is_both(photos):
    alone = run(photos(seeded_image(56, 0, "image 0")[0]))
    assert alone.compared_on == f"the same picture of {photos().name}"
    assert alone.calibrated_on == f"1 picture of {photos().name}"


@pytest.mark.parametrize(
    ("count", "images", "held"),
    [(1, 1, [0]), (3, 1, [0]), (8, 1, [0, 4]), (9, 2, [0, 4]), (40, 1, [0, 10, 20, 30]),
     (2, 3, [0, 0, 1])],
)  # fmt: skip
def test_pictures_held_out_are_spread_over_the_folder(count, images, held):
    calibration, compared = split(range(count), images)
    assert compared == held
    others = [each for each in range(count) if each not in held]
    assert calibration == (others or list(range(count)))


def test_more_pictures_are_compared_than_the_request_has(photos, monkeypatch):
    folder = photos(*(seeded_image(56, 1, f"{index}")[0] for index in range(8)))
    found = run(folder)
    assert found.compared_on == f"2 held-out pictures of {folder.name}"
    deployment = Deployment(workload(), load_chip("ax650n"))
    pixels = RunPictures([deployment], Sources.of(images=folder)).of(deployment)
    analysis = Analysis(deployment, SyntheticWeights(deployment.model, 0), pixels)
    vision, logits = analysis.ends()
    assert vision.cosine == pytest.approx(found.vision_cosine, abs=1e-9)
    assert logits.cosine == found.logits_cosine


def test_seeded_pictures_without_a_folder():
    found = run()
    assert found.calibrated_on == found.compared_on == "a seeded picture"


def test_many_pictures_go_in_batches(photos, monkeypatch):
    folder = photos(*(seeded_image(56, 1, f"{index}")[0] for index in range(6)))
    together = run(folder)
    monkeypatch.setattr(expected, "IN_STEP", 2)
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


def test_no_images_for_a_folder(photos):
    with pytest.raises(InputError, match="no request has images"):
        axsim.run(workload(images=0), "ax650n", images=photos(np.zeros((9, 9, 3))))
    found = axsim.run(workload(VLM, images=0), "ax650n")[0].numerics
    assert found.calibrated_on is found.compared_on is None


def test_bf16_has_no_ranges_and_is_compared_on_the_folder(photos):
    found = run(photos(seeded_image(56, 3, "a")[0]), vision_dtype="bf16")
    assert found.calibrated_on is None
    assert found.compared_on == f"the same picture of {photos().name}"


def test_a_folder_without_pictures(tmp_path):
    with pytest.raises(InputError, match="has no pictures"):
        run(tmp_path)
