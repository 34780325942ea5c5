"""The settings of a model, a record for each part of it; limits stand beside the fields.

Rows refer to the table in `docs/method.md` of the differences between the paper's text and its released code. The
defaults are those of the preset ``default``.
"""

from dataclasses import dataclass
from typing import Literal

from scprism.errors import InputError
from scprism.model.setting import check_settings, setting
from scprism.types import AttributionMethod, Baseline

__all__ = [
    "DenoiseSettings",
    "ExplainSettings",
    "LabelSettings",
    "NetworkSettings",
    "PaperSettings",
    "PrepareSettings",
    "SearchSettings",
    "TrainingSettings",
]


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """How cells are prepared: kept in a model's recipe, and asked of each query.

    Attributes
    ----------
    genes
        ``"hallmark"``, ``"variable:N"``, ``"all"``, the path of a file with one gene a line, or the genes themselves.
    min_max_count
        A gene is kept if any cell has more than this many counts.
    normalise
        ``"per_cell"``: counts of a cell to `target_sum`; ``"per_gene"``: counts of a gene over the whole data set to
        `target_sum` (row 7); ``"none"``: values are used as they are, for corrected expression.
    target_sum
        What counts are scaled to add up to.
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
    """

    genes: str | tuple[str, ...] = "hallmark"
    min_max_count: float = setting(2.0, least=0)
    normalise: Literal["per_cell", "per_gene", "none"] = "per_cell"
    target_sum: float = setting(1e4, above=0)
    library: Literal["all", "recipe"] = "recipe"
    negative_values: Literal["refuse", "clip", "keep"] = "refuse"
    missing_genes: Literal["mean", "random"] = "mean"
    min_coverage: float = setting(0.5, least=0, most=1)

    def __post_init__(self) -> None:
        """Refuse values that no step could use."""
        check_settings(self)


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The network, and what its output is compared with.

    Attributes
    ----------
    hidden_size, bottleneck_size
        Units of the layers beside the bottleneck, and of the bottleneck.
    softplus_beta
        Beta of every softplus; ``"width"`` sets it to the width of its layer (row 5).
    bottleneck
        Activation of the bottleneck.
    likelihood
        ``"multinomial"``, ``"poisson_counts"`` and ``"negative_binomial"`` on counts, the cell's sum being given
        (`model.losses`); ``"poisson"``: y − x log(y + 1e-8) on log values, as the paper writes;
        ``"poisson_log_input"``: exp(y) − x y, as the released code has it (row 6).
    """

    hidden_size: int = setting(256, least=1)
    bottleneck_size: int = setting(50, least=1)
    softplus_beta: float | Literal["width"] = setting(1.0, above=0)
    bottleneck: Literal["linear", "softplus"] = "linear"
    likelihood: Literal["multinomial", "poisson_counts", "negative_binomial", "poisson", "poisson_log_input"] = (
        "multinomial"
    )

    def __post_init__(self) -> None:
        """Refuse values that no step could use."""
        check_settings(self)

    @property
    def counts_as_targets(self) -> bool:
        """Whether the network's output is compared with counts, not with its input."""
        return self.likelihood in ("multinomial", "poisson_counts", "negative_binomial")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How the network is trained.

    Attributes
    ----------
    input_dropout
        Share of the input values that are set to zero in each training step, the rest scaled up.
    gene_dropout
        Genes that a query may lack: in each training step a share of the genes, drawn anew between 0 and this, is set
        to its mean in all cells, as `missing_genes` fills them. 0 for none.
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
    check_every
        Epochs from one look at the loss of the cells for early stopping to the next.
    patience
        Looks without improvement before training stops.
    """

    input_dropout: float = setting(0.5, least=0, most=1)
    gene_dropout: float = setting(0.9, least=0, most=1)
    penalty: Literal[
        "rows", "columns", "squared", "double_soft", "coherence", "hard", "decorrelated", "separate_maps"
    ] = "rows"
    penalty_weight: float = setting(1.0, least=0)
    penalty_gradient: bool = True
    l1_weight: float = setting(0.0, least=0)
    l1_gradient: bool = True
    weight_decay: float = setting(0.0, least=0)
    optimiser: Literal["adam", "sgd"] = "adam"
    learning_rate: float = setting(1e-3, above=0)
    momentum: float = setting(0.9, least=0)
    batch_size: int = setting(128, least=1)
    min_batches: int = setting(16, least=1)
    max_batches: int = setting(500, least=1)
    reshuffle: bool = True
    split: tuple[float, float, float] = (0.9, 0.05, 0.05)
    stratify: str | None = None
    max_epochs: int = setting(200, least=1)
    check_every: int = setting(1, least=1)
    patience: int = setting(20, least=1)

    def __post_init__(self) -> None:
        """Refuse values that no step could use."""
        check_settings(self)
        if self.penalty == "hard" and self.penalty_weight > 0 and (self.l1_weight > 0 or self.weight_decay > 0):
            msg = "`penalty='hard'` keeps weights orthonormal, which L1 and weight decay would undo."
            raise InputError(f"{msg} Set `l1_weight` and `weight_decay` to 0, or choose another penalty.")
        if min(self.split) < 0 or abs(sum(self.split) - 1) > 1e-9 or self.split[0] == 0:
            msg = f"`split` must be three shares that add up to 1, the first above 0, got {self.split!r}."
            raise InputError(msg)


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """The search for settings.

    Attributes
    ----------
    search_trials, search_epochs, final_epochs
        Trials of the search, epochs a trial, and further epochs of the best one (rows 8 and 9).
    search_space, search_stopping
        What is searched, and whether the worse trials are stopped early (`docs/search.md`).
    """

    search_trials: int = setting(40, least=1)
    search_epochs: int = setting(100, least=1)
    final_epochs: int = setting(400, least=0)
    search_space: Literal["simple", "complex", "effective"] = "effective"
    search_stopping: Literal["none", "halving"] = "none"

    def __post_init__(self) -> None:
        """Refuse values that no step could use."""
        check_settings(self)


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """How cells are labelled by others, and compared.

    Attributes
    ----------
    label_by
        What labels are told by: ``"expression"`` of the genes (regressions, neighbours and centroids in principal
        components of the labelled cells), or the network's ``"latent"`` (neighbours and centroids).
    metric, standardise_latent, n_neighbours
        Distance, scaling and number of neighbours, in the components or in the latent.
    whiten_latent
        Compare cells after the numbers compared were made uncorrelated and of unit spread within the reference's
        labels.
    neighbour_weights
        ``"equal"``: the commonest label of the neighbours. ``"weighted"``: a neighbour counts the more the nearer it is
        and the rarer its label, and the centroids of the labels count as much as all neighbours.
    """

    label_by: Literal["expression", "latent"] = "expression"
    metric: Literal["cosine", "euclidean"] = "cosine"
    standardise_latent: bool = False
    n_neighbours: int = setting(15, least=1)
    whiten_latent: bool = True
    neighbour_weights: Literal["equal", "weighted"] = "weighted"

    def __post_init__(self) -> None:
        """Refuse values that no step could use."""
        check_settings(self)


@dataclass(frozen=True, kw_only=True)
class DenoiseSettings:
    """How decoded expression is brought to the scale of a query.

    Attributes
    ----------
    adjust_denoised
        Adjust denoised expression to the totals and the molecules of the cells at hand (`transfer.adjust`).
    """

    adjust_denoised: bool = True

    def __post_init__(self) -> None:
        """Refuse values that no step could use."""
        check_settings(self)


@dataclass(frozen=True, kw_only=True)
class ExplainSettings:
    """How units are explained.

    Attributes
    ----------
    attribution
        The attribution method.
    baseline
        What attributions with a baseline are relative to: ``"zero"`` expression, or the ``"mean"`` of the cells that
        the model was trained on.
    first_unit_plain
        Give the first unit the plain gradient under the guided rule (row 11).
    """

    attribution: AttributionMethod = "deeplift"
    baseline: Baseline = "zero"
    first_unit_plain: bool = False

    def __post_init__(self) -> None:
        """Refuse values that no step could use."""
        check_settings(self)


@dataclass(frozen=True, kw_only=True)
class PaperSettings:
    """Switches that the paper's experiments, and the picture of the latent, read.

    Attributes
    ----------
    knn_neighbours
        Numbers of neighbours of the paper's kNN experiment (row 10).
    foreign_loss
        Cells that the loss of unseen data is taken over (row 12).
    gene_count
        How the genes of a data set are counted in the paper's Table 1 (row 13).
    projection
        What draws the latent space in two dimensions (row 14).
    """

    knn_neighbours: tuple[int, ...] = tuple(range(2, 26))
    foreign_loss: Literal["all_cells", "one_cell"] = "all_cells"
    gene_count: Literal["after_filter", "as_released"] = "after_filter"
    projection: Literal["umap", "tsne"] = "umap"

    def __post_init__(self) -> None:
        """Refuse values that no step could use."""
        check_settings(self)
