"""One step of Adam or of SGD with Nesterov's momentum, on the one vector that holds all parameters.

These are torch's own steps, called without its optimiser classes: those import torch's compiler, which takes most of a
second and 25 MB and is of no use here.
"""

from scprism._torch import adam, sgd, torch
from scprism.model.config import Config
from scprism.train.flat import FlatParameters

__all__ = ["Moments", "new_moments", "take_step"]

Moments = dict[str, torch.Tensor]
"""What an optimiser remembers from step to step, by name."""


def new_moments(parameters: FlatParameters, config: Config) -> Moments:
    """Return what the optimiser of `config` remembers before its first step."""
    if config.optimiser == "sgd":
        return {"momentum_buffer": torch.zeros_like(parameters.gradients)} if config.momentum > 0 else {}
    averages = {name: torch.zeros_like(parameters.gradients) for name in ("exp_avg", "exp_avg_sq")}
    return {**averages, "step": torch.zeros((), device=parameters.gradients.device)}


@torch.no_grad()
def take_step(parameters: FlatParameters, moments: Moments, config: Config) -> None:
    """Change the parameters that are not fixed, and what is remembered, by one step along the gradients."""
    before = [parameters.values[span].clone() for span in parameters.fixed]
    _take_step(parameters, moments, config)
    for span, values in zip(parameters.fixed, before, strict=True):
        parameters.values[span] = values


def _take_step(parameters: FlatParameters, moments: Moments, config: Config) -> None:
    values: list[torch.Tensor] = [parameters.values]
    gradients = [parameters.gradients]
    if config.optimiser == "adam":
        adam(
            values,
            gradients,
            [moments["exp_avg"]],
            [moments["exp_avg_sq"]],
            [],
            [moments["step"]],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            eps=1e-8,
            maximize=False,
        )
        return
    sgd(
        values,
        gradients,
        [moments.get("momentum_buffer")],
        weight_decay=config.weight_decay,
        momentum=config.momentum,
        lr=config.learning_rate,
        dampening=0.0,
        nesterov=config.momentum > 0,
        maximize=False,
    )
