# %% [markdown]
# # Your own gene sets
#
# Hallmark comes with scprism. Any other collection is a GMT file away, and a list of your own is a dictionary.

# %%
import tempfile
from pathlib import Path

import scprism

cells = scprism.load_dataset("tm_droplet_immune")
model = scprism.Prism(max_epochs=40, rng=0).fit(cells)
why = model.explain(cells, groupby="cell_type")

# %% [markdown]
# ## A dictionary
#
# The model here knows the Hallmark genes only, and a set is tested by those of its genes that the model has. Fewer than 10 of
# them are too few to tell from luck, so such sets are left out, with a warning, and refused where no set is larger. If you
# know why your set is small, lower the limit:

# %%
from scprism.enrichment.settings import GseaSettings

mine = {
    "cytotoxic granules": ["Gzma", "Gzmb", "Prf1", "Nkg7", "Ccl5", "Klrd1", "Ncr1", "Fcer1g", "Ctsw", "Gzmk"],
    "antigen presentation": [
        "H2-Aa",
        "H2-Ab1",
        "H2-Eb1",
        "Cd74",
        "H2-DMa",
        "H2-DMb1",
        "Ciita",
        "Cd86",
        "Cd83",
        "H2-Oa",
    ],
}
found = scprism.enrich(why, mine, settings=GseaSettings(min_size=5), rng=0)
found.table.query("nes > 0").sort_values("p_value")[["group", "unit", "gene_set", "size", "nes", "q_value"]].head(6)

# %% [markdown]
# ## A GMT file
#
# One set a line: its name, a description, its genes, with tabs between. MSigDB, Reactome, WikiPathways and Enrichr all offer it.

# %%
gmt = Path(tempfile.mkdtemp()) / "mine.gmt"
gmt.write_text("\n".join("\t".join([name, "mine", *genes]) for name, genes in mine.items()))
list(scprism.gene_sets(gmt))

# %% [markdown]
# **Take sets of your cells' organism.** Symbols are matched whatever their capitals, so human sets meet most mouse genes and miss
# those with other names; scprism warns of it.
#
# ## Is a list of genes among the units' leading genes?
#
# Over-representation asks about a list instead of a ranking. The background are the genes that could have been in the list: here
# those of any Hallmark set, since the model knows no others.

# %%
leading = model.programs.iloc[0].nlargest(30).index
scprism.ora(leading, scprism.gene_sets("hallmark", organism="mouse"), background="sets").head(4)

# %% [markdown]
# ## Train on your own genes
#
# `genes=` takes a list, a file with one gene a line, `"variable:2000"` or `"all"`:

# %%
markers = [
    *scprism.gene_sets("hallmark", organism="mouse")["HALLMARK_INTERFERON_GAMMA_RESPONSE"],
    *mine["cytotoxic granules"],
]
focused = scprism.Prism(genes=sorted(set(markers) & set(cells.var_names)), max_epochs=40, rng=0).fit(cells)
focused

# %% [markdown]
# A model of few genes answers questions about those genes only, and labels get worse. [Choose the genes](../how-to/choose_genes.md)
# says what to take for what.
