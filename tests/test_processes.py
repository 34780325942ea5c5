"""What scprism leaves of the process it works in: numbers of threads, the umask, the environment."""

import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

import scprism
from scprism._threads import one_thread_products

SOURCE = Path(scprism.__file__).parent


def blas_threads():
    return {library.num_threads for library in ThreadpoolController().select(user_api="blas").lib_controllers}


class OneNumber:
    """A library of one number of threads, which whoever asks may set, as most are."""

    n_threads = 4

    @contextmanager
    def limit(self, *, limits, user_api):
        assert user_api == "blas"
        before, OneNumber.n_threads = OneNumber.n_threads, limits
        try:
            yield
        finally:
            OneNumber.n_threads = before


def overlap(seen):
    """Two blocks of two threads: the second begins while the first holds, and ends after it."""
    first_in, second_in, first_out = (threading.Event() for _ in range(3))

    def second():
        first_in.wait(10)
        with one_thread_products():
            second_in.set()
            first_out.wait(10)

    other = threading.Thread(target=second)
    other.start()
    with one_thread_products():
        first_in.set()
        assert second_in.wait(10)
        inside = seen()
    first_out.set()
    other.join(10)
    return inside, seen()


def test_overlapping_blocks_leave_the_number_of_threads_as_it_was(monkeypatch):
    with threadpool_limits(2, user_api="blas"):
        assert overlap(blas_threads) == ({1}, {2})
    monkeypatch.setattr("scprism._threads.ThreadpoolController", OneNumber)
    assert overlap(lambda: OneNumber.n_threads) == (1, 4)
    with one_thread_products(), one_thread_products():
        assert OneNumber.n_threads == 1
    assert OneNumber.n_threads == 4


def test_a_block_that_fails_lifts_the_limit():
    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(ZeroDivisionError), one_thread_products():
            _ = 1 / 0
        assert blas_threads() == {2}


def test_torch_is_loaded_by_one_module_alone():
    """Its OpenMP reads how threads wait when it is loaded, so nothing else may load it first."""
    loads = re.compile(r"^(import torch|from torch|from safetensors\.torch)", re.MULTILINE)
    found = [str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if loads.search(path.read_text())]
    assert found == []


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
@pytest.mark.parametrize(("told", "policy"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_idle_threads_of_torch_sleep_unless_the_user_chose(told, policy):
    """OpenMP itself prints what it has read when it was loaded; the environment is as it was afterwards."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | {"OMP_DISPLAY_ENV": "true"}
    if told is not None:
        environment["OMP_WAIT_POLICY"] = told
    code = "import os, scprism.train.fit; print('left:', os.environ.get('OMP_WAIT_POLICY'))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    printed = re.findall(r"OMP_WAIT_POLICY = '(\w+)'", run.stderr)
    if not printed:
        pytest.skip("this torch's OpenMP does not print its settings")
    assert set(printed[:1]) == {policy}
    assert run.stdout.strip() == f"left: {told}"
