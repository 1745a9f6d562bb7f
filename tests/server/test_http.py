"""The server over HTTP, with OpenAI's own client and without it."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("tokenizers")
pytest.importorskip("openai")
pytest.importorskip("PIL")

import openai
from PIL import Image

from axsim.server import body
from axsim.server.messages import pictures
from axsim.server.refusal import Refusal
from axsim.server.service import Service
from axsim.server.wire import ChatRequest
from tests.server.serving import Served, serving, synthetic, trained

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return trained(tmp_path_factory.mktemp("talking"))


@pytest.fixture(scope="module")
def served(service: Service) -> Iterator[Served]:
    with serving(service) as found:
        yield found


@pytest.fixture
def client(served: Served) -> Any:
    return openai.OpenAI(base_url=f"{served.address}/v1", api_key="none", max_retries=0)


def data_uri(seed: int = 0, size: tuple[int, int] = (30, 40)) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def shown(*urls: str, text: str = "what?") -> list[dict[str, Any]]:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


def waits_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


# ---- OpenAI's client


def test_an_answer(client: Any, service: Service) -> None:
    answer = client.chat.completions.create(model="talking", messages=HELLO, max_tokens=5)
    assert answer.object == "chat.completion"
    choice = answer.choices[0]
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "length"
    assert answer.usage.completion_tokens == 5
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 5
    times = answer.usage.simulated
    assert 0 < times["ttft_ms"] <= times["image_to_first_token_ms"] < times["total_ms"]
    steps = (times["total_ms"] - times["image_to_first_token_ms"]) / 4
    assert times["decode_tokens_per_s"] == pytest.approx(1e3 / steps)
    assert times["vision_encode_ms"] is None
    assert answer.system_fingerprint.endswith("-ax630c-tiny-trained")


def test_a_stream_says_the_same(client: Any) -> None:
    options = {"model": "talking", "messages": HELLO, "max_completion_tokens": 12}
    whole = client.chat.completions.create(**options)
    chunks = list(
        client.chat.completions.create(
            **options, stream=True, stream_options={"include_usage": True}
        )
    )
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    *said, last, used = chunks
    text = "".join(chunk.choices[0].delta.content for chunk in said)
    assert text == whole.choices[0].message.content
    assert last.choices[0].finish_reason == "length"
    assert used.choices == []
    assert used.usage.completion_tokens == 12
    assert used.usage.prompt_tokens_details.cached_tokens > 0
    times = [chunk.simulated["ms"] for chunk in said]
    assert times == sorted(times)
    assert times[-1] <= used.usage.simulated["total_ms"]
    plain = list(client.chat.completions.create(**options, stream=True))
    assert not any(chunk.usage for chunk in plain)


def test_a_picture_and_a_conversation_about_it(client: Any) -> None:
    def ask(messages: list[Any]) -> Any:
        return client.chat.completions.create(model="talking", messages=messages, max_tokens=4)

    first = ask(shown(data_uri()))
    assert first.usage.simulated["vision_encode_ms"] > 0
    answered = {"role": "assistant", "content": first.choices[0].message.content}
    second = ask([*shown(data_uri()), answered, *HELLO])
    assert second.usage.simulated["vision_encode_ms"] is None
    assert second.usage.prompt_tokens_details.cached_tokens >= first.usage.prompt_tokens
    other = ask(shown(data_uri(1)))
    assert other.usage.simulated["vision_encode_ms"] > 0


def test_how_tokens_are_chosen(client: Any) -> None:
    def ask(**more: Any) -> str:
        answer = client.chat.completions.create(
            model="talking", messages=HELLO, max_tokens=12, **more
        )
        text: str = answer.choices[0].message.content
        return text

    greedy = ask()
    assert ask(temperature=0) == ask(temperature=2, top_p=0) == greedy
    assert ask(temperature=2, extra_body={"top_k": 1}) == greedy
    assert ask(temperature=2, seed=5) == ask(temperature=2, seed=5)
    assert len({ask(temperature=2) for _ in range(3)}) > 1
    assert ask(temperature=2, seed=-5, top_p=0.9, extra_body={"top_k": -1})
    assert ask(stop=[greedy[3:5]]) == greedy[: greedy.index(greedy[3:5])]


def test_the_list_of_models(client: Any, served: Served) -> None:
    (model,) = client.models.list().data
    assert model.id == "talking"
    assert model.owned_by == "axsim"
    assert client.models.retrieve("talking") == model
    about = model.axsim
    assert about["chip"] == "ax630c"
    assert about["answers"] == "trained"
    assert about["notice"] is None
    assert about["context_length"] == 512
    assert about["pace"] == "host"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


def test_errors_as_the_client_knows_them(client: Any) -> None:
    def ask(model: str = "talking", messages: Any = HELLO, **more: Any) -> None:
        client.chat.completions.create(model=model, messages=messages, **more)

    with pytest.raises(openai.NotFoundError, match="allowed: talking") as found:
        ask(model="gpt-4o")
    assert found.value.code == "model_not_found"
    with pytest.raises(
        openai.BadRequestError, match=r"the messages have \d+ tokens; allowed: 511"
    ) as found:
        ask(messages=[{"role": "user", "content": "x" * 1000}])
    assert found.value.code == "context_length_exceeded"
    assert found.value.param == "messages"
    with pytest.raises(openai.BadRequestError, match="temperature"):
        ask(temperature=-1)
    with pytest.raises(openai.BadRequestError, match="the chip's runtime does not have"):
        ask(n=2)


# ---- pictures that are none


TOO_MANY = "pictures have more tokens than the context; allowed: 31"


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        (["https://example.com/cat.png"], "this server fetches nothing"),
        (["file:///etc/passwd"], "this server fetches nothing"),
        (["data:text/plain,hello"], "allowed: data:image/png;base64,"),
        (["data:image/png;base64,%%%"], "no base64"),
        (["data:image/png;base64,aGVsbG8="], "is no readable picture"),
        ([data_uri()[:-40]], "is no readable picture"),
        (["data:image/png;base64,"], "is no readable picture"),
        ([data_uri()] * 32, TOO_MANY),
    ],
)
def test_pictures_that_are_refused(served: Served, urls: list[str], message: str) -> None:
    status, _, found = served.raw(body={"messages": shown(*urls)})
    assert status == 400
    error = json.loads(found)["error"]
    assert message in error["message"]
    assert error["param"] == "messages"


def test_a_model_without_a_vision_part_says_so() -> None:
    asked = ChatRequest.model_validate({"messages": shown(data_uri())})
    with pytest.raises(Refusal, match=r"messages\[0\].content\[\d\].image_url: this model sees no"):
        pictures(asked.messages, None)
    assert pictures(asked.messages, 1)


def test_a_picture_of_too_many_pixels_is_not_decoded(served: Served) -> None:
    out = BytesIO()
    Image.new("1", (9000, 9000)).save(out, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
    status, _, found = served.raw(body={"messages": shown(url)})
    assert status == 400
    assert "has 9000 x 9000 pixels; allowed: 50.0 million" in json.loads(found)["error"]["message"]


def test_pictures_where_none_can_be(served: Served) -> None:
    messages = [{**shown(data_uri())[0], "role": "system"}]
    status, _, found = served.raw(body={"messages": messages})
    assert status == 400
    assert "in a message of the system" in json.loads(found)["error"]["message"]


# ---- raw HTTP


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("PUT", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("DELETE", "/", 405),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/completions", 404),
        ("GET", "/../../etc/passwd", 404),
    ],
)
def test_other_methods_and_addresses(served: Served, method: str, path: str, status: int) -> None:
    found, headers, content = served.raw(method, path)
    assert found == status
    error = json.loads(content)["error"]
    assert error["type"] == "invalid_request_error"
    assert path in error["message"]
    assert ("allow" in headers) == (status == 405)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b'{"messages": 5}'])
def test_malformed_bodies(served: Served, content: bytes) -> None:
    status, _, found = served.raw(body=content)
    assert status == 400
    assert json.loads(found)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8000", 200),
        ("board.lan:80", 200),
        ("attacker.example", 403),
        ("localhost.attacker.example:8000", 403),
        ("127.0.0.1@attacker.example", 403),
        ("[::1", 403),
    ],
)
def test_names_that_are_not_the_servers(served: Served, host: str, status: int) -> None:
    found, _, body = served.raw("GET", "/v1/models", Host=host)
    assert found == status
    if status == 403:
        assert "this server is not" in json.loads(body)["error"]["message"]


def test_lone_surrogates_are_told_and_not_a_defect(served: Served) -> None:
    status, document = served.ask("\ud800")
    assert status == 400
    assert "surrogates not allowed" in document["error"]["message"]


def chunked(served: Served, size: int) -> bytes:
    """What the server sends back to a body without a length."""
    host = urlsplit(served.address)
    with socket.create_connection((host.hostname, host.port), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        part = b"10000\r\n" + b" " * 65536 + b"\r\n"
        try:
            for _ in range(size // 65536):
                connection.sendall(part)
        except OSError:
            pass
        return connection.recv(4096)


def test_a_body_that_is_too_large(served: Served) -> None:
    status, _, found = served.raw(body=b"[" + b" " * 2**20 + b"]")
    assert status == 413
    assert "larger than 1 MiB" in json.loads(found)["error"]["message"]
    assert chunked(served, 2**21).startswith(b"HTTP/1.1 413")


def test_a_body_that_does_not_come(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "UPLOAD_S", 0.1)
    host = urlsplit(served.address)
    with socket.create_connection((host.hostname, host.port), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")


def test_server_sent_events_are_written_as_such(served: Served) -> None:
    body = {"messages": HELLO, "max_tokens": 2, "stream": True}
    status, headers, found = served.raw(body=body)
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    events = found.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    for event in events[:-2]:
        assert event.startswith("data: {")
        assert json.loads(event[6:])["object"] == "chat.completion.chunk"


def test_metrics_are_prometheus(served: Served) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    def read() -> dict[Any, float]:
        status, headers, text = served.raw("GET", "/metrics")
        assert status == 200
        assert headers["content-type"].startswith("text/plain; version=")
        families = text_string_to_metric_families(text.decode())
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
        }

    before = read()
    _, document = served.ask(max_tokens=3)
    served.ask(max_tokens=0)
    after = read()
    grown = {key: after[key] - before.get(key, 0) for key in after}
    usage = document["usage"]
    assert grown["axsim_requests_total", "200"] == 1
    assert grown["axsim_requests_total", "400"] == 1
    assert grown["axsim_tokens_total", "new"] == 3
    assert grown["axsim_tokens_total", "prompt"] == usage["prompt_tokens"]
    assert grown["axsim_tokens_total", "cached"] == usage["prompt_tokens_details"]["cached_tokens"]
    assert grown["axsim_ttft_seconds_count",] == 1
    assert grown["axsim_ttft_seconds_sum",] == pytest.approx(usage["simulated"]["ttft_ms"] / 1e3)
    assert grown["axsim_busy_seconds_total",] == pytest.approx(usage["simulated"]["total_ms"] / 1e3)
    assert after["axsim_requests_open",] == 0
    assert after["axsim_kv_cache_tokens",] == usage["prompt_tokens"] + 2


def test_the_page_is_there(served: Served) -> None:
    for path, kind in (("/", "text/html"), ("/chat.css", "text/css"), ("/chat.js", "text/javas")):
        status, headers, content = served.raw("GET", path)
        assert status == 200
        assert headers["content-type"].startswith(kind)
        assert "default-src 'self'" in headers["content-security-policy"]
        assert content


def test_synthetic_weights_are_named_everywhere() -> None:
    with serving(synthetic()) as served:
        _, document = served.ask(max_tokens=3)
        assert document["choices"][0]["message"]["content"].startswith("[synthetic weights")
        assert document["system_fingerprint"].endswith("-synthetic")
        about = json.loads(served.raw("GET", "/v1/models")[2])["data"][0]["axsim"]
        assert about["answers"] == "synthetic"
        assert about["notice"].startswith("[synthetic weights")


# ---- several clients


@contextmanager
def held(served: Served, tokens: int = 60, buffer: int = 0) -> Iterator[socket.socket]:
    """A stream under way, whose head has come; ``buffer`` bytes wait for a client that does not
    read."""
    host = urlsplit(served.address)
    document = json.dumps({"messages": HELLO, "stream": True, "max_tokens": tokens}).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
    head += str(len(document))
    with socket.socket() as connection:
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.settimeout(10)
        connection.connect((host.hostname, host.port))
        connection.sendall(f"{head}\r\n\r\n".encode() + document)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        yield connection


def test_one_waits_and_one_more_is_turned_away() -> None:
    with serving(synthetic(timing_only=True, token_ms=10), queue=1, fast=False) as served:
        with held(served, 150), ThreadPoolExecutor(1) as other:
            waits_until(lambda: served.desk.open == 1)
            second = other.submit(served.ask, max_tokens=1)
            waits_until(lambda: served.desk.waiting == 1)
            status, headers, found = served.raw(body={"messages": HELLO})
            assert status == 503
            assert headers["retry-after"] == "1"
            assert json.loads(found)["error"]["code"] == "queue_full"
            metrics = served.raw("GET", "/metrics")[2].decode()
            assert "axsim_requests_waiting 1.0" in metrics
            assert not second.done()
        assert second.result()[0] == 200


def test_none_may_wait() -> None:
    with (
        serving(synthetic(timing_only=True, token_ms=10), queue=0, fast=False) as served,
        held(served, 150),
    ):
        waits_until(lambda: served.desk.open == 1)
        status, document = served.ask()
        assert status == 503
        assert "none may wait" in document["error"]["message"]


def test_who_gives_up_waiting_leaves_the_place_to_another() -> None:
    with serving(synthetic(timing_only=True, token_ms=10), queue=1, fast=False) as served:
        with held(served, 150):
            waits_until(lambda: served.desk.open == 1)
            with held(served, 150):
                waits_until(lambda: served.desk.waiting == 1)
            waits_until(lambda: served.desk.waiting == 0)
            with held(served, 1):
                waits_until(lambda: served.desk.waiting == 1)
        waits_until(lambda: not served.desk._open)


def test_concurrent_clients_are_answered_one_after_the_other(served: Served) -> None:
    texts = [f"question {number}" for number in range(6)]
    alone = [served.ask(text, max_tokens=4)[1] for text in texts]
    with ThreadPoolExecutor(6) as clients:
        together = list(clients.map(lambda text: served.ask(text, max_tokens=4)[1], texts))
    for one, other in zip(alone, together, strict=True):
        assert one["choices"] == other["choices"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_ends_its_request(stream: bool) -> None:
    with serving(synthetic(timing_only=True, token_ms=10), fast=False) as served:
        host = urlsplit(served.address)
        document = json.dumps({"messages": HELLO, "stream": stream, "max_tokens": 180}).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
        head += str(len(document))
        with socket.create_connection((host.hostname, host.port), timeout=10) as connection:
            connection.sendall(f"{head}\r\n\r\n".encode() + document)
            waits_until(lambda: served.desk.open == 1)
            if stream:
                connection.recv(100)
        gone = time.monotonic()
        waits_until(lambda: not served.desk._open)
        assert time.monotonic() - gone < 1
        assert 'axsim_requests_total{status="499"} 1.0' in served.raw("GET", "/metrics")[2].decode()
        assert served.ask(max_tokens=1)[0] == 200


def test_a_client_that_does_not_read_holds_up_nobody() -> None:
    service = synthetic(timing_only=True, kv_cache_len=1500)
    with serving(service, buffer=4096) as served, held(served, 1200, buffer=4096) as stream:
        waits_until(lambda: served.desk.open == 0)
        assert served.ask(max_tokens=2)[0] == 200
        one = b'axsim_requests_total{status="200"} 1.0'  # the stream is not at its end
        assert one in served.raw("GET", "/metrics")[2]
        whole = b""
        while b"[DONE]" not in whole:
            part = stream.recv(65536)
            assert part
            whole += part
        assert whole.count(b"data: {") == 1 + 1200 + 1


def test_a_server_that_ends_gives_up_what_is_under_way() -> None:
    with (
        serving(synthetic(timing_only=True, token_ms=10), fast=False) as served,
        held(served, 180) as stream,
    ):
        served.loop.call_soon_threadsafe(served.desk.close)
        rest = b""
        while part := stream.recv(4096):
            rest += part
            if b"shutting down" in rest:
                break
        assert b"shutting down" in rest
        waits_until(lambda: not served.desk._open)
        assert served.ask()[0] == 503


def test_a_defect_is_a_500_and_the_server_goes_on(
    service: Service, served: Served, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(service.engine, "answer", broken)
    for stream in (False, True):
        status, _, found = served.raw(body={"messages": HELLO, "stream": stream})
        assert status == (200 if stream else 500)
        assert b"the server's log says why" in found
        assert b"a defect" not in found
    assert "a defect" in caplog.text
    monkeypatch.undo()
    assert served.ask(max_tokens=1)[0] == 200


@pytest.mark.parametrize(
    "timing_only", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["timing", "kernels"]
)
def test_hundreds_of_requests_leave_nothing_behind(timing_only: bool) -> None:
    """Memory, tasks, threads and files, streams and broken-off ones among them."""
    import resource
    import threading

    def memory() -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20

    def tasks() -> int:
        future = asyncio.run_coroutine_threadsafe(count(), served.loop)
        return future.result(10)

    async def count() -> int:
        return len(asyncio.all_tasks())

    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with serving(synthetic(timing_only)) as served:

        def some(requests: int) -> None:
            for number in range(requests):
                if number % 10 == 9:
                    with held(served, 30):
                        pass
                else:
                    text = f"question {number} " * (number % 7)
                    served.raw(body={"messages": [{"role": "user", "content": text}],
                                     "max_tokens": 4, "stream": bool(number % 2)})  # fmt: skip
            waits_until(lambda: not served.desk._open)

        some(40)
        before = memory(), threading.active_count()
        open_files, running = files(), tasks()
        some(200)
        waits_until(lambda: files() <= open_files + 1)
        waits_until(lambda: tasks() <= running)
        assert threading.active_count() <= before[1] + 2
        assert memory() - before[0] < 8
