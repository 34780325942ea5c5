# %% [markdown]
# # Comparing conditions
#
# Which programs do tumours switch on in the immune cells of the lung? `scprism.compare` asks this of the units' activities, with
# **animals, not cells, as replicates**.

# %%
import scprism

reference = scprism.load_dataset("tm_droplet_immune")
lung = scprism.load_dataset("mouse_lung_immune")
lung.obs.groupby(["Tissue", "Animal"], observed=True).size()

# %% [markdown]
# Two healthy mice and two with tumours. That is few, and honest: cells of one animal are alike, and thousands of them are not
# thousands of experiments.

# %%
model = scprism.Prism(max_epochs=40, rng=0).fit(reference)
result = scprism.compare(
    model, lung, groupby="Tissue", reference="healthy", replicate="Animal", within="Major_cell_type"
)
columns = [
    "within",
    "unit",
    "n_samples",
    "n_reference_samples",
    "difference",
    "low",
    "high",
    "auroc",
    "p_value",
    "q_value",
]
result.table.sort_values("p_value")[columns].head(8).round(3)

# %% [markdown]
# How to read a row: in the cells of `within`, the unit's mean activity in tumours is higher by `difference` (95 % interval `low` to
# `high`, over animals); `auroc` is the probability that a tumour's cell has more of it than a healthy one (0.5 is no
# difference). `q_value` corrects for all rows.
#
# With two animals a side hardly any q-value is small, and that is the truth about this experiment: use the table to choose what
# to look at next, by size of the difference, and do not call it a finding.

# %%
names = model.units["proposed_name"]
candidates = result.table[(result.table["within"] != "all") & (result.table["auroc"].sub(0.5).abs() > 0.2)]
candidates.assign(name=candidates["unit"].map(names))[["within", "unit", "name", "difference", "auroc"]].round(2)

# %% [markdown]
# ## What happens without replicates
#
# The same question with cells as replicates gives tiny p-values, and a warning:

# %%
naive = scprism.compare(model, lung, groupby="Tissue", reference="healthy")
naive.table["p_value"].min(), naive.warnings

# %% [markdown]
# ## Which genes?
#
# `explain` by condition, and the difference between the two:

# %%
why = model.explain(lung, groupby="Tissue")
changed = why.difference("healthy")
changed.top_genes("tumor", n=3, by="absolute").head(9)

# %% [markdown]
# The command: `scprism compare model lung.h5ad --groupby Tissue --against healthy --replicate Animal --within Major_cell_type --out
# units.tsv`.
