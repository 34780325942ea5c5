# %% [markdown]
# # Another tissue
#
# The promise of the paper that scprism grew from: train on some tissues, read another that the model has never seen. We
# train on spleen and bone marrow, and label lung.

# %%
import pandas as pd

import scprism

cells = scprism.load_dataset("tm_droplet_immune")
pd.crosstab(cells.obs["cell_type"], cells.obs["tissue_inferred"])

# %% [markdown]
# (The tissue of many of these cells is an inference; those for which there is none are left out.)

# %%
tissue = cells.obs["tissue_inferred"]
reference = cells[tissue.isin(["Spleen", "Marrow"])].copy()
query = cells[tissue == "Lung"].copy()
model = scprism.Prism(max_epochs=40, rng=0).fit(reference)
calls = model.label(query, reference=reference, labels="cell_type")
calls

# %%
pd.crosstab(query.obs["cell_type"].to_numpy(), calls["label"].to_numpy(), rownames=["known"], colnames=["called"])

# %% [markdown]
# With your own cells there is no column of known labels, and labels can only be those of the reference: a cell of a new type
# gets the nearest known one. So read three things before the labels:
#
# 1. the warnings, which say whether the query as a whole is unlike the reference;

# %%
calls.warnings

# %% [markdown]
# 2. how many cells are `novel`, label by label (about one in twenty is usual);

# %%
calls.table.groupby("label")["novel"].agg(["mean", "size"]).round(2)

# %% [markdown]
# 3. which cells have low `confidence`.

# %%
calls.table.nsmallest(5, "confidence")

# %% [markdown]
# ## Does a unit mean the same in the other tissue?
#
# Activities depend on each cell alone, so they can be compared between tissues as they are.

# %%
both = pd.concat([model.activity(reference), model.activity(query)])
where = pd.Series([*["spleen, marrow"] * reference.n_obs, *["lung"] * query.n_obs], index=both.index)
kind = pd.concat([reference.obs["cell_type"], query.obs["cell_type"]]).astype(str)
both.groupby([kind, where]).mean().round(2).iloc[:, :6]

# %% [markdown]
# A unit whose activity follows the cell type in both is one to build on. One that follows the tissue in every type is more
# likely the batch than the biology.
