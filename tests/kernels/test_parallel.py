import multiprocessing
import os
import threading

import pytest

from axsim.kernels import parallel as module
from axsim.kernels.parallel import parallel


def test_every_task_runs_once_and_nested_work_does_not_wait_for_itself(monkeypatch):
    monkeypatch.setenv("AXSIM_THREADS", "2")
    done = []

    def outer(i):
        parallel(4, lambda j: done.append((i, j)))

    worker = threading.Thread(target=parallel, args=(6, outer), daemon=True)
    worker.start()
    worker.join(timeout=20)
    assert not worker.is_alive()
    assert sorted(done) == [(i, j) for i in range(6) for j in range(4)]


def test_the_first_exception_comes_out_and_the_pool_stays_usable(monkeypatch):
    monkeypatch.setenv("AXSIM_THREADS", "2")

    def fails(i):
        raise ArithmeticError(str(i))

    with pytest.raises(ArithmeticError):
        parallel(4, fails)
    assert not getattr(module._inside, "task", False)
    done = []
    parallel(4, done.append)
    assert sorted(done) == [0, 1, 2, 3]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_process_that_is_forked_has_threads_of_its_own(monkeypatch):
    monkeypatch.setenv("AXSIM_THREADS", "2")
    parallel(4, lambda i: None)
    child = multiprocessing.get_context("fork").Process(target=parallel, args=(4, abs))
    child.start()
    child.join(timeout=20)
    if child.is_alive():
        child.kill()
    assert child.exitcode == 0
