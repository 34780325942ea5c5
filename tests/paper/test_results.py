from pathlib import Path

import pytest

from scprism.paper import results
from scprism.paper.experiments import label_transfer
from scprism.paper.results import PACKAGE, Result, ResultStore, code_files, code_version


@pytest.fixture
def store(tmp_path):
    return ResultStore(tmp_path / "results.sqlite")


def test_a_result_is_found_by_all_that_it_was_computed_from_and_by_nothing_less(store):
    store.keep(Result([{"f1": 0.5}], 2.0), "scores", {"seed": 1}, data=["abc"], version="1")
    assert store.find("scores", {"seed": 1}, data=["abc"], version="1").rows == [{"f1": 0.5}]
    assert store.find("others", {"seed": 1}, data=["abc"], version="1") is None
    assert store.find("scores", {"seed": 2}, data=["abc"], version="1") is None
    assert store.find("scores", {"seed": 1}, data=["abd"], version="1") is None
    assert store.find("scores", {"seed": 1}, data=["abc"], version="2") is None


def test_results_of_other_code_are_counted(store):
    for seed, version in ((0, "old"), (0, "new"), (1, "new")):
        store.keep(Result([{"f1": 0.0}], 1.0), "scores", {"seed": seed}, data=[], version=version)
    assert store.n_of_other_versions("scores", version="new") == 1
    assert store.n_of_other_versions("others", version="new") == 0
    assert store.seconds() == 3.0


def test_results_are_there_for_the_next_process(tmp_path):
    first = ResultStore(tmp_path / "results.sqlite")
    first.keep(Result([], 0.0, "refused"), "scores", {}, data=[], version="1")
    assert ResultStore(tmp_path / "results.sqlite").find("scores", {}, data=[], version="1").message == "refused"


@pytest.fixture
def module(tmp_path):
    def written(value, *, remark="", helper="1"):
        (tmp_path / "helper.py").write_text(f"NUMBER = {helper}\n")
        main = tmp_path / f"main{len(list(tmp_path.glob('main*')))}.py"
        main.write_text(f'"""{remark}"""\nfrom helper import NUMBER\n\nvalue = {value}\n')
        # the hash of a file is kept while a process runs
        for kept in (code_version, results._imports, results._code_hash):
            kept.cache_clear()
        return code_version(main)

    return written


def test_code_is_another_when_it_or_what_it_imports_computes_something_else(module):
    first = module("2")
    assert module("2", remark="said otherwise") == first
    assert module("3") != first
    assert module("2", helper="5") != first


SAYING = """
import logging

logger = logging.getLogger("scprism")

def checked(value):
    if value {limit}:
        msg = f"{said} {{value}}"
        raise ValueError(msg)
    if value == 2:
        warn("{said}")
    logger.info("{said} %s", value)
    return value
"""


def test_what_is_said_in_errors_warnings_and_the_log_computes_nothing(tmp_path):
    def version(name, **words):
        (tmp_path / name).write_text(SAYING.format(**words))
        return code_version(tmp_path / name)

    first = version("a.py", limit="< 0", said="It must not be negative, got")
    assert version("b.py", limit="< 0", said="Negative:") == first
    assert version("c.py", limit="< 1", said="Negative:") != first


def test_what_an_experiment_imports_counts_but_not_what_draws_or_writes():
    found = {path.relative_to(PACKAGE).as_posix() for path in code_files(Path(label_transfer.__file__))}
    assert {"train/fit.py", "prepare/normalise.py", "paper/measures/knn.py", "paper/networks.py"} <= found
    assert not {"report/palette.py", "paper/section.py", "paper/plan.py", "model/presets.py"} & found
