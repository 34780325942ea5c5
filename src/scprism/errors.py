"""What scprism raises and warns with."""

__all__ = ["BundleError", "InputError", "PrismError", "PrismWarning", "TrainingError"]


class PrismError(Exception):
    """Any error that scprism raises on purpose; its message is meant for the user.

    Examples
    --------
    >>> import scprism
    >>> try:
    ...     scprism.gene_sets("hallmrk", organism="mouse")
    ... except scprism.PrismError as error:
    ...     print(type(error).__name__)
    InputError
    """


class InputError(PrismError, ValueError):
    """The data or an argument cannot be used as they are.

    Examples
    --------
    >>> import scprism
    >>> cells = scprism.make_cells(rng=0)
    >>> cells.X = cells.X.astype(float) * 0.5
    >>> try:
    ...     scprism.Prism(rng=0).fit(cells)
    ... except scprism.InputError as error:
    ...     print("raw counts" in str(error).lower())
    True
    """


class BundleError(PrismError):
    """A model folder or result file is truncated, edited, foreign or from a newer scprism.

    Examples
    --------
    >>> import tempfile
    >>> import scprism
    >>> try:
    ...     scprism.load(tempfile.mkdtemp())
    ... except scprism.BundleError:
    ...     print("this folder is no model")
    this folder is no model
    """


class TrainingError(PrismError):
    """Training could not go on, for example because the loss became infinite.

    Examples
    --------
    >>> import scprism
    >>> wild = scprism.Config(optimiser="sgd", learning_rate=1e9, max_epochs=5)
    >>> try:
    ...     scprism.Prism(wild, genes="all", organism="human", device="cpu", rng=0).fit(scprism.make_cells(rng=0))
    ... except scprism.TrainingError:
    ...     print("lower the learning rate")
    lower the learning rate
    """


class PrismWarning(UserWarning):
    """The result is usable but surprising.

    Examples
    --------
    >>> import warnings
    >>> import scprism
    >>> warnings.simplefilter("ignore", scprism.PrismWarning)  # once you have read them
    """
