"""What scprism raises and warns with."""

__all__ = ["BundleError", "InputError", "PrismError", "PrismWarning", "TrainingError"]


class PrismError(Exception):
    """Any error that scprism raises on purpose; its message is meant for the user."""


class InputError(PrismError, ValueError):
    """The data or an argument cannot be used as they are."""


class BundleError(PrismError):
    """A model folder or result file is truncated, edited, foreign or from a newer scprism."""


class TrainingError(PrismError):
    """Training could not go on, for example because the loss became infinite."""


class PrismWarning(UserWarning):
    """The result is usable but surprising."""
