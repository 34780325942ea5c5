import numba
import numpy as np
import pytest
from scipy import sparse

from scprism.model.forward import encode
from scprism.model.weights import Weights
from scprism.prepare.stream import PreparedChunk
from scprism.query.embed import embed_cells


@pytest.fixture
def weights(rng):
    def layer(n_inputs, n_outputs):
        return rng.standard_normal((n_outputs, n_inputs)).astype(np.float32), np.zeros(n_outputs, dtype=np.float32)

    sizes = [("hidden", 12, 5), ("latent", 5, 3), ("decoder", 3, 5), ("output", 5, 12)]
    arrays = {}
    for name, n_inputs, n_outputs in sizes:
        arrays[f"{name}_weight"], arrays[f"{name}_bias"] = layer(n_inputs, n_outputs)
    return Weights(**arrays, hidden_beta=1.0, latent_beta=None, decoder_beta=1.0, output_beta=None)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_keep_the_order_of_the_cells(weights, rng, threads, monkeypatch):
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", threads)
    cells = sparse.random_array((200, 12), density=0.4, rng=rng, format="csr", dtype=np.float32)
    fill = rng.random(12).astype(np.float32)
    chunks = [
        PreparedChunk(slice(i, i + 7), sparse.csr_matrix(cells[i : i + 7]), sparse.csr_matrix(cells[i : i + 7]))
        for i in range(0, 200, 7)
    ]
    latent = embed_cells(weights, chunks, fill=fill)
    np.testing.assert_allclose(latent, encode(weights, cells.toarray() + fill), rtol=1e-4, atol=1e-5)


def test_no_cells_give_no_rows(weights):
    assert embed_cells(weights, [], fill=np.zeros(12, dtype=np.float32)).shape == (0, 3)
