"""Answers at the speed of the chip."""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import SimpleQueue

import pytest

from axsim.cli.terminal import realtime
from axsim.cli.terminal.realtime import can_begin, computed_ahead, replay


class Clock:
    """A clock that only sleeping and computing move."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Computed:
    """A queue whose pieces are there ``step`` seconds after one another, the first one at once."""

    def __init__(self, clock, texts, step, arrivals):
        self.clock, self.step = clock, step
        self.waiting = deque(zip(texts, arrivals, strict=True))
        self.next = clock.now

    def get(self):
        self.clock.now = max(self.clock.now, self.next)
        self.next += self.step
        return self.waiting.popleft() if self.waiting else None


def show(monkeypatch, step_s, chip_step_s, count=20, first_s=1.0, budget=None):
    """When the show began, when each text came after that, how long it was held up."""
    clock = Clock()
    monkeypatch.setattr(realtime, "time", clock)
    arrivals = [1e3 * (first_s + i * chip_step_s) for i in range(count)]
    pieces = Computed(clock, "abcdefghijklmnopqrstuvwxyz"[:count], step_s, arrivals)
    last_due = first_s + ((budget or count) - 1) * chip_step_s
    ready = computed_ahead(pieces, budget or count, last_due)
    begun = clock.now
    seen = []
    held_up = replay(ready, pieces, lambda text: seen.append((text, clock.now - begun)))
    assert "".join(text for text, _ in seen) == "abcdefghijklmnopqrstuvwxyz"[:count]
    return begun - 100, [at for _, at in seen], held_up


@pytest.mark.parametrize("step_s", [0.01, 0.1, 0.2, 1.0])
def test_no_token_comes_late_at_an_even_speed(monkeypatch, step_s):
    _, seen, held_up = show(monkeypatch, step_s, 0.1)
    assert held_up == 0
    assert seen == pytest.approx([1 + i * 0.1 for i in range(20)], abs=realtime.GRACE_S)


def test_the_show_begins_before_all_is_computed(monkeypatch):
    fast, slow, slowest = (show(monkeypatch, step, 0.1)[0] for step in (0.01, 0.2, 10.0))
    assert fast == pytest.approx(0.02)  # three tokens tell the speed
    # Waiting for n tokens takes n · 0.2, leaving (20 - n) · 0.2 · 1.2 to be shorter than 2.9 s.
    assert slow == pytest.approx(0.2 * 7)
    assert slowest == pytest.approx(10.0 * 19)


def test_an_answer_that_ends_early_begins_at_its_end(monkeypatch):
    begun, seen, held_up = show(monkeypatch, 5.0, 0.1, count=4, budget=100)
    assert begun == pytest.approx(20)
    assert len(seen) == 4
    assert held_up == 0


def test_the_pace_goes_on_after_a_token_that_came_late(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(realtime, "time", clock)
    pieces = Computed(clock, "cd", 0.0, [3000, 4000])
    pieces.next = clock.now + 8  # due after 3 s, there after 8
    seen = []
    ready = deque([("a", 1000), ("b", 2000)])
    assert replay(ready, pieces, lambda text: seen.append(clock.now - 100)) == pytest.approx(5)
    assert seen == pytest.approx([1, 2, 8, 9])


def test_a_single_token_needs_no_speed():
    assert can_begin([0.0], 1, 0.0)
    assert not can_begin([0.0, 0.1], 9, 100.0)
    assert can_begin([0.0, 0.1, 0.2], 9, 100.0)


class Answer:
    def __init__(self, name):
        self.name = name


class Variant:
    arrivals_ms = (1.0, 2.0)

    class workload:
        new_tokens = 2


def test_answers_come_in_order_from_another_thread(capsys):
    answers = [Answer("first"), Answer("second")]

    def compute(show, go_on):
        assert threading.current_thread() is not threading.main_thread()
        for answer in answers:
            for index, text in enumerate((f"{answer.name} ", "text")):
                go_on()
                show(answer, (text, 1.0 + index))
            show(answer, None)
        return "computed"

    found = realtime.in_real_time([Variant, Variant], answers, compute, lambda: None)
    assert found == "computed"
    out = capsys.readouterr().out.split()
    assert out == ["first", "answers", "first", "text", "second", "answers", "second", "text"]


def test_what_goes_wrong_while_computing_is_raised(capsys):
    def compute(show, go_on):
        show(answer, ("a", 1.0))
        raise ValueError("no such tensor")

    answer = Answer("first")
    with pytest.raises(ValueError, match="no such tensor"):
        realtime.in_real_time([Variant], [answer], compute, lambda: None)


def test_ctrl_c_ends_the_computation(monkeypatch):
    ended = threading.Event()

    def compute(show, go_on):
        try:
            while True:
                go_on()
                time.sleep(0.001)
        finally:
            ended.set()

    class Interrupted(SimpleQueue):
        def get(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(realtime, "SimpleQueue", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        realtime.in_real_time([Variant], [Answer("first")], compute, lambda: None)
    assert ended.is_set()
