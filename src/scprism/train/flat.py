"""All parameters of a network as one vector, so that the optimiser and the checkpoint see a single array."""

from dataclasses import dataclass

from scprism._torch import nn, torch

__all__ = ["FlatParameters", "flatten_parameters"]

ALIGNMENT = 16
"""Parameters begin at multiples of so many numbers (64 bytes), as matrix products like it; zeros lie between."""


@dataclass(frozen=True)
class FlatParameters:
    """A network's parameters and their gradients, float32 (parameters,); those of the network are views of them.

    No step changes the parameters in the spans `fixed`.
    """

    values: nn.Parameter
    gradients: torch.Tensor
    fixed: tuple[slice, ...] = ()


def flatten_parameters(network: nn.Module) -> FlatParameters:
    """Return the parameters of `network` as one vector, which they share from now on, values and gradients alike.

    A weight that lies transposed in memory stays so. Parameters that want no gradient (`requires_grad`) are fixed.
    """
    parameters = list(network.parameters())
    sizes = [-(-p.numel() // ALIGNMENT) * ALIGNMENT for p in parameters]
    values = torch.zeros(sum(sizes), device=parameters[0].device)
    gradients = torch.zeros_like(values)
    fixed = []
    start = 0
    for parameter, size in zip(parameters, sizes, strict=True):
        stored = parameter if parameter.is_contiguous() else parameter.t()
        views = [vector[start : start + parameter.numel()].view(stored.shape) for vector in (values, gradients)]
        views[0].copy_(stored.detach())
        parameter.data, parameter.grad = (view if stored is parameter else view.t() for view in views)
        if not parameter.requires_grad:
            fixed.append(slice(start, start + size))
        start += size
    flat = nn.Parameter(values)
    flat.grad = gradients
    return FlatParameters(flat, gradients, tuple(fixed))
