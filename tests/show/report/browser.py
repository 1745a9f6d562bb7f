"""Drives a report in headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--window-size=1280,900",
)  # fmt: skip
"""Without the network switches Chromium looks for servers of its own at every start."""


@contextmanager
def browsing(profile: Path) -> Iterator[Any]:
    """A driver that ends with the block; ``profile`` is an empty folder."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for switch in (*SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


class View:
    """A report in a browser tab."""

    def __init__(self, driver: Any, path: Path) -> None:
        self.driver = driver
        self.address = path.as_uri()
        self.reload()

    def reload(self, width: int = 1280, *, touch: bool = False, dark: bool = False) -> None:
        """Open the page anew in a window of that width, in pixels."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=900,
                      deviceScaleFactor=1, mobile=touch)  # fmt: skip
        self.devtools("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.prefer(dark=dark)
        self.driver.get("about:blank")
        self.driver.get(self.address)
        self.settle()

    def prefer(self, *, dark: bool = False, media: str = "") -> None:
        """What the reader's system prefers."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def devtools(self, command: str, **arguments: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value that a script returns."""
        return self.driver.execute_script(script, *arguments)

    def settle(self) -> None:
        """Wait until everything that was asked for is drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def all(self, selector: str) -> list[Any]:
        """Elements by CSS selector."""
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> Any:
        """The first of them."""
        return self.driver.find_element("css selector", selector)

    def click(self, selector: str) -> None:
        """Click on the first element, away from the bar at the top of the window."""
        element = self.one(selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()
        self.settle()

    def console(self) -> list[str]:
        """What was written to the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


class TimelineView:
    """The timeline of a report."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.canvas = view.one(".frame canvas")
        view.run("arguments[0].scrollIntoView({block: 'center'})", self.canvas)
        view.settle()

    @property
    def range(self) -> tuple[int, int]:
        """The part shown, nanoseconds."""
        self.view.settle()
        from_, to = (self.canvas.get_attribute(f"data-{name}") for name in ("from", "to"))
        return int(from_), int(to)

    @property
    def span(self) -> int:
        """How much of it."""
        start, end = self.range
        return end - start

    def geometry(self) -> dict[str, float]:
        """Where the canvas is, CSS pixels from the window's corner."""
        script = "const r = arguments[0].getBoundingClientRect();"
        script += "return {left: r.left, top: r.top, width: r.width, height: r.height}"
        found: dict[str, float] = self.view.run(script, self.canvas)
        return found

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """A mouse event at canvas coordinates."""
        place = self.geometry()
        self.view.devtools("Input.dispatchMouseEvent", type=kind, x=place["left"] + x,
                           y=place["top"] + y, **more)  # fmt: skip
        self.view.settle()

    def wheel(self, x: float, y: float, down: float) -> None:
        """Turn the wheel by so many pixels."""
        self.mouse("mouseMoved", x, y)
        self.mouse("mouseWheel", x, y, deltaX=0, deltaY=down)

    def drag(self, x: float, y: float, right: float) -> None:
        """Press, move, release."""
        self.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
        for part in (0.3, 0.7, 1):
            self.mouse("mouseMoved", x + part * right, y, button="left", buttons=1)
        self.mouse("mouseReleased", x + right, y, button="left", clickCount=1)

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """Fingers at canvas coordinates."""
        place = self.geometry()
        fingers = [
            {"x": place["left"] + x, "y": place["top"] + y, "id": index}
            for index, (x, y) in enumerate(points)
        ]
        self.view.devtools("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)
        self.view.settle()

    def press(self, *keys: str) -> None:
        """Keys, one after the other."""
        for key in keys:
            self.canvas.send_keys(key)
        self.view.settle()

    def tip(self) -> dict[str, str] | None:
        """What the box of words says: its terms and, under "", its title; None when hidden."""
        script = """
          const tip = document.querySelector(".tip");
          if (tip.hidden) return null;
          const words = {"": tip.querySelector("b").textContent};
          for (const term of tip.querySelectorAll("dt"))
            words[term.textContent] = term.nextElementSibling.textContent;
          return words"""
        found: dict[str, str] | None = self.view.run(script)
        return found
