import numpy as np
import pytest
import torch
from scipy import sparse

from scprism.model.losses import reconstruction_loss
from scprism.train.likelihood import SparseShares


def by_autograd(z, counts):
    wide = z.double().requires_grad_()
    losses = reconstruction_loss(wide, torch.from_numpy(counts.toarray()).double(), likelihood="multinomial")
    (slopes,) = torch.autograd.grad(losses.sum(), wide)
    return float(losses.sum().detach()), slopes


@pytest.mark.parametrize("spread", [1.0, 30.0])  # at 30 most shares vanish in float32
def test_sparse_multinomial_is_that_of_autograd(rng, spread):
    drawn = rng.poisson(0.3, size=(6, 40)).astype(np.float32)
    drawn[2] = 0
    counts = sparse.csr_matrix(drawn)  # the third cell has no counts, the fifth stored zeros
    counts.data[counts.indptr[4] : counts.indptr[5]] = 0
    z = torch.from_numpy(rng.normal(scale=spread, size=(6, 40)).astype(np.float32))
    expected_loss, expected = by_autograd(z, counts)
    loss = SparseShares.of_counts(counts, device=z.device).replace_by_slopes(z)
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    torch.testing.assert_close(z.double(), expected, atol=2e-7, rtol=1e-5)
    assert z[[2, 4]].abs().sum() == 0


def test_a_cell_of_one_gene_loses_the_logarithm_of_the_number_of_genes():
    counts = sparse.csr_matrix(np.array([[0, 7, 0, 0]], dtype=np.float32))
    z = torch.zeros(1, 4)
    assert SparseShares.of_counts(counts, device=z.device).replace_by_slopes(z) == pytest.approx(np.log(4))
    assert z.tolist() == [[0.25, -0.75, 0.25, 0.25]]
