import numpy as np
import pandas as pd
import pytest

import scprism
from scprism._random import random_generator, told_seed
from scprism.errors import InputError
from scprism.read.synthetic import make_cells
from scprism.trust.assess import assess_units


@pytest.fixture(scope="module")
def cells():
    return make_cells(rng=0)


@pytest.fixture(scope="module")
def model(cells):
    return scprism.Prism(units="raw", genes="all", hidden_size=8, bottleneck_size=3, max_epochs=1, rng=0).fit(cells)


def test_a_generator_is_itself_and_a_seed_is_that_of_numpy(rng):
    assert random_generator(rng) is rng
    assert random_generator(np.int64(3)).random() == np.random.default_rng(3).random()
    assert (told_seed(np.int64(3)), told_seed(rng), told_seed(None)) == (3, None, None)


CALLS = {
    "fit": lambda cells, seed, _: scprism.Prism(genes="all", rng=seed).fit(cells),
    "tune": lambda cells, seed, _: scprism.Prism(genes="all", rng=seed).tune(cells),
    "adapt": lambda cells, seed, model: scprism.adapt(model, cells, rng=seed),
    "trust": lambda cells, seed, model: assess_units(model, cells, reference=cells, rng=seed),
    "enrich": lambda cells, seed, model: scprism.enrich(
        model.explain(cells), {"some": list(model.genes[:20])}, rng=seed
    ),
    "gsea": lambda cells, seed, _: scprism.gsea(
        pd.DataFrame([range(cells.n_vars)], columns=cells.var_names), {"some": list(cells.var_names[:20])}, rng=seed
    ),
    "make_cells": lambda _, seed, __: make_cells(rng=seed),
}


@pytest.mark.parametrize("seed", [-1, 0.5, "zero"])
@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_seed_is_refused_by_name(cells, model, call, seed):
    with pytest.raises(InputError, match="`rng` must be a seed"):
        CALLS[call](cells, seed, model)
