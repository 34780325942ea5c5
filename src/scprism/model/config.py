"""The settings of a model, from its genes to its neighbours, as one frozen record."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from scprism._check import check_choice, closest
from scprism.errors import InputError
from scprism.types import AttributionMethod, Baseline

__all__ = ["Config"]

AT_LEAST_ONE = (
    "hidden_size",
    "bottleneck_size",
    "batch_size",
    "min_batches",
    "max_batches",
    "max_epochs",
    "check_every",
    "patience",
    "n_neighbours",
    "search_trials",
    "search_epochs",
)
NOT_NEGATIVE = ("penalty_weight", "l1_weight", "weight_decay", "momentum", "min_max_count", "final_epochs")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides how a model is prepared, built, trained, transferred and explained.

    The defaults are those of the preset ``default``; `presets` holds the others. Rows refer to the table in
    `docs/method.md` of the differences between the paper's text and its released code.

    Attributes
    ----------
    genes
        ``"hallmark"``, ``"variable:N"``, ``"all"``, the path of a file with one gene a line, or the genes themselves.
    min_max_count
        A gene is kept if any cell has more than this many counts.
    normalise
        ``"per_cell"``: counts of a cell to `target_sum`; ``"per_gene"``: counts of a gene over the whole data set to
        `target_sum` (row 7); ``"none"``: values are used as they are, for corrected expression.
    library
        What a cell's counts are divided by: all its counts, or those of the recipe's genes, scaled by the share of a
        library that these genes hold in the reference. The second does not change with the genes a file happens to
        hold.
    negative_values
        For ``normalise="none"``: refuse them, set them to zero, or keep them (row 16).
    missing_genes
        A recipe gene that the query lacks gets the reference's mean, or the released code's random two values.
    min_coverage
        Least share of the recipe's genes that a query must have.
    hidden_size, bottleneck_size
        Units of the layers beside the bottleneck, and of the bottleneck.
    softplus_beta
        Beta of every softplus; ``"width"`` sets it to the width of its layer (row 5).
    bottleneck
        Activation of the bottleneck.
    input_dropout
        Share of the input values that are set to zero in each training step, the rest scaled up.
    gene_dropout
        Genes that a query may lack: in each training step a share of the genes, drawn anew between 0 and this, is set
        to its mean in all cells, as `missing_genes` fills them. 0 for none.
    likelihood
        ``"multinomial"``, ``"poisson_counts"`` and ``"negative_binomial"`` on counts, the cell's sum being given
        (`model.losses`); ``"poisson"``: y − x log(y + 1e-8) on log values, as the paper writes;
        ``"poisson_log_input"``: exp(y) − x y, as the released code has it (row 6).
    penalty, penalty_weight, penalty_gradient
        Norm of I − W Wᵀ (``"rows"``) or of I − Wᵀ W (``"columns"``, row 2) of the last encoding layer; other measures
        of the same: ``"squared"``, ``"double_soft"``, ``"coherence"``; ``"hard"``: its rows are orthonormal throughout,
        at any weight above 0; ``"decorrelated"`` activations of the units; ``"separate_maps"``: end-to-end gene maps of
        the units that do not overlap (`model.penalties`). Its weight, and whether it has a gradient (row 1).
    l1_weight, l1_gradient
        Weight of the sum of all absolute weights and biases, and whether it has a gradient (row 3).
    weight_decay, optimiser, learning_rate, momentum, batch_size, max_epochs
        Of the optimiser; the momentum is SGD's, Nesterov's kind (row 4 for the decay).
    min_batches, max_batches
        Least batches of an epoch: batches of a small data set are smaller than `batch_size`, but not under 16 cells.
        Most batches of an epoch: of a large data set each epoch sees as many cells, drawn anew.
    reshuffle
        Draw a new order of the training cells for each epoch; the released code keeps one.
    split, stratify
        Shares of the cells for training, early stopping and the final report, and the column of ``.obs``, if any, whose
        values all three parts have in equal shares.
    patience
        Checks without improvement before training stops; a check comes every `check_every` epochs.
    search_trials, search_epochs, final_epochs
        Trials of the search, epochs a trial, and further epochs of the best one (rows 8 and 9).
    search_space, search_stopping
        What is searched, and whether the worse trials are stopped early (`docs/search.md`).
    adjust_denoised
        Adjust denoised expression to the totals and the molecules of the cells at hand (`transfer.adjust`).
    metric, standardise_latent, n_neighbours
        Distance, scaling and number of neighbours of the label transfer.
    whiten_latent
        Compare cells after units were made uncorrelated and of unit spread within the reference's labels.
    votes
        All neighbours count the same; or the more the nearer they are and the rarer their label, and the centres of the
        labels have half of the say.
    knn_neighbours
        Numbers of neighbours of the paper's kNN experiment (row 10).
    foreign_loss
        Cells that the loss of unseen data is taken over (row 12).
    gene_count
        How the genes of a data set are counted in the paper's Table 1 (row 13).
    projection
        What draws the latent space in two dimensions (row 14).
    attribution
        The attribution method.
    baseline
        What attributions with a baseline are relative to: ``"zero"`` expression, or the ``"mean"`` of the cells that
        the model was trained on.
    first_unit_plain
        Give the first unit the plain gradient under the guided rule (row 11).
    """

    genes: str | tuple[str, ...] = "hallmark"
    min_max_count: float = 2.0
    normalise: Literal["per_cell", "per_gene", "none"] = "per_cell"
    target_sum: float = 1e4
    library: Literal["all", "recipe"] = "recipe"
    negative_values: Literal["refuse", "clip", "keep"] = "refuse"
    missing_genes: Literal["mean", "random"] = "mean"
    min_coverage: float = 0.5

    hidden_size: int = 256
    bottleneck_size: int = 50
    softplus_beta: float | Literal["width"] = 1.0
    bottleneck: Literal["linear", "softplus"] = "linear"
    input_dropout: float = 0.5
    gene_dropout: float = 0.9

    likelihood: Literal["multinomial", "poisson_counts", "negative_binomial", "poisson", "poisson_log_input"] = (
        "multinomial"
    )
    penalty: Literal[
        "rows", "columns", "squared", "double_soft", "coherence", "hard", "decorrelated", "separate_maps"
    ] = "rows"
    penalty_weight: float = 1.0
    penalty_gradient: bool = True
    l1_weight: float = 0.0
    l1_gradient: bool = True
    weight_decay: float = 0.0

    optimiser: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    batch_size: int = 128
    min_batches: int = 16
    max_batches: int = 500
    reshuffle: bool = True
    split: tuple[float, float, float] = (0.9, 0.05, 0.05)
    stratify: str | None = None
    max_epochs: int = 200
    check_every: int = 1
    patience: int = 20

    search_trials: int = 40
    search_epochs: int = 100
    final_epochs: int = 400
    search_space: Literal["simple", "complex", "effective"] = "effective"
    search_stopping: Literal["none", "halving"] = "none"

    adjust_denoised: bool = True
    metric: Literal["cosine", "euclidean"] = "cosine"
    standardise_latent: bool = False
    whiten_latent: bool = True
    n_neighbours: int = 15
    votes: Literal["equal", "weighted"] = "weighted"
    knn_neighbours: tuple[int, ...] = tuple(range(2, 26))
    foreign_loss: Literal["all_cells", "one_cell"] = "all_cells"
    gene_count: Literal["after_filter", "as_released"] = "after_filter"
    projection: Literal["umap", "tsne"] = "umap"
    attribution: AttributionMethod = "deeplift"
    baseline: Baseline = "zero"
    first_unit_plain: bool = False

    def __post_init__(self) -> None:
        """Refuse values that no step could use."""
        for name, hint in get_type_hints(Config).items():
            value = getattr(self, name)
            if get_origin(hint) is Literal:
                check_choice(name, value, get_args(hint))
            if hint in (bool, int, float):
                _check_type(name, value, hint)
        for name in AT_LEAST_ONE:
            _check_range(name, getattr(self, name), above=1 - 1e-9)
        for name in NOT_NEGATIVE:
            _check_range(name, getattr(self, name), above=-1e-300)
        for name in ("learning_rate", "target_sum", *(["softplus_beta"] if self.softplus_beta != "width" else [])):
            _check_range(name, getattr(self, name), above=0)
        for name in ("input_dropout", "gene_dropout", "min_coverage"):
            if not 0 <= getattr(self, name) <= 1:
                msg = f"`{name}` must lie between 0 and 1, got {getattr(self, name)!r}."
                raise InputError(msg)
        if self.penalty == "hard" and self.penalty_weight > 0 and (self.l1_weight > 0 or self.weight_decay > 0):
            msg = "`penalty='hard'` keeps weights orthonormal, which L1 and weight decay would undo."
            raise InputError(f"{msg} Set `l1_weight` and `weight_decay` to 0, or choose another penalty.")
        if self.counts_as_targets and self.normalise == "none":
            msg = f"`likelihood={self.likelihood!r}` needs counts, but `normalise='none'` says that there are none."
            raise InputError(f"{msg} Choose likelihood='poisson'.")
        if len(self.split) != 3 or min(self.split) < 0 or abs(sum(self.split) - 1) > 1e-9 or self.split[0] == 0:
            msg = f"`split` must be three shares that add up to 1, the first above 0, got {self.split!r}."
            raise InputError(msg)

    @property
    def counts_as_targets(self) -> bool:
        """Whether the network's output is compared with counts, not with its input."""
        return self.likelihood in ("multinomial", "poisson_counts", "negative_binomial")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return the settings in `values`; names that are not settings are refused."""
        known = {f.name for f in fields(cls)}
        for name in values:
            if name not in known:
                msg = f"{name!r} is not a setting of a model. Closest: {closest(name, known)}."
                raise InputError(msg)
        settings: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**settings)


def _check_type(name: str, value: Any, kind: type) -> None:
    allowed = (int, float) if kind is float else (kind,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        words = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        msg = f"`{name}` must be {words}, got {value!r}."
        raise InputError(msg)


def _check_range(name: str, value: float, *, above: float) -> None:
    if not value > above:
        least = "above 0" if above == 0 else f"at least {round(above):g}"
        msg = f"`{name}` must be {least}, got {value!r}."
        raise InputError(msg)
