# %% [markdown]
# # First run
#
# You have cells with labels (the *reference*) and cells without (the *query*). This page trains a model on the first,
# labels the second, and asks what the model has seen. It takes about a minute on a laptop.
#
# Both data sets come with scprism: 1,000 immune cells of mouse spleen, marrow and lung by 10x, and 800 immune cells of
# mouse lung by inDrop. Another platform, another laboratory; nothing will be integrated or corrected.

# %%
import scanpy as sc

import scprism

reference = scprism.load_dataset("tm_droplet_immune")
query = scprism.load_dataset("mouse_lung_immune")
reference

# %% [markdown]
# With your own data this is `scprism.read_cells("reference.h5ad")`, which also reads zarr, loom, 10x output and tables.
# **Raw counts**, please: scprism normalises by itself, and says so if it finds something else.
#
# ## Train
#
# `rng=0` is the seed: the same seed gives the same model.

# %%
model = scprism.Prism(rng=0).fit(reference)
model

# %% [markdown]
# ## What the model has seen: units
#
# A unit is a *program*: genes that go up and down together, found again in other cells of the same data. `replication`
# says how well it comes back (1 is best), and `trusted` whether that is well enough to give it a name.

# %%
model.units[["proposed_name", "replication", "trusted", "top_genes"]]

# %% [markdown]
# How active is each unit in each cell of the query? 0 is not at all; 1 is as much as in the most active hundredth of the
# reference's cells.

# %%
activity = model.activity(query)
activity.groupby(query.obs["Major_cell_type"], observed=True).mean().round(2)

# %% [markdown]
# The query's own labels (`Major_cell_type`) were never shown to the model. The unit led by S100a9 belongs to the neutrophils, that of
# Ccl5 and granzymes to the NK cells, that of Cd74 and Cd79a to the B cells: what one hopes to see.
#
# ## Label the query

# %%
calls = model.label(query, reference=reference, labels="cell_type")
calls

# %% [markdown]
# If there is a warning, read it: it tells in what the query as a whole differs from the reference, and it stays with the result.
#
# `confidence` is the estimated probability that the label is right; `novel` are cells that are stranger than
# almost all cells of the reference's own kind. Read [Labels](../labels.md) before you publish any of them.
#
# Here we happen to know better, so let us look:

# %%
import pandas as pd

pd.crosstab(query.obs["Major_cell_type"].to_numpy(), calls["label"].to_numpy(), rownames=["known"], colnames=["called"])

# %% [markdown]
# Neutrophils are granulocytes, so this is good. The reference's monocytes and the query's neutrophils are relatives, and that is where mistakes are.
#
# ## Look at it in scanpy
#
# Only `annotate` writes into your AnnData; everything else leaves it alone.

# %%
scprism.annotate(query, embedding=model.embed(query), labels=calls, activity=activity, units=model.units)
sc.pp.neighbors(query, use_rep="X_prism", random_state=0)
sc.tl.umap(query, random_state=0)
sc.pl.umap(query, color=["prism_label", "Major_cell_type", activity.columns[0]], wspace=0.4)

# %% [markdown]
# ## Why?
#
# `explain` says which genes made the units' activities, in each group of cells, and the parts add up exactly.

# %%
why = model.explain(query, groupby="Major_cell_type")
why.top_genes("B cells", n=5).head(10)

# %% [markdown]
# ## One page for all of it
#
# The report is a single HTML file that you can send to a colleague. On the command line the whole of this page is
# `scprism run reference.h5ad query.h5ad --labels cell_type --out results`.

# %%
import tempfile
from pathlib import Path

paths = scprism.enrich(why, scprism.gene_sets("hallmark", organism=model.organism), rng=0)
page = Path(tempfile.mkdtemp()) / "report.html"
scprism.write_report(
    page,
    model=model,
    explanation=why,
    enrichment=paths,
    embedding=query.obsm["X_prism"],
    cells=query,
    labels=calls,
    reference=reference,
    reference_labels="cell_type",
)
f"{page.stat().st_size / 1e6:.1f} MB"

# %% [markdown]
# ## Keep the model
#
# A model is a folder. It holds no code, so it is safe to open one that somebody sent you.

# %%
folder = page.parent / "model"
model.save(folder)
scprism.load(folder).fingerprint == model.fingerprint

# %% [markdown]
# **Next:** [what a unit may be called, and when not to name it](naming_units.py).
