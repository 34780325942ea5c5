import threading
import warnings
from dataclasses import dataclass, replace

import pytest

import scprism
from scprism._warnings import keeps_warnings, kept_warnings, warn, warnings_of
from scprism.errors import PrismWarning
from scprism.read.synthetic import make_cells


@dataclass(frozen=True)
class Record:
    warnings: tuple[str, ...] = ()


def test_warnings_are_noted_once_whatever_the_filters_say():
    with warnings.catch_warnings(), kept_warnings() as messages:
        warnings.simplefilter("ignore")
        for text in ("a", "b", "a"):
            warn(text)
    assert messages == ["a", "b"]


def test_nested_notes_reach_the_outer_too_and_end_with_their_block():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with kept_warnings() as outer:
            with kept_warnings() as inner:
                warn("a")
            warn("b")
        warn("c")
    assert (outer, inner) == (["a", "b"], ["a"])


def test_warnings_of_another_thread_are_not_noted():
    with warnings.catch_warnings(), kept_warnings() as messages:
        warnings.simplefilter("ignore")
        thread = threading.Thread(target=warn, args=("of another",))
        thread.start()
        thread.join()
    assert messages == []


def test_records_keep_what_was_warned_of():
    @keeps_warnings
    def first():
        warn("of both")
        return Record()

    @keeps_warnings
    def second():
        warn("of the second")
        warn("of both")
        return Record()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        records = first(), second()
    assert warnings_of(*records, None) == ["of both", "of the second"]
    assert records[1] == Record(("of the second", "of both"))


def warned(model, cells, again):
    """Return what a call warns of, and its result."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result = again(model, cells)
    return [str(entry.message) for entry in told if entry.category is PrismWarning], result


@pytest.mark.parametrize("opened", [False, True], ids=["cells", "view"])
@pytest.mark.parametrize(
    "again",
    [
        pytest.param(lambda model, cells: model.index(cells, labels="cell_type"), id="index"),
        pytest.param(lambda model, cells: scprism.adapt(model, cells, rng=0)[0], id="adapt"),
    ],
)
def test_a_model_keeps_what_was_warned_of_when_it_was_indexed_or_adapted(tmp_path, again, opened):
    cells = make_cells(rng=0)
    first = scprism.Prism(
        units="raw", genes="all", organism="human", hidden_size=8, bottleneck_size=3, max_epochs=1, rng=0
    ).fit(cells)
    model = replace(first, warnings=("of the training",))
    few = cells[:, :150].copy()
    opened_said = []
    if opened:
        opened_said, few = warned(model, few, lambda model, cells: model.view(cells))
    said, result = warned(model, few, again)
    assert any(message.startswith("Low gene coverage") for message in opened_said or said)
    assert set(result.warnings) == {"of the training", *opened_said, *said}
    result.save(tmp_path / "model")
    assert scprism.load(tmp_path / "model").warnings == result.warnings
    assert model.warnings == ("of the training",)
