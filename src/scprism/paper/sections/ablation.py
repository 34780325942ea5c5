"""The section on the way from the released code to the default, a switch at a time."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scprism.paper.measures.resampling import Estimate, mean_with_interval
from scprism.paper.sections.pathways import PRIMARY_RULE
from scprism.paper.sections.rows import computed, no_data, refused
from scprism.paper.sections.section import Outcome, Section, Verdict, number
from scprism.report.palette import label_styles

__all__ = ["changes", "section"]

NAME, TITLE = "ablation", "From the released code to the default, a switch at a time"
PER_CELL = "normalisation → paper"
RUN = ["reference", "query", "seed"]
CLAIM = "The method as released and as written transfer types alike"
TEXT = """The settings of `as_released` are turned into those of `paper`, these into those of `default`, one group of
switches at a time, each kept for the next: what a step does may depend on those before it. Every setting in which the
presets differ is in one step, but for those of the search and of other experiments, which nothing here depends on.
Macro-F1 is of 15 neighbours, by the step's distance; `variance` is the share of the variance of the query's log counts
per 10,000 that a ridge regression on the latent predicts, fitted on half of the query's cells and scored on the others,
so that it compares likelihoods; the last columns count units with one and with any gene set (rule "{rule}").
Changes are paired by data set and seed; intervals are over these few runs."""


def section(frames: Mapping[str, pd.DataFrame]) -> Section:
    """Return the section."""
    frame = frames[NAME]
    rows = computed(frame)
    paper = "one method"
    if rows.empty or "macro_f1" not in rows:
        reason = refused(frame) or "No two whole data sets of one organism share two types."
        return no_data(NAME, TITLE, reason=reason, claim=CLAIM, source="method.md, section 2", paper=paper)
    text = "\n\n".join(part for part in (TEXT.format(rule=PRIMARY_RULE), refused(frame)) if part)
    tables = (("Steps in order; each row has all changes so far; Δ: change from the row above", _steps(rows)),)
    figures = {"ablation": ("The three measures along the steps, for each pair; mean over seeds", _figure(rows))}
    return Section(NAME, TITLE, text, tables, figures, (_verdict(rows),))


def changes(rows: pd.DataFrame, *, before: int, after: int, measure: str) -> Estimate:
    """Return the mean change of a measure between two steps, paired by data sets and seed, and its interval."""
    wide = rows.pivot_table(index=RUN, columns="step", values=measure)
    if not {before, after} <= set(wide.columns):
        return mean_with_interval(np.array([]))
    return mean_with_interval((wide[after] - wide[before]).to_numpy(dtype=np.float64))


def _steps(rows: pd.DataFrame) -> pd.DataFrame:
    found = []
    single, any_set = (f"{kind}, {PRIMARY_RULE}" for kind in ("single", "any"))
    for step, part in rows.sort_values("step", kind="stable").groupby("step"):
        number_of = int(str(step))
        differences = {
            m: changes(rows, before=number_of - 1, after=number_of, measure=m) for m in ("macro_f1", "variance")
        }
        found.append(
            {
                "towards": part["towards"].iloc[0],
                "switch": part["name"].iloc[0],
                "settings": part["changes"].iloc[0] or "–",
                "macro-F1": part["macro_f1"].mean(),
                "Δ macro-F1": number(*differences["macro_f1"]) if number_of else "–",
                "variance": part["variance"].mean(),
                "Δ variance": number(*differences["variance"]) if number_of else "–",
                "one set": part[single].mean(),
                "any set": part[any_set].mean(),
            }
        )
    return pd.DataFrame(found)


def _last_step(rows: pd.DataFrame, preset: str) -> int:
    """Return the step at which a preset is reached."""
    return int(rows.loc[rows["towards"] == preset, "step"].max())


def _verdict(rows: pd.DataFrame) -> Verdict:
    present = [preset for preset in ("as_released", "paper", "default") if (rows["towards"] == preset).any()]
    steps = {preset: _last_step(rows, preset) for preset in present}
    estimate = changes(rows, before=steps.get("as_released", 0), after=steps.get("paper", -1), measure="macro_f1")
    further = changes(rows, before=steps.get("paper", -1), after=steps.get("default", -1), measure="macro_f1")
    low, high = estimate[1]
    outcome: Outcome = "not shown"
    if np.isfinite(low) and (low > 0 or high < 0):
        outcome = "does not hold"
    shown = {
        f"{part['name'].iloc[0]} → {part['towards'].iloc[0]}": int(str(s)) for s, part in rows.groupby("step") if s
    }
    effects = {name: changes(rows, before=s - 1, after=s, measure="macro_f1")[0] for name, s in shown.items()}
    effects = {name: effect for name, effect in effects.items() if np.isfinite(effect)}
    largest = sorted(effects, key=lambda name: -abs(effects[name]))[:3]
    named = dict.fromkeys([*largest, *(name for name in effects if name == PER_CELL)])
    parts = ", ".join(f"{name} ({effects[name]:+.3f})" for name in named)
    ours = (
        f"macro-F1, paper less as_released: {number(*estimate)}; default less paper: {number(*further)}; largest "
        f"single steps, and per-gene to per-cell normalisation: {parts}"
    )
    why = "A few runs on small data sets; as_released has one seed. That none is shown is no equality."
    return Verdict(CLAIM, "method.md, section 2", "one method", ours, outcome, why)


def _figure(rows: pd.DataFrame) -> Figure:
    measures = {"macro_f1": "macro-F1", "variance": "variance", f"single, {PRIMARY_RULE}": "units with one set"}
    figure, axes = plt.subplots(len(measures), 1, figsize=(8, 6.5), sharex=True, layout="constrained")
    groups = {f"{r} → {q}": part for (r, q), part in rows.groupby(["reference", "query"], sort=False)}
    for ax, (measure, words) in zip(axes, measures.items(), strict=True):
        for name, style in label_styles(groups).items():
            means = groups[name].groupby("step")[measure].mean()
            ax.plot(means.index, means, color=style.colour, marker=style.marker, label=name)
        ax.set_ylabel(words)
    names = rows.drop_duplicates("step").sort_values("step")
    axes[0].legend(frameon=False, fontsize=7)
    axes[-1].set_xticks(names["step"], names["name"], rotation=60, ha="right", fontsize=7)
    return figure
