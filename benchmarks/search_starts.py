"""Which settings a quick search should begin with: those that come nearest to the ends of thorough searches.

    python benchmarks/search_starts.py STUDY.db ... [--starts 6] [--leave-out DATA]

The studies are those that `benchmarks/search.py --methods naive` leaves, named ``DATA-naive-SEED.db``. For each, a
Gaussian process learns how far above the study's lowest loss a setting ends, in per cent (at most 30). Settings, those
of all trials and 8,192 spread over the space, are then chosen one by one, so that the best of those chosen is nearest
to the lowest loss on average, every data set having the same weight. A line for each: the setting, which `STARTS` of
`scprism.search.space` has to about two figures, and how far above the lowest loss the best of those chosen so far is
predicted to be. With ``--leave-out`` a data set plays no part in the choice and is judged all the same.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from scipy.stats import qmc
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from scprism.search.space import SPACES

SPACE = SPACES["effective"]
WORST = 30.0


def to_unit(values: np.ndarray) -> np.ndarray:
    """Return settings, (trials, settings), on scales from 0 to 1."""
    scaled = np.array(values, dtype=float)
    for j, span in enumerate(SPACE.values()):
        low, high = span.low, span.high
        if span.scale == "log":
            low, high, scaled[:, j] = np.log(low), np.log(high), np.log(scaled[:, j])
        scaled[:, j] = (scaled[:, j] - low) / (high - low)
    return scaled


def from_unit(scaled: np.ndarray) -> dict[str, float]:
    """Return one setting from scales from 0 to 1."""
    told = {}
    for x, (name, span) in zip(scaled, SPACE.items(), strict=True):
        told[name] = (
            span.low * (span.high / span.low) ** x if span.scale == "log" else span.low + x * (span.high - span.low)
        )
    return told


def read_study(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return settings and per cent above the lowest loss of a study's whole trials."""
    storage = f"sqlite:///{path}"
    study = optuna.load_study(study_name=optuna.get_all_study_names(storage)[0], storage=storage)
    trials = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    losses = np.array([trial.value for trial in trials])
    settings = np.array([[trial.params[name] for name in SPACE] for trial in trials])
    return to_unit(settings), np.minimum(100 * (losses / losses.min() - 1), WORST)


def surrogate(settings: np.ndarray, excess: np.ndarray) -> GaussianProcessRegressor:
    kernel = ConstantKernel() * Matern([0.5] * len(SPACE), (0.05, 20), nu=2.5) + WhiteKernel(1e-3, (1e-6, 1e-1))
    process = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a flat setting's length goes to its bound
        return process.fit(settings, excess)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", type=Path, help="SQLite files of thorough searches")
    parser.add_argument("--starts", type=int, default=6)
    parser.add_argument("--leave-out", help="a data set that plays no part in the choice")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    data = pd.Series([path.name.split("-naive")[0] for path in arguments.studies])
    learned = [read_study(path) for path in arguments.studies]
    tried = [settings for (settings, _), name in zip(learned, data, strict=True) if name != arguments.leave_out]
    candidates = np.vstack([qmc.Sobol(len(SPACE), seed=0).random(8192), *tried])
    excess = np.array([surrogate(*study).predict(candidates).clip(0) for study in learned])
    weight = (1 / data.map(data.value_counts())).where(data != arguments.leave_out, 0.0).to_numpy()
    nearest = np.full(len(learned), WORST)
    rows = []
    for _ in range(arguments.starts):
        best = np.minimum(nearest[:, None], excess)
        chosen = int((weight @ best).argmin())
        nearest = best[:, chosen]
        above = pd.Series(nearest).groupby(data.to_numpy()).mean().round(2)
        rows.append({**{k: f"{v:.2g}" for k, v in from_unit(candidates[chosen]).items()}, **above})
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
