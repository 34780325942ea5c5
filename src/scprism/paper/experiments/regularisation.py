"""The simple and the complex model (Table 2): whether a search for L1 and weight decay as well pays."""

from scprism.model.config import Config
from scprism.model.presets import preset_config
from scprism.paper.experiments.plan import Cell, Experiment, Plan, Rows
from scprism.paper.experiments.scale import SCALES, adam_config
from scprism.paper.experiments.workshop import Workshop, settings_for
from scprism.search.search import Search, tune_network
from scprism.search.space import SPACES, Space, Span

__all__ = ["ARMS", "TABLE_2"]

ARMS: dict[str, Space] = {
    "simple": SPACES["simple"],
    "complex": SPACES["complex"],
    "acting": {**SPACES["simple"], "l1_weight": Span(1e-8, 1e-3), "weight_decay": Span(1e-7, 1e-2)},
}
"""What is searched: as in the paper, and with L1 and weight decay over ranges in which they change a network."""
ADAM = "paper, Adam"
"""The paper's network and loss, trained as `default` is: by its own optimiser a network is far from its end when a
short trial is over."""
SPLIT = (0.8, 0.1, 0.1)
"""Training, early stopping and the losses that are compared; the paper has one share for the last two."""


def plan_searches(plan: Plan) -> list[Cell]:
    scale = plan.scale
    lengths = {"trials": scale.search_trials, "epochs": scale.search_epochs, "final": scale.final_epochs}
    sources = [s for s in plan.wholes if s.organism] + [s for s in plan.sources if s.is_corrected]
    presets = [preset for preset in plan.presets if preset != "as_released"]  # its L1 and penalty do not act
    return [
        Cell("table2", {"preset": preset, "data": source.name, "seed": seed, "arm": arm, **lengths}, (source,))
        for preset in (*presets, *([ADAM] if "paper" in presets else []))
        for source in sources[: scale.search_sources]
        for seed in range(scale.search_seeds)
        for arm in ARMS
    ]


def run_search(cell: Cell, workshop: Workshop) -> Rows:
    """Return the loss of cells that no search saw, of the network with the best settings, and these settings."""
    asked = cell.settings
    config = _settings(str(asked["preset"])).changed(
        split=SPLIT,
        search_trials=int(str(asked["trials"])),
        search_epochs=int(str(asked["epochs"])),
        final_epochs=int(str(asked["final"])),
    )
    config = settings_for(cell.sources[0], config)
    recipe, cells = workshop.prepared(cell.sources[0], config)
    search = Search(space=ARMS[str(asked["arm"])], stopping="none")
    fitted, best, trials = tune_network(recipe, cells, config=config, search=search, seed=int(str(asked["seed"])))
    return [
        {
            "best_trial": float(trials["validation_loss"].min()),
            "test_loss": float(fitted.summary["test_loss"]),
            **{name: getattr(best, name) for name in ARMS["acting"]},
        }
    ]


def _settings(name: str) -> Config:
    return adam_config(SCALES["full"]) if name == ADAM else preset_config(name)


TABLE_2 = Experiment("table2", "Simple against complex model (Table 2)", plan_searches, run_search)
