"""From picture to prompt: tokenizer, template, image tokens."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("PIL")

from PIL import Image

from axsim.errors import InputError
from axsim.inputs.chat import Chat
from axsim.inputs.images import one_tile, open_picture, tiles
from axsim.inputs.tokenizer import Stream, Tokens
from axsim.spec.workload import Workload
from tests.runs.talking import MODEL, SPECIAL, write_model, write_tokenizer

WORKLOAD = Workload.of("talking", MODEL, build={"prefill_chunk": 64, "kv_cache_len": 511})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("talking"))


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "p.png"
    pixels = np.random.default_rng(0).integers(0, 256, (60, 130, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_both_kinds_of_files_give_the_same_tokens(tmp_path):
    found = []
    for whole in (True, False):
        part = tmp_path / str(whole)
        part.mkdir()
        write_tokenizer(part, whole)
        tokens = Tokens(part)
        text = "<|im_start|>hello the 12é\n<|im_end|>"
        ids = tokens.encode(text)
        assert tokens.decode(ids) == "hello the 12é\n"
        assert [tokens.id(t) for t in SPECIAL] == list(range(261, 267))
        assert ids[0] == 262
        assert ids[-1] == 263
        found.append(ids)
    assert found[0] == found[1]
    # "hell", "o", then " t" and "he" ("h e" goes before " t h"), bytes; digits stand alone
    assert found[0][1:] == [258, 111, 259, 256, 32, 49, 50, 195, 169, 10, 263]


def test_a_stream_waits_for_whole_characters(folder):
    tokens = Tokens(folder)
    stream = Stream(tokens)
    ids = tokens.encode("a€b")
    assert [stream.push(i) for i in ids] == ["a", "", "", "€", "b"]
    assert stream.push(263) == ""


@pytest.mark.parametrize("whole", [True, False])
def test_broken_tokenizers(tmp_path, whole):
    with pytest.raises(InputError, match="has neither tokenizer"):
        Tokens(tmp_path)
    write_tokenizer(tmp_path, whole)
    path = tmp_path / ("tokenizer.json" if whole else "vocab.json")
    path.write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        Tokens(tmp_path)


def test_ids_of_added_tokens_must_be_possible(tmp_path):
    write_tokenizer(tmp_path, whole=False)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<a>": 300}))
    with pytest.raises(InputError, match="<a> cannot have the id 300; 261 is next"):
        Tokens(tmp_path)


def test_the_prompt_of_the_hermes_template(folder, picture):
    chat = Chat(folder, "what?", picture)
    workload = chat.adapt(WORKLOAD)
    assert workload.image_tokens == 16
    assert workload.images == 1
    text = (
        "<|im_start|>system\n你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫"
        "InternVL, 是一个有用无害的人工智能助手。<|im_end|><|im_start|>user\n<img>"
        + "<IMG_CONTEXT>" * 16
        + "</img>\nwhat?<|im_end|><|im_start|>assistant\n"
    )
    expected = Tokens(folder).encode(text)
    question = chat._question(workload)
    assert list(question.tokens) == expected
    assert workload.prompt_tokens == len(expected)
    rows = np.flatnonzero(question.image_rows)
    assert len(rows) == 16
    assert rows[-1] - rows[0] == 15
    assert question.tokens[rows[0] - 1] == 264
    assert question.tokens[rows[-1] + 1] == 265
    assert question.ends == (263,)
    np.testing.assert_array_equal(question.pictures[0], one_tile(open_picture(picture), 112))


def test_a_placeholder_says_where_the_picture_goes(folder, picture):
    chat = Chat(folder, "see <image> here", picture)
    ids = list(chat._question(chat.adapt(WORKLOAD)).tokens)
    said = Tokens(folder).encode("see <img>")
    start = ids.index(264) + 1 - len(said)
    assert ids[start : start + len(said)] == said


def test_dynamic_tiling_brings_more_image_tokens(folder, picture):
    chat = Chat(folder, "what?", picture, dynamic_tiling=True)
    workload = chat.adapt(WORKLOAD)
    cut = tiles(open_picture(picture), 112)
    assert workload.images == len(cut) == 3
    question = chat._question(workload)
    assert question.image_rows.sum() == 48
    for found, expected in zip(question.pictures, cut, strict=True):
        np.testing.assert_array_equal(found, expected)
    smaller = chat.adapt(Workload.of("t", MODEL, request={"image_size": 56}))
    assert chat._question(smaller).image_rows.sum() == smaller.images * 4


def test_a_question_without_a_picture(folder):
    chat = Chat(folder, "hello")
    workload = chat.adapt(WORKLOAD)
    assert workload.images == 0
    assert not chat._question(workload).image_rows.any()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"template": "internvl2_5"}, "<|im_end|>\n<|im_start|>user\nhello<|im_end|>\n"),
        ({"template": None}, "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"),
    ],
)
def test_other_templates(tmp_path, change, text):
    write_model(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(config))
    chat = Chat(tmp_path, "hello")
    ids = list(chat._question(chat.adapt(WORKLOAD)).tokens)
    part = Tokens(tmp_path).encode(text)
    assert any(ids[i : i + len(part)] == part for i in range(len(ids)))


def test_what_cannot_be_asked(tmp_path, folder, picture):
    write_model(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {"template": "vicuna"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="template 'vicuna' is unknown; known: Hermes-2"):
        Chat(tmp_path, "hello").adapt(WORKLOAD)
    with pytest.raises(InputError, match=r"3 <IMG_CONTEXT>|17 <IMG_CONTEXT>, not 16"):
        Chat(folder, "a <IMG_CONTEXT>", picture).adapt(WORKLOAD)
    with pytest.raises(InputError, match="longer than the compiled context"):
        Chat(folder, "a" * 600).adapt(WORKLOAD)
    from axsim.spec.workload import load_workload

    with pytest.raises(InputError, match="no vision tower"):
        Chat(folder, "a", picture).adapt(load_workload("qwen3_0_6b"))
    del config["template"]
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "qwen2"}))
    with pytest.raises(InputError, match="no tokens that stand for a picture"):
        Chat(tmp_path, "a", picture).adapt(WORKLOAD)


@pytest.mark.oracle
def test_older_files_are_read_as_transformers_reads_them(tmp_path):
    transformers = pytest.importorskip("transformers")
    write_tokenizer(tmp_path, whole=False)
    ours = Tokens(tmp_path)
    theirs = transformers.Qwen2Tokenizer.from_pretrained(str(tmp_path))
    letters = "he llo the THE 's 're 12 345\n\r\t é日本€ ,.!?  -_ ﬁ e\u0301"
    rng = np.random.default_rng(0)
    for _ in range(500):
        text = "".join(letters[i] for i in rng.integers(0, len(letters), rng.integers(1, 30)))
        expected = theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.encode(text) == expected, repr(text)


PARTS = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}<IMG_CONTEXT>\n"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def with_template(folder, template):
    described = {"chat_template": template, "eos_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(described))
    config = json.loads((folder / "config.json").read_text())
    config.pop("template", None)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def asked(folder, *question):
    chat = Chat(folder, *question)
    workload = chat.adapt(WORKLOAD)
    return workload, list(chat._question(workload).tokens)


def test_two_pictures_where_the_question_says(folder, picture):
    workload, ids = asked(folder, "<image> or <image>?", [picture, picture])
    assert workload.images == 2
    shown = "<img>" + "<IMG_CONTEXT>" * 16 + "</img>"
    said = Tokens(folder).encode(f"{shown} or {shown}?")
    assert said == ids[ids.index(264) :][: len(said)]
    _, before = asked(folder, "which?", [picture, picture])
    said = Tokens(folder).encode(f"{shown}\n{shown}\nwhich?")
    assert said == before[before.index(264) :][: len(said)]


@pytest.mark.parametrize(
    "template", [PARTS, PARTS.replace("<IMG_CONTEXT>", "<img><IMG_CONTEXT></img>")]
)
def test_a_template_that_places_pictures_itself(tmp_path, picture, template):
    """Whether or not it writes the tokens that open and close a picture."""
    folder = with_template(write_model(tmp_path), template)
    shown = "<img>" + "<IMG_CONTEXT>" * 16 + "</img>\n"
    text = f"<|im_start|>user\n{shown}{shown}which?<|im_end|>\n<|im_start|>assistant\n"
    _, ids = asked(folder, "which?", [picture, picture])
    assert ids == Tokens(folder).encode(text)


def test_a_template_that_takes_nothing_but_parts(tmp_path):
    only = PARTS.replace("m['content'] is string", "false")
    folder = with_template(write_model(tmp_path), only)
    _, ids = asked(folder, "hello")
    assert ids == Tokens(folder).encode(
        "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    )


def test_as_many_pictures_as_the_request_says(folder, picture):
    for wanted, pictures in ((1, [picture] * 2), (2, [picture]), (0, [picture])):
        other = Workload.of("t", MODEL, request={"images": wanted})
        with pytest.raises(InputError, match=rf"images: found {wanted}; allowed: {len(pictures)}"):
            Chat(folder, "what?", pictures).adapt(other)
    said = Workload.of("t", MODEL, request={"images": 2})
    assert Chat(folder, "what?", [picture] * 2).adapt(said).images == 2


def test_a_question_whose_first_tokens_are_in_the_cache(folder, picture):
    """A system prompt that was computed before: up to the first picture."""
    asked, ids = asked_workload(folder, picture, 0)
    before = ids.index(Tokens(folder).id("<IMG_CONTEXT>"))
    kept, same = asked_workload(folder, picture, before)
    assert same == ids
    assert kept.prompt_tokens == asked.prompt_tokens - before
    with pytest.raises(InputError, match=f"cached_tokens: found {before + 1}; allowed: up to"):
        asked_workload(folder, picture, before + 1)
    talk = Workload.of("t", MODEL, request={"turns": ({"text_tokens": 3},)})
    with pytest.raises(InputError, match="turns: asks something of its own"):
        Chat(folder, "what?", picture).adapt(talk)


def asked_workload(folder, picture, cached):
    chat = Chat(folder, "what?", picture)
    build = {"prefill_chunk": 64, "kv_cache_len": 511}
    workload = chat.adapt(Workload.of("t", MODEL, build=build, request={"cached_tokens": cached}))
    return workload, list(chat._question(workload).tokens)


def test_a_model_of_any_size_takes_the_picture_as_it_is(folder, picture, tmp_path):
    """130 x 60 pixels, in multiples of 28 as near as max_pixels allows."""
    vision = replace(MODEL.vision, rotary="qwen2_vl", position="none", class_token=False)
    model = replace(MODEL, vision=vision)
    for most, size in ((100_000, (56, 140)), (3_000, (28, 56))):
        asked = Workload.of("t", model, request={"max_pixels": most, "min_pixels": 28 * 28})
        chat = Chat(folder, "what?", picture)
        workload = chat.adapt(asked)
        assert workload.image_size == size
        (shown,) = chat._question(workload).pictures
        assert shown.shape == (1, *size, 3)
    other = tmp_path / "other.png"
    Image.fromarray(np.zeros((200, 50, 3), np.uint8)).save(other)
    asked = Workload.of("t", model, request={"max_pixels": 100_000})
    with pytest.raises(InputError, match="resized to 56x140, 196x56; allowed: pictures of one"):
        Chat(folder, "what?", [picture, other]).adapt(asked)
