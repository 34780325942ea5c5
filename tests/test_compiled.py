"""What is kept of compiled kernels on disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

KERNEL = """
from typing import NamedTuple
import numpy as np
from scprism._compiled import compiled

class {name}(NamedTuple):
    values: np.ndarray

@compiled
def total(of):
    return of.values.sum()

print(total({name}(np.arange(4.0))))
"""


def run(folder: Path, name: str) -> str:
    """Return what a script prints whose kernel takes a record of that name; it is kept beside the script."""
    module = folder / "kernels.py"
    module.write_text(KERNEL.format(name=name))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]), "NUMBA_CACHE_DIR": ""}
    found = subprocess.run(
        [sys.executable, "-c", "import kernels"], check=False, capture_output=True, text=True, env=environment
    )
    return found.stdout.strip() or found.stderr


def test_a_kernel_kept_by_an_earlier_version_is_compiled_anew(tmp_path):
    assert run(tmp_path, "Before") == "6.0"
    assert list(tmp_path.rglob("*.nbi"))
    assert run(tmp_path, "After") == "6.0"


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_damaged_kernel_is_compiled_anew(tmp_path, ending):
    assert run(tmp_path, "Before") == "6.0"
    for kept in tmp_path.rglob(f"*.{ending}"):
        kept.write_bytes(kept.read_bytes()[:60])
    assert run(tmp_path, "Before") == "6.0"
