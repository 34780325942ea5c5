import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Train on the one thread that child processes have: numba's parallel code in other tests raises torch's number."""
    torch.set_num_threads(1)
