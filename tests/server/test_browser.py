"""The page to chat with, in headless Chromium: `./test -m browser`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("tokenizers")
pytest.importorskip("PIL")

from PIL import Image

from tests.server.serving import Served, serving, synthetic, trained
from tests.show.report.browser import browsing

pytestmark = pytest.mark.browser

ENTER = "\ue007"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browsing(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(trained(tmp_path_factory.mktemp("talking")), fast=False) as found:
        yield found


class Page:
    """The page of a server."""

    def __init__(self, driver: Any, served: Served) -> None:
        self.driver = driver
        driver.get("about:blank")
        driver.get_log("browser")
        driver.get(served.address)
        self.waits(lambda: " on " in self.text("#model"))

    def waits(self, condition: Callable[[], Any]) -> None:
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.driver, 20, 0.01).until(lambda _: condition())

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def text(self, selector: str) -> str:
        return str(self.one(selector).text)

    def set(self, selector: str, value: object) -> None:
        field = self.one(selector)
        field.clear()
        field.send_keys(str(value))

    def ask(self, text: str, ends: str = "done") -> str:
        """The answer's text, at the end."""
        self.one("#text").send_keys(text + ENTER)
        self.waits(lambda: self.text("#state") == ends)
        return str(self.all("article.assistant p")[-2 if ends == "done" else -1].text)


def test_a_conversation_with_the_simulated_clock(driver: Any, seeing: Served) -> None:
    page = Page(driver, seeing)
    assert page.text("#model") == "talking on ax630c"
    assert "at the pace of the chip" in page.text("#about")
    assert not page.one("#notice").is_displayed()
    page.set("#limit", 8)
    answer = page.ask("hello")
    messages = [{"role": "user", "content": "hello"}]
    _, _, found = seeing.raw(body={"messages": messages, "max_tokens": 8})
    document = json.loads(found)
    assert answer == document["choices"][0]["message"]["content"].strip()
    times = document["usage"]["simulated"]
    assert page.text("#speed") == f"{times['decode_tokens_per_s']:.2f} tokens/s"
    assert page.text("#time").endswith(" s")
    assert float(page.text("#first").split()[0]) > 0
    before = page.text("#prompt")
    page.ask("and now?")
    prompt, cached = page.text("#prompt").removesuffix(" cached").split(", ")
    assert int(cached) >= int(before.split(",")[0])
    assert int(prompt) > int(cached)
    assert len(page.all("article")) == 4
    page.one("#new").click()
    assert page.all("article") == []
    assert page.text("#state") == "ready"
    assert driver.get_log("browser") == []


def test_a_picture_is_uploaded_and_shown(driver: Any, seeing: Served, tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)).save(path)
    page = Page(driver, seeing)
    page.set("#limit", 3)
    page.one("#picture").send_keys(str(path))
    page.waits(lambda: page.all("#pictures img"))
    page.ask("what?")
    assert page.all("#pictures img") == []
    (shown,) = page.all("article.user img")
    assert driver.execute_script("return arguments[0].naturalWidth", shown) == 80
    prompt = int(page.text("#prompt").split(",")[0])
    page.one("#new").click()
    page.ask("what?")
    assert prompt - int(page.text("#prompt").split(",")[0]) > 16  # the tokens of the picture
    assert driver.get_log("browser") == []


def test_the_clock_only_goes_forward_and_an_answer_can_be_stopped(driver: Any) -> None:
    # Longer than a slow browser takes to look twenty times.
    with serving(synthetic(timing_only=True, token_ms=50), fast=False) as served:
        page = Page(driver, served)
        assert "[no kernels" in page.text("#notice")
        page.set("#limit", 400)
        page.one("#text").send_keys("hello" + ENTER)
        times = []
        page.waits(lambda: page.text("#state") == "answering")
        while len(times) < 20:
            times.append(float(page.text("#time").split()[0]))
        assert times == sorted(times)
        assert times[-1] > times[0]
        page.one("#stop").click()
        page.waits(lambda: page.text("#state") == "stopped")
        page.waits(lambda: not served.desk._open)
        assert page.one("#send").is_enabled()


def test_errors_are_shown(driver: Any, seeing: Served) -> None:
    page = Page(driver, seeing)
    text = page.ask("x" * 1000, ends="failed")
    assert "tokens; allowed: 511" in text
    page.set("#limit", 3)
    page.ask("hello")  # what failed is not asked again


@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_a_telephone(driver: Any, seeing: Served, width: int) -> None:
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    try:
        page = Page(driver, seeing)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        assert page.one("#send").is_displayed()
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
