"""Interactive figures: the numbers in them, and texts that no label can break."""

import json

import numpy as np
import pytest

from scprism.report.interactive import (
    confidence_figure,
    histogram_figure,
    pathway_figure,
    safe_json,
    set_name,
    training_figure,
)
from scprism.report.palette import count_colours
from scprism.report.tables import sets_per_unit


def test_a_field_of_the_pathway_map_equals_the_hand_count(enrichment):
    heatmap = pathway_figure(enrichment).data[0]
    assert heatmap.z.tolist() if isinstance(heatmap.z, np.ndarray) else [list(r) for r in heatmap.z] == [[2, 0], [0, 1]]
    assert list(heatmap.x) == ["0", "1"]


def test_hovering_lists_the_groups_with_nes_and_q_and_escapes_their_names(enrichment):
    text = pathway_figure(enrichment).data[0].text
    assert text[0][0] == (
        "<b>HALLMARK_E2F_TARGETS</b><br>unit 0<br>B cell: NES +2.25, q = 0.01<br>"
        "T &lt;CD4&gt; &amp; &#x27;naïve&#x27;: NES -1.50, q = 0.02"
    )
    assert text[0][1].endswith("significant in no group")


def test_there_is_no_pathway_map_without_a_significant_set(enrichment):
    assert pathway_figure(enrichment.assign(q_value=0.05)) is None


def test_each_count_has_one_colour_of_the_scale(enrichment):
    scale = pathway_figure(enrichment).data[0].colorscale
    colours = count_colours(2)
    assert [(round(3 * place), colour) for place, colour in scale] == [
        (0, colours[0]),
        (1, colours[0]),
        (1, colours[1]),
        (2, colours[1]),
        (2, colours[2]),
        (3, colours[2]),
    ]


def test_training_curve_is_the_log_with_its_best_epoch(results):
    train, validation, best = training_figure(results.model.log, best_epoch=2).data
    assert list(train.y) == [3.0, 2.0, 1.5]
    assert list(validation.y) == [3.5, 2.5, 2.75]
    assert (list(best.x), list(best.y)) == ([2], [2.5])


def test_confidence_rows_add_up_to_one_and_hovering_gives_cells(labels):
    figure = confidence_figure(labels)
    heatmap = figure.data[0]
    np.testing.assert_allclose(np.array(heatmap.z).sum(axis=1), 1, atol=1e-3)
    assert heatmap.text[0][9] == "B cell<br>confidence 0.9–1.0<br>3 cells"
    assert list(figure.layout.yaxis.ticktext)[1] == "T &lt;CD4&gt; &amp; &#x27;naïve&#x27; (3)"


def test_labels_that_are_shortened_alike_keep_their_own_rows(labels):
    long = "an extraordinarily long cell type name, subtype "
    figure = confidence_figure(labels.assign(label=[long + "A"] * 5 + [long + "B"] * 5))
    assert len(figure.data[0].z) == 2
    assert figure.layout.yaxis.tickvals == (0, 1)


def test_histogram_counts_units_by_their_sets(enrichment):
    bars = histogram_figure(sets_per_unit(enrichment)).data[0]
    assert (list(bars.x), list(bars.y)) == ([0, 1], [1, 2])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HALLMARK_E2F_TARGETS", "E2F targets"),
        ("HALLMARK_TNFA_SIGNALING_VIA_NFKB", "TNFA signaling via NFKB"),
        ("HALLMARK_UV_RESPONSE_DN", "UV response DN"),
        ("KEGG_APOPTOSIS", "KEGG_APOPTOSIS"),
    ],
)
def test_set_names_keep_their_abbreviations(name, words):
    assert set_name(name) == words


def test_safe_json_cannot_end_a_script_and_reads_back():
    value = {"é</script><!--": "a & b > c"}
    text = safe_json(value)
    assert not set(text) & set("<>&")
    assert json.loads(text) == value
