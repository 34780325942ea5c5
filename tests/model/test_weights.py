"""The fingerprint of a network."""

import dataclasses

import numpy as np

from scprism.model.weights import Weights

SHAPES = {
    "hidden_weight": (3, 4),
    "hidden_bias": (3,),
    "latent_weight": (2, 3),
    "latent_bias": (2,),
    "decoder_weight": (3, 2),
    "decoder_bias": (3,),
    "output_weight": (4, 3),
    "output_bias": (4,),
    "log_dispersion": (4,),
}


def test_any_changed_number_changes_the_fingerprint():
    weights = Weights(**{name: np.zeros(shape, dtype=np.float32) for name, shape in SHAPES.items()})
    assert {field.name for field in dataclasses.fields(weights)} - set(SHAPES) == {
        f"{layer}_beta" for layer in ("hidden", "latent", "decoder", "output")
    }
    seen = {weights.fingerprint()}
    for field in dataclasses.fields(weights):
        value = getattr(weights, field.name)
        changed = 2.0
        if isinstance(value, np.ndarray):
            changed = value.copy()
            changed.flat[-1] = 1e-30
        seen.add(dataclasses.replace(weights, **{field.name: changed}).fingerprint())
    assert len(seen) == 1 + len(dataclasses.fields(weights))
    assert dataclasses.replace(weights).fingerprint() in seen
