"""Work in parts: each is done once, by whoever comes, on any number of threads and processes."""

import multiprocessing
import threading

import numpy as np
import pytest

from axsim.kernels import pixels
from axsim.kernels.parallel import parallel, threads

pytestmark = pytest.mark.skipif(
    not pixels.supported(), reason="no numba, or a CPU without such vectors"
)


def sums_of(parts, rng):
    """What a task makes of flat U8 codes, and what it should be."""
    from axsim.kernels.vectors.code_tasks import add

    a, b = rng.integers(0, 100, (2, parts * 7)).astype(np.uint8)
    out = np.zeros_like(a)
    a.flags.writeable = False  # as inputs may be
    unit = (0.0, 1.0)
    numbers = tuple(np.float32(n) for n in unit)
    limits = tuple(np.float32(n) for n in (1.0, 0.0, 0.0, 255.0))
    add(parts, (a, numbers, b, numbers, limits, out, 7), threads())
    return out, a + b


@pytest.mark.parametrize("workers", ["1", "2", "5"])
@pytest.mark.parametrize("parts", [1, 2, 3, 64, 65_535])
def test_every_part_is_done(workers, parts, monkeypatch):
    monkeypatch.setenv("AXSIM_THREADS", workers)
    rng = np.random.default_rng(parts)
    for _ in range(3):
        found, expected = sums_of(parts, rng)
        assert np.array_equal(found, expected)


def test_threads_that_come_at_once_all_get_their_own(monkeypatch):
    monkeypatch.setenv("AXSIM_THREADS", "3")
    wrong = []

    def many(seed):
        rng = np.random.default_rng(seed)
        for _ in range(200):
            found, expected = sums_of(int(rng.integers(1, 40)), rng)
            if not np.array_equal(found, expected):
                wrong.append(seed)

    callers = [threading.Thread(target=many, args=(seed,)) for seed in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_work_inside_a_task_of_python_is_done_too(monkeypatch):
    monkeypatch.setenv("AXSIM_THREADS", "2")
    right = [False] * 4

    def task(i):
        found, expected = sums_of(20, np.random.default_rng(i))
        right[i] = np.array_equal(found, expected)

    parallel(4, task)
    assert all(right)


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no processes of that kind"
)
def test_a_forked_process_has_helpers_of_its_own(monkeypatch):
    monkeypatch.setenv("AXSIM_THREADS", "2")
    sums_of(8, np.random.default_rng(0))  # this process has its helpers by now
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_a_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60)
    child.join()


def _in_a_child(queue):
    found, expected = sums_of(100, np.random.default_rng(1))
    queue.put(np.array_equal(found, expected))


def test_helpers_sleep_when_there_is_nothing_to_do(monkeypatch):
    monkeypatch.setenv("AXSIM_THREADS", "2")
    from axsim.kernels.vectors import team

    sums_of(8, np.random.default_rng(0))
    helpers = team._team(1)
    for _ in range(1000):
        if not helpers.wanted.is_set():
            break
        threading.Event().wait(0.01)
    assert not helpers.wanted.is_set()
    found, expected = sums_of(8, np.random.default_rng(1))
    assert np.array_equal(found, expected)


def test_arguments_of_another_type_are_refused():
    from axsim.kernels.vectors.code_tasks import add

    with pytest.raises(TypeError):
        add(1, (np.zeros(3), 1, 2))
