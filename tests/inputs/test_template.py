"""Chat templates that come with a checkpoint."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("jinja2")

from axsim.errors import InputError
from axsim.inputs.template import Message, template_of
from axsim.inputs.tokenizer import Tokens
from tests.runs.talking import write_tokenizer

PLAIN = (
    "{% for message in messages %}\n"
    "  {% if message.role == 'user' %}[{{ message['content'] | trim }}]{% endif %}\n"
    "{% endfor %}\n"
    "{% if add_generation_prompt %}{{ bos_token + '>' }}{% endif %}"
)
WRITTEN = "[what?]<|im_start|>>"
RICH = (
    "{%- set found = namespace(count=0) -%}"
    "{{- bos_token }}{%- if tools %}tools{% endif %}"
    "{% for message in messages[::-1] %}{% if loop.index0 > 3 %}{% break %}{% endif %}"
    "{% set found.count = found.count + 1 %}"
    "{% generation %}{{ {'é': message.content.split('?')} | tojson }}{% endgeneration %}"
    "{% endfor %}\n"
    "{{ found.count }} {{ strftime_now('%Y') | length }}{{ eos_token }}"
)
DESCRIBED = {"bos_token": "<|im_start|>", "eos_token": {"content": "<|im_end|>", "lstrip": False}}


@pytest.fixture
def folder(tmp_path):
    write_tokenizer(tmp_path, whole=True)
    return tmp_path


def asking(*texts):
    """A conversation in which both sides speak in turn."""
    roles = ("user", "assistant") * len(texts)
    return [Message(role, (text,)) for role, text in zip(roles, texts, strict=False)]


def template(folder, described=None, config=None):
    if described is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(DESCRIBED | described))
    return template_of(folder, config or {}, Tokens(folder))


def test_it_is_rendered_with_the_tokenizers_special_tokens(folder):
    found = template(folder, {"chat_template": PLAIN})
    assert found.render(asking(" what? ")) == WRITTEN
    assert found.ends == ("<|im_end|>",)
    assert not found.plain


def test_where_it_may_stand(folder):
    several = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": PLAIN}]
    assert template(folder, {"chat_template": several}).render(asking("what?")) == WRITTEN
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "json"}))
    assert template(folder).render(asking("what?")) == "json"
    (folder / "chat_template.jinja").write_text("jinja")
    assert template(folder).render(asking("what?")) == "jinja"
    named = template(folder, config={"template": "Hermes-2"})  # InternVL's own comes first
    assert "<|im_start|>user\nwhat?<|im_end|>" in named.render(asking("what?"))


def test_without_one_the_tokenizer_decides(folder):
    chat = template(folder, {})
    assert chat.render(asking("a")) == "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"
    document = json.loads((folder / "tokenizer.json").read_text())
    document["added_tokens"] = []
    (folder / "tokenizer.json").write_text(json.dumps(document))
    continued = template(folder, {})
    assert continued.plain
    assert continued.render(asking("a")) == "a"
    assert continued.ends == ()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% for %}", "Expected"),
        ("{{ raise_exception('only one turn') }}", "only one turn"),
        ("{{ messages[0].content + 1 }}", "concatenate"),
        ("{{ messages[0].content.__class__.__mro__ }}", "unsafe"),
    ],
)
def test_one_that_cannot_be_rendered(folder, source, reason):
    with pytest.raises(InputError, match=f"cannot be rendered: .*{reason}"):
        template(folder, {"chat_template": source}).render(asking("what?"))


def test_without_jinja2(folder, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(InputError, match=r"needs jinja2: pip install 'axsim\[tokenizers\]'"):
        template(folder, {"chat_template": PLAIN})


def test_a_conversation_in_internvls_templates(folder):
    turns = asking("a", "b", "c")
    hermes = template(folder, config={"template": "Hermes-2"}).render(turns)
    own, _, said = hermes.partition("<|im_end|>")
    assert own.startswith("<|im_start|>system\n你是")
    assert said == (
        "<|im_start|>user\na<|im_end|><|im_start|>assistant\nb<|im_end|>"
        "<|im_start|>user\nc<|im_end|><|im_start|>assistant\n"
    )
    system = [Message("system", ("s",)), *turns]
    other = template(folder, config={"template": "internvl2_5"}).render(system)
    assert other == (
        "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\na<|im_end|>\n"
        "<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


TURNS = (
    "{% for message in messages %}{% if message.role == 'system' %}({{ message.content }})"
    "{% else %}<|im_start|>{{ message.role }}:{{ message.content }}<|im_end|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant:{% endif %}"
)


@pytest.mark.oracle
@pytest.mark.parametrize("source", [PLAIN, RICH, TURNS])
def test_against_transformers(folder, source):
    transformers = pytest.importorskip("transformers")
    found = template(folder, {"chat_template": source})
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        chat_template=source,
    )
    for turns in (asking("what? é 12"), [Message("system", ("s",)), *asking("a", "b", "what?")]):
        messages = [{"role": each.role, "content": each.text} for each in turns]
        expected = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert found.render(turns) == expected
