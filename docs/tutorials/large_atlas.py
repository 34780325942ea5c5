# %% [markdown]
# # A large atlas
#
# Cells are read from disk as they are needed, a batch at a time, so the size of a file is no limit. This page does with a
# small file what you would do with a large one.

# %%
import tempfile
from pathlib import Path

import numpy as np

import scprism

folder = Path(tempfile.mkdtemp())
small = scprism.load_dataset("tm_droplet_immune")
small.write_h5ad(folder / "atlas.h5ad")

# %% [markdown]
# ## Leave the counts on disk
#
# `backed=True` opens an h5ad file without reading its matrix.

# %%
atlas = scprism.read_cells(folder / "atlas.h5ad", backed=True)
atlas.isbacked, atlas.shape

# %%
model = scprism.Prism(max_epochs=40, rng=0).fit(atlas)
model

# %% [markdown]
# Training takes the cells into memory as a sparse matrix of the model's genes alone, which is a small part of the file. An
# epoch is at most 500 batches, drawn anew each time, so that training ends by steps and not by passes over millions of cells;
# programs are found in at most 6,000 cells. Both are settings: [Settings](../reference/settings.md).
#
# ## Read results a piece at a time
#
# Embedding, activities and explanations stream the file:

# %%
activity = model.activity(atlas)
why = model.explain(atlas, groupby="cell_type")
activity.shape, why

# %% [markdown]
# Because each cell's activity depends on that cell alone, you may as well go through the atlas in parts, on as many machines as
# you have, and join the tables:

# %%
in_parts = np.vstack([model.activity(small[start : start + 300]) for start in range(0, small.n_obs, 300)])
np.allclose(in_parts, activity, atol=1e-5)

# %% [markdown]
# ## Label without the atlas
#
# An index keeps what labelling needs, and not the atlas:

# %%
indexed = model.index(atlas, labels="cell_type")
indexed.save(folder / "model")
atlas.file.close()

query = scprism.load_dataset("mouse_lung_immune")
scprism.load(folder / "model").label(query)

# %% [markdown]
# On the command line, everything is streamed without asking: `scprism fit atlas.h5ad --out model --labels cell_type`, then
# `scprism label model query.h5ad --out labels.csv`.
#
# An interrupted fit goes on with `--resume` and ends with the same weights ([how](../how-to/interrupted.md)).
