# %% [markdown]
# # Another species
#
# A model of mouse cells takes human cells as they are: genes are matched through orthologs (Ensembl 105), previous symbols and
# aliases, or Ensembl ids. This page shows how, and how to see whether it went well.
#
# The data that come with scprism are of mouse, so we *write the lung cells with the names of the human genes*, which is what a
# human file looks like to the model. It is a check of the names, not of biology: we know what must come out. How well labels
# carry over between real human and real mouse cells is [measured](../labels.md).

# %%
import pandas as pd

import scprism
from scprism.genes.tables import read_orthologs

reference = scprism.load_dataset("tm_droplet_immune")
mouse = scprism.load_dataset("mouse_lung_immune")

pairs = read_orthologs()
one_to_one = pairs[~pairs["mouse"].duplicated(keep=False) & ~pairs["human"].duplicated(keep=False)]
human_name = one_to_one.set_index("mouse")["human"]
query = mouse[:, mouse.var_names.isin(human_name.index)].copy()
query.var_names = human_name[query.var_names].to_numpy()
query

# %%
model = scprism.Prism(max_epochs=40, rng=0).fit(reference)
view = model.view(query)
view

# %% [markdown]
# The view says how many of the model's genes were found, and how. Always look before you read anything else:

# %%
view.coverage["found"].value_counts()

# %% [markdown]
# Genes that are missing leave a gap that the model knows of: the reference is seen through the same gap when cells are labelled.
# Below half of the genes scprism refuses (`min_coverage`), since labels get poor there.

# %%
view.coverage.query("found == 'missing'").nlargest(5, "share")

# %% [markdown]
# ## The same cells, whatever their names
#
# Labels of the cells under their human names, beside those under the mouse ones:

# %%
as_human = view.label(reference=reference, labels="cell_type")["label"]
as_mouse = model.label(mouse, reference=reference, labels="cell_type")["label"]
pd.crosstab(as_mouse.to_numpy(), as_human.to_numpy(), rownames=["mouse names"], colnames=["human names"])

# %% [markdown]
# Nearly all on the diagonal; what differs are cells for which the few genes without an ortholog tip the balance.
#
# ## With real cells of another species
#
# * Nothing to set: the organism is told from the names. `organism="human"` in `model.view` settles it where names do not.
# * Gene sets of a model's *own* organism: `scprism.gene_sets("hallmark", organism=model.organism)`.
# * Coarse labels carry over, fine ones often do not. Check with markers of the query's species.
