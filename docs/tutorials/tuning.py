# %% [markdown]
# # Tuning
#
# The default settings were chosen on several data sets, and most people need no others. If a lower loss on *your* cells
# matters, a search tries settings one after another, keeps the best by cells that no trial was trained on, and trains a model with
# them. (It needs `pip install "scprism[tune]"`.)
#
# Here are six short trials, so that the page is quick; `scprism tune reference.h5ad --out model` does 40 of 100 epochs.

# %%
import scprism
from scprism.search.search import Search

cells = scprism.load_dataset("tm_droplet_immune")
trainer = scprism.Prism(scprism.Config(search_epochs=5, max_epochs=20, final_epochs=20), rng=0)
model = trainer.tune(cells, search=Search(n_trials=6))
model.trials

# %% [markdown]
# The table has a row a trial. `loss` is that of the cells for early stopping, in nats a molecule; the cells for the report are
# never looked at before the end:

# %%
model.summary

# %% [markdown]
# ## Three pieces of advice
#
# * **Do not tune what the loss does not measure.** How alike units are, and how many there are, is a choice of yours.
# * **Look at what is flat.** `scprism tune` writes `model.importance.tsv`: a setting that is no more important than a shuffled
#   copy of itself is called `flat`, and the "best" value in it is an accident.
# * **In a hurry?** `--stopping halving` takes about a quarter of the time and ends nearly as low ([how nearly](../search.md)).
#
# A search that is interrupted goes on with `--resume`, and several processes can share one (`--jobs 2`).
