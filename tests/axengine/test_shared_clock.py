"""Threads of a script on one clock: who waits does not hold it up, who computes does."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
import time

import pytest
from simpy import Environment

import axsim.axengine
from axsim.axengine import shared_clock
from axsim.axengine.shared_clock import SharedClock


@pytest.fixture
def clock():
    return SharedClock(Environment())


def passing(clock, us):
    """Let this thread wait on the clock."""

    def steps():
        yield clock._env.timeout(us)
        return us

    with clock.standing():
        return clock.wait(steps())


def together(*works):
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_waits_of_threads_overlap(clock):
    seen = []

    def work(us, times):
        for _ in range(times):
            assert passing(clock, us) == us
            seen.append((clock.now_us, us))

    together(lambda: work(300, 2), lambda: work(200, 4), lambda: work(500, 1))
    assert clock.now_us == 800
    assert sorted(at for at, _ in seen) == [at for at, _ in seen]
    assert {at for at, us in seen if us == 200} == {200, 400, 600, 800}
    assert {at for at, us in seen if us == 300} == {300, 600}


def test_the_clock_waits_for_a_thread_that_computes(clock):
    seen = {}

    def slow():
        passing(clock, 10)
        end = time.perf_counter() + 0.15
        while time.perf_counter() < end:
            pass
        passing(clock, 10)
        seen["slow"] = clock.now_us

    def quick():
        for _ in range(5):
            passing(clock, 7)
        seen["quick"] = clock.now_us

    together(slow, quick)
    assert seen == {"slow": 20, "quick": 35}


def test_a_call_that_takes_long_here_is_waited_for(clock, monkeypatch):
    monkeypatch.setattr(shared_clock, "PATIENCE_S", 0.05)
    seen = []

    def calls():
        for _ in range(3):
            with clock.standing():
                time.sleep(0.1)
                clock.wait(steps())
            end = time.perf_counter() + 0.01
            while time.perf_counter() < end:
                pass
            seen.append(clock.now_us)

    def steps():
        yield clock._env.timeout(5)

    together(lambda: passing(clock, 1000), calls)
    assert seen == [5, 10, 15]


def test_what_a_thread_hands_over_begins_where_that_ended(clock):
    items, seen = queue.Queue(maxsize=1), []

    def first():
        for _ in range(4):
            passing(clock, 10)
            items.put(clock.now_us)
        items.put(None)

    def second():
        while (made := items.get()) is not None:
            begun = clock.now_us
            passing(clock, 4)
            seen.append((made, begun, clock.now_us))

    together(first, second)
    assert seen == [(at, at, at + 4) for at in (10, 20, 30, 40)]


def test_a_thread_that_never_rests_is_passed_over(clock, monkeypatch):
    monkeypatch.setattr(shared_clock, "PATIENCE_S", 0.05)
    over = threading.Event()

    def restless():
        while not over.is_set():
            pass

    thread = threading.Thread(target=restless)
    thread.start()
    try:
        begun = time.perf_counter()
        for _ in range(20):
            passing(clock, 5)
        assert clock.now_us == 100
        assert time.perf_counter() - begun < 0.05 * 20
    finally:
        over.set()
        thread.join()


def test_who_gives_up_waiting_does_not_hold_up_others(clock, monkeypatch):
    def interrupted(process):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(clock, "_wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt):
            passing(clock, 5)
    passing(clock, 20)
    assert clock.now_us == 20


def test_a_board_without_a_chip_has_a_clock():
    board = axsim.axengine.StandIn()
    board.pass_time(1.5)
    assert board.now_ms == 1500


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_process_that_is_forked_waits_for_no_other_thread():
    board, ended = axsim.axengine.install("ax630c"), threading.Event()

    def compute():
        with board._clock.standing(), board._computing, board._clock._moved:
            inside.set()
            ended.wait()

    inside = threading.Event()
    thread = threading.Thread(target=compute)
    thread.start()
    inside.wait()
    child = multiprocessing.get_context("fork").Process(target=board.pass_time, args=(1.0,))
    child.start()
    child.join(timeout=20)
    if child.is_alive():
        child.kill()
    ended.set()
    thread.join()
    assert child.exitcode == 0
