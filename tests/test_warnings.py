import threading
import warnings
from dataclasses import dataclass

from scprism._warnings import keeps_warnings, kept_warnings, warn, warnings_of


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
