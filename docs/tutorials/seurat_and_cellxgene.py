# %% [markdown]
# # To Seurat and cellxgene
#
# Everything that scprism finds fits into an AnnData, and from there it goes wherever AnnData goes.

# %%
import tempfile
from pathlib import Path

import anndata
import pandas as pd
import scanpy as sc
from scipy import io, sparse

import scprism

reference = scprism.load_dataset("tm_droplet_immune")
query = scprism.load_dataset("mouse_lung_immune")
model = scprism.Prism(max_epochs=40, rng=0).fit(reference)
activity = model.activity(query)
calls = model.label(query, reference=reference, labels="cell_type")

# %% [markdown]
# ## One annotated file
#
# `annotate` is the only function that writes into your AnnData: the latent as `obsm["X_prism"]`, labels and units as columns of `obs`.

# %%
scprism.annotate(query, embedding=model.embed(query), labels=calls, activity=activity, units=model.units)
sc.pp.neighbors(query, use_rep="X_prism", random_state=0)
sc.tl.umap(query, random_state=0)
folder = Path(tempfile.mkdtemp())
query.write_h5ad(folder / "query.h5ad")
anndata.read_h5ad(folder / "query.h5ad")

# %% [markdown]
# ## cellxgene
#
# `cellxgene launch query.h5ad` opens that file: it wants an embedding whose name begins with `X_` in `obsm` (`X_umap` is there) and
# finite values, nothing more. Colour by `prism_label`, by `U01`, or by any gene. For genes on a log scale, hand it normalised
# values and keep the counts in a layer:

# %%
query.layers["counts"] = query.X.copy()
sc.pp.normalize_total(query, target_sum=1e4)
sc.pp.log1p(query)
query.write_h5ad(folder / "for_cellxgene.h5ad")
sorted(query.obsm)

# %% [markdown]
# ## Seurat
#
# R reads plain files best. Counts as a Matrix Market file, the rest as tables:

# %%
io.mmwrite(folder / "counts.mtx", sparse.csc_matrix(query.layers["counts"].T))
pd.Series(query.var_names).to_csv(folder / "genes.tsv", index=False, header=False)
pd.Series(query.obs_names).to_csv(folder / "cells.tsv", index=False, header=False)
query.obs.to_csv(folder / "cells_table.csv")
latent = pd.DataFrame(query.obsm["X_prism"], index=query.obs_names)
latent.columns = [f"prism_{i + 1}" for i in range(latent.shape[1])]
latent.to_csv(folder / "latent.csv")
sorted(path.name for path in folder.iterdir())

# %% [markdown]
# and in R:
#
# ```r
# library(Seurat)
# counts <- ReadMtx("counts.mtx", cells = "cells.tsv", features = "genes.tsv", feature.column = 1)
# cells  <- CreateSeuratObject(counts, meta.data = read.csv("cells_table.csv", row.names = 1))
# latent <- as.matrix(read.csv("latent.csv", row.names = 1))
# cells[["prism"]] <- CreateDimReducObject(latent, key = "prism_", assay = "RNA")
# cells <- RunUMAP(cells, reduction = "prism", dims = 1:ncol(latent))
# DimPlot(cells, group.by = "prism_label"); FeaturePlot(cells, "U01")
# ```
#
# The other way round, from Seurat to scprism: write `GetAssayData(cells, layer = "counts")` with `Matrix::writeMM` beside `genes.tsv`
# and `barcodes.tsv`, and read the folder with `scprism.read_cells`.
