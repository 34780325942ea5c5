# %% [markdown]
# # Naming units, and when not to
#
# A unit with a pretty name is a temptation. This page shows what stands behind the name, and three cases in which you
# should leave a unit without one.

# %%
import numpy as np

import scprism

cells = scprism.load_dataset("tm_droplet_immune")
model = scprism.Prism(max_epochs=40, rng=0).fit(cells)
model.units[["proposed_name", "replication", "trusted", "sets", "top_genes"]]

# %% [markdown]
# Read a row from the left:
#
# * **`replication`**: the cells were cut into disjoint halves and every half searched from another start. This is how well the
#   unit's activity agrees with that of its nearest relative in the worse half: 1 is perfect, and 0.8 is where `trusted` begins.
# * **`sets`**: the Hallmark sets that its genes form best. The proposed name is the first of them, if its q-value is below 0.05.
# * **`top_genes`**: always look at these yourself. A set's name is somebody else's summary of somebody else's experiment.
#
# ## Look at the genes
#
# `programs` has what a unit adds to log1p counts per 10,000, gene by gene.

# %%
unit = model.units.index[0]
model.programs.loc[unit].nlargest(10).round(2)

# %% [markdown]
# And at the cells: in which types is it active?

# %%
activity = model.activity(cells)
activity.groupby(cells.obs["cell_type"], observed=True).mean().round(2).T.head(6)

# %% [markdown]
# ## When not to: it did not come back
#
# Units at the end of the table have `trusted` False and no name. Something is there in these cells, but the other half did not
# show it well enough. Give it a name in your notes if you like, not in a figure.

# %%
model.units.loc[~model.units["trusted"], ["replication", "top_genes"]]

# %% [markdown]
# ## When not to: there is nothing to find
#
# Shuffle each gene over the cells, and every cell keeps its depth but no two genes go together any more. Many methods still
# show "components". Here no unit comes back, scprism says so, and what it falls back on (the network's own numbers) has no names.

# %%
rng = np.random.default_rng(0)
shuffled = cells.copy()
columns = shuffled.X.toarray()
shuffled.X = rng.permuted(columns, axis=0)
nothing = scprism.Prism(max_epochs=5, rng=0).fit(shuffled)
nothing.units["proposed_name"].ne("").sum()

# %% [markdown]
# ## When not to: raw units
#
# `units="raw"` gives the numbers of the network's bottleneck, as in the paper that scprism grew from. They are good to measure
# distances in, but another seed finds others, so a name for one does not last. If you need them named, `scprism trust` refits
# the network and says which may be.
#
# ## Check a finding that matters
#
# Pathways of a unit are tested against random genes. Genes of one pathway vary together in any tissue, so ask again against
# networks that learned nothing: [Check a finding](../how-to/check_a_finding.md).
