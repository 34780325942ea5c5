import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from scprism.model.config import Config
from scprism.train.flat import flatten_parameters
from scprism.train.optimiser import new_moments, take_step

TRAINED = """
import sys
sys.path.insert(0, {tests!r})
from test_checkpoint import CONFIG, prepared
from scprism.train.fit import fit_network
fit_network(*prepared(), config=CONFIG, rng=0, device="cpu")
print(sorted({{"sympy", "torch._dynamo"}} & set(sys.modules)))
"""


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(
    ("changes", "theirs"),
    [
        pytest.param({"optimiser": "adam"}, lambda p, **o: torch.optim.Adam(p, **o), id="adam"),
        pytest.param(
            {"optimiser": "sgd", "momentum": 0.9},
            lambda p, **o: torch.optim.SGD(p, momentum=0.9, nesterov=True, **o),
            id="sgd",
        ),
        pytest.param(
            {"optimiser": "sgd", "momentum": 0.0}, lambda p, **o: torch.optim.SGD(p, **o), id="sgd without momentum"
        ),
    ],
)
def test_steps_are_those_of_torchs_optimisers(changes, theirs, decay, rng):
    config = dataclasses.replace(Config(), learning_rate=0.01, weight_decay=decay, **changes)
    start = rng.normal(size=(4, 3)).astype(np.float32)
    ours, other = torch.nn.Linear(3, 4, bias=False), torch.nn.Parameter(torch.from_numpy(start.copy()))
    with torch.no_grad():
        ours.weight.copy_(torch.from_numpy(start))
    flat = flatten_parameters(ours)
    moments, optimiser = new_moments(flat, config), theirs([other], lr=0.01, weight_decay=decay)
    for _ in range(5):
        gradient = torch.from_numpy(rng.normal(size=(4, 3)).astype(np.float32))
        ours.weight.grad.copy_(gradient)
        other.grad = gradient
        take_step(flat, moments, config)
        optimiser.step()
    torch.testing.assert_close(ours.weight.detach(), other.detach(), rtol=1e-6, atol=1e-7)


def test_training_does_not_import_torchs_compiler(request):
    # it takes a second and 50 MB, more than a small training does
    code = TRAINED.format(tests=str(request.path.parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
