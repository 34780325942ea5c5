import numpy as np
import pandas as pd

from scprism.paper.plan import Plan
from scprism.paper.registry import planned
from scprism.paper.trainings import basis_of, training_curves, training_summary


def course(losses, *, settings="paper", data="a", seed=0, most=500):
    epochs = np.arange(1, len(losses) + 1)
    return pd.DataFrame({"epoch": epochs, "loss": losses, "settings": settings, "data": data, "seed": seed}).assign(
        max_epochs=most
    )


def test_a_network_had_stopped_if_its_loss_no_longer_fell():
    falling = np.linspace(2.0, 1.0, 500)  # a tenth of the fall is in the last tenth
    flat = np.concatenate([np.linspace(2.0, 1.0, 100), np.full(400, 1.0)])
    rising = np.concatenate([np.linspace(2.0, 1.0, 100), np.linspace(1.0, 1.5, 400)])  # the best weights are kept
    short = np.concatenate([np.linspace(2.0, 1.0, 80), [1.0] * 10])
    frame = pd.concat(
        [course(losses, seed=seed) for seed, losses in enumerate((falling, flat, rising, short))]
        + [course(falling[:200], settings="default", most=200)]
    )
    table = training_summary(frame).set_index("settings")
    assert table.loc["paper", ["data sets", "networks", "had stopped"]].tolist() == [1, 4, 3]
    assert table.loc["paper", "epochs run"] == "500 (90–500)"
    assert table.loc["paper", "ended before the last epoch"] == 1
    assert table.loc["default", ["networks", "had stopped"]].tolist() == [1, 0]
    assert training_summary(course(rising))["fall in the last tenth"].item() == "0.0 %"
    figure = training_curves(frame)
    assert [ax.get_title() for ax in figure.axes] == ["paper", "default"]
    drawn = [line.get_ydata() for line in figure.axes[0].lines]
    np.testing.assert_allclose([line[0] for line in drawn], 1)
    np.testing.assert_allclose([line.min() for line in drawn], 0)


def test_verdicts_rest_on_the_networks_of_the_computed_cells(sources, tiny):
    plan = Plan(sources, ("paper", "default"), tiny)
    cells = planned(plan, only=("knn-single",))["knn-single"]
    some = [cell for cell in cells if cell.settings["features"] in ("paper", "untrained", "baselines")]
    basis = basis_of(some[:3], n_planned=len(cells), plan=plan)
    assert str(basis) == f"3 of {len(cells)} results"  # baselines and untrained networks
    basis = basis_of(some, n_planned=len(cells), plan=plan)
    assert str(basis) == f"{len(some)} of {len(cells)} results; networks: `paper` 4"
