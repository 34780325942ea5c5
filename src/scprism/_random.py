"""Where random numbers come from: a seed or a generator, checked."""

import numpy as np

from scprism.errors import InputError
from scprism.types import RNGLike

__all__ = ["random_generator", "told_seed"]


def random_generator(rng: RNGLike) -> np.random.Generator:
    """Return the generator itself, or a new one from a seed; of None one that nobody can repeat.

    Raises
    ------
    InputError
        If it is none of these, such as a negative number or a fraction.

    Examples
    --------
    >>> int(random_generator(0).integers(100)) == int(random_generator(0).integers(100))
    True
    """
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        msg = f"`rng` must be a seed (a whole number from 0 up), a numpy Generator or None, got {rng!r}."
        raise InputError(msg) from error


def told_seed(rng: RNGLike) -> int | None:
    """Return the seed that was given, None if it was a generator or nothing."""
    return int(rng) if isinstance(rng, int | np.integer) else None
