import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from scprism.errors import InputError, PrismError, PrismWarning
from scprism.genes.tables import read_gene_ids, read_orthologs
from scprism.integration.joined import corrected_cells, join_data_sets, log_values


def cells(counts, genes, **obs):
    values = np.asarray(counts, dtype=np.float32)
    return AnnData(
        values, obs=pd.DataFrame(obs, index=[f"c{i}" for i in range(len(values))]), var=pd.DataFrame(index=genes)
    )


def test_common_genes_keep_the_library_of_all_genes_without_spike_ins():
    first = cells([[1, 2, 7, 90], [0, 3, 1, 0]], ["B", "A", "only_here", "ERCC-00002"])
    second = cells([[4, 1]], ["A", "B"])
    joined = join_data_sets([first, second], batch="lab")
    assert joined.genes == ("A", "B")
    np.testing.assert_array_equal(joined.counts.toarray(), [[2, 1], [3, 0], [4, 1]])
    np.testing.assert_array_equal(joined.library, [10, 4, 5])
    np.testing.assert_array_equal(joined.batches, [0, 0, 1])
    assert joined.obs["lab"].tolist() == ["0", "0", "1"]
    assert joined.obs.index.tolist() == ["c0-0", "c1-0", "c0-1"]
    np.testing.assert_allclose(
        log_values(joined, target_sum=100).toarray()[1:], np.log1p([[75, 0], [80, 20]]), rtol=1e-6
    )


def test_genes_without_a_count_are_left_out():
    joined = join_data_sets([cells([[1, 0], [2, 0]], ["A", "B"], lab=["x", "y"])], batch="lab")
    assert joined.genes == ("A",)


def test_a_cell_without_a_batch_is_refused():
    with pytest.raises(InputError, match="1 of 2 cells have no batch in 'lab'. Fill the column"):
        join_data_sets([cells([[1, 2], [3, 4]], ["A", "B"], lab=["x", None])], batch="lab")


def test_a_misspelt_column_is_named_with_the_closest():
    with pytest.raises(InputError, match="needs at least two batches, 'lob' has '0'. .* closest: 'lab'"):
        join_data_sets([cells([[1, 2], [3, 4]], ["A", "B"], lab=["x", "y"])], batch="lob")


def test_genes_are_matched_whatever_the_case_by_id_and_by_alias():
    ids = {symbol: name for name, symbol in read_gene_ids().items() if name.startswith("ENSMUSG")}
    pairs = read_orthologs()
    mouse_only = sorted(set(pairs["mouse"]) - {name.capitalize() for name in pairs["human"]})[:60]
    others = [0] * len(mouse_only)  # tell that it is mouse
    first = cells([[1, 2, 3, 4, *others]], ["Cd3e", "Tent5c", "Actb", "Cd19", *mouse_only])
    second = cells([[5, 6, 7, 8, *others]], ["CD3E", "Fam46c", ids["Actb"], "CD19", *mouse_only])
    joined = join_data_sets([first, second], batch="lab")
    assert joined.genes == ("Actb", "Cd19", "Cd3e", "Tent5c")
    np.testing.assert_array_equal(joined.counts.toarray(), [[3, 4, 1, 2], [7, 8, 5, 6]])
    assert (joined.n_genes, joined.n_common) == ((64, 64), 64)


def test_data_of_another_organism_are_matched_through_orthologs():
    pairs = read_orthologs()
    alone = pairs[~pairs["human"].duplicated(keep=False) & ~pairs["mouse"].duplicated(keep=False)]
    telling = alone[alone["human"] != alone["mouse"].str.upper()].iloc[:60]
    mouse, human = (cells([np.arange(1, 61)], list(telling[o])) for o in ("mouse", "human"))
    joined = join_data_sets([mouse, human], batch="organism")
    assert set(joined.genes) == set(telling["mouse"])
    np.testing.assert_array_equal(joined.counts[0].toarray(), joined.counts[1].toarray())


def test_columns_of_one_gene_are_added():
    first, second = cells([[1, 2]], ["CD3E_ENSG00000198851", "CD3E_ENSG00000000001"]), cells([[4]], ["CD3E"])
    with pytest.warns(PrismWarning, match="named by symbol and Ensembl id"):
        joined = join_data_sets([first, second], batch="lab")
    np.testing.assert_array_equal(joined.counts.toarray(), [[3], [4]])


def test_few_common_genes_are_told():
    first, second = cells([[1, 2, 3]], ["A", "B", "C"]), cells([[1, 2, 3, 4]], ["A", "x", "y", "z"])
    with pytest.warns(PrismWarning, match=r"Only 1 genes are in all data sets, which have 3, 4: 33% of the smallest"):
        join_data_sets([first, second], batch="lab")


def test_columns_of_text_and_numbers_are_made_text_with_a_word(tmp_path):
    first = cells([[1, 2]], ["A", "B"], platform=["10x"], n=[1], ok=[True], both=pd.Categorical(["x"]))
    second = cells([[1, 2], [3, 4]], ["A", "B"], platform=[7, np.nan], n=[2.5, 3], ok=["no", "yes"], both=["y", "z"])
    with pytest.warns(PrismWarning, match=r"2 columns of obs hold text .* made text: 'platform', 'ok'\."):
        joined = join_data_sets([first, second], batch="lab")
    assert joined.obs["platform"].tolist()[:2] == ["10x", "7.0"]
    assert joined.obs["platform"].isna().tolist() == [False, False, True]
    assert joined.obs["n"].tolist() == [1, 2.5, 3]
    assert joined.obs["both"].tolist() == ["x", "y", "z"]
    corrected_cells(joined, np.ones((3, 2)), genes=["A", "B"], method="combat").write_h5ad(tmp_path / "a.h5ad")
    assert second.obs["platform"].tolist()[0] == 7  # the caller's cells are as they were


def test_batches_named_by_text_and_numbers_need_no_word():
    first, second = cells([[1, 2]], ["A", "B"], lab=["x"]), cells([[1, 2]], ["A", "B"], lab=[2])
    assert join_data_sets([first, second], batch="lab").obs["lab"].tolist() == ["x", "2"]


def test_values_that_are_not_finite_never_leave():
    joined = join_data_sets([cells([[1, 2], [3, 4]], ["A", "B"], lab=["x", "y"])], batch="lab")
    values = np.array([[1, np.nan], [2, np.inf]])
    with pytest.raises(PrismError, match=r"method='combat' made 2 values .* in 1 genes \('B'\) and 2 cells"):
        corrected_cells(joined, values, genes=["A", "B"], method="combat")
    kept = corrected_cells(joined, np.ones((2, 2)), genes=["A", "B"], method="combat")
    assert kept.uns["scprism"]["n_common_genes"] == 2
