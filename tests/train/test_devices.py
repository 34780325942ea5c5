"""Training away from the CPU, on torch's device without numbers: no GPU is needed to see where tensors lie."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from scprism.model.network import build_autoencoder
from scprism.model.presets import PRESETS
from scprism.train.batches import TrainingCells
from scprism.train.fit import resolve_device
from scprism.train.loop import train_model

MOVES = {"aten::_to_copy", "aten::copy_"}


class Apart(TorchDispatchMode):
    """Refuses what a GPU would: operands on two devices, and float64, which Apple's do not have."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, torch.Tensor)]
        if func.name().split(".")[0] not in MOVES:
            # numbers of no dimension may come from the CPU
            assert len({x.device.type for x in tensors if x.ndim > 0}) <= 1, func.name()
        assert not any(x.dtype == torch.float64 for x in tensors if x.device.type == "meta"), func.name()
        return result


@pytest.fixture
def without_numbers(monkeypatch):
    """Give a number where a tensor of the device has none."""
    monkeypatch.setattr(torch.Tensor, "__float__", lambda _: 1.0)
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: [1.0] * self.numel())


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("default", {}),
        ("default", {"likelihood": "poisson_counts", "l1_weight": 1e-3, "weight_decay": 1e-3}),
        ("default", {"penalty": "separate_maps"}),
        ("default", {"penalty": "decorrelated"}),
        ("default", {"penalty": "hard"}),
        ("default", {"penalty_weight": 0.0}),
        ("paper", {}),
        ("as_released", {"batch_size": 4}),
    ],
)
def test_training_keeps_to_its_device_and_to_float32(preset, changes, without_numbers):
    rng = np.random.default_rng(0)
    values = rng.poisson(1.0, size=(60, 30)) * (rng.random((60, 30)) < 0.4)
    values[::3] = 0  # cells without counts
    counts = sparse.csr_matrix(values.astype(np.float32))
    inputs = counts.log1p()
    config = dataclasses.replace(PRESETS[preset], hidden_size=9, bottleneck_size=4, max_epochs=2, **changes)
    model = build_autoencoder(config, n_genes=30, rng=rng)
    cells = TrainingCells(inputs, counts if config.counts_as_targets else inputs)
    with Apart():
        result = train_model(model, cells, config=config, rng=rng, device="meta")
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert len(result.log) == 2


@pytest.mark.parametrize(("there", "chosen"), [((), "cpu"), (("mps",), "cpu"), (("cuda", "mps"), "cuda")])
def test_auto_takes_cuda_and_otherwise_the_cpu(there, chosen, monkeypatch):
    for name in ("cuda", "mps"):
        module = torch.cuda if name == "cuda" else torch.backends.mps
        monkeypatch.setattr(module, "is_available", lambda name=name: name in there)
    assert resolve_device("auto") == chosen
    assert all(resolve_device(name) == name for name in there)
