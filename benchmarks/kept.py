"""What benchmarks keep: results, so that an interrupted one goes on, and trained models, so that none is trained twice.

A result is found again if its settings, the data and the code that computed it are the same (`scprism.paper.results`).
"""

import argparse
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd
from anndata import AnnData

import scprism
from scprism.model.presets import preset_config
from scprism.paper.results import PACKAGE, Result, ResultStore, Rows, code_version, file_fingerprint

__all__ = ["Kept", "Settings", "add_store_options", "kept_model"]

Settings = Mapping[str, object]


def add_store_options(parser: argparse.ArgumentParser) -> None:
    """Add --data, --store, --minutes and --table."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=beside, help="folder of the h5ad files")
    parser.add_argument("--store", type=Path, default=Path("benchmarks.sqlite"), help="file of results so far")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin nothing after so many; run again to go on")
    parser.add_argument("--table", action="store_true", help="print what is there; compute nothing")


class Kept:
    """The results of one benchmark.

    Parameters
    ----------
    name
        Of the benchmark in the store.
    file
        Its ``__file__``, whose code and imports are part of the results' version.
    options
        Of `add_store_options`.
    """

    def __init__(self, name: str, file: str, options: argparse.Namespace) -> None:
        self.name, self.options = name, options
        self.store = ResultStore(options.store)
        presets = repr([preset_config(preset) for preset in ("default", "paper")])
        self.version = f"{code_version(Path(file))} {hashlib.sha256(presets.encode()).hexdigest()[:8]}"

    def rows(
        self, asked: Iterable[Settings], files: Callable[[Settings], list[str]], compute: Callable[[Settings], Rows]
    ) -> pd.DataFrame:
        """Return the rows of all settings asked for, settings beside them, computed as far as they are not there.

        Parameters
        ----------
        asked
            Settings, as JSON can hold them.
        files
            Names of the h5ad files that some settings need.
        compute
            Makes their rows.
        """
        stop, found, late = time.monotonic() + 60 * self.options.minutes, [], 0
        for settings in asked:
            data = [file_fingerprint(self.options.data / f"{name}.h5ad") for name in files(settings)]
            result = self.store.find(self.name, settings, data=data, version=self.version)
            if result is None and (self.options.table or time.monotonic() > stop):
                late += 1
                continue
            if result is None:
                start = time.perf_counter()
                rows = compute(settings)
                result = Result(rows, time.perf_counter() - start)
                self.store.keep(result, self.name, settings, data=data, version=self.version)
                print(f"{' '.join(map(str, settings.values()))}: {result.seconds:.0f} s", flush=True)
            found += [{**settings, **row} for row in result.rows]
        if late:
            print(f"{late} results are not there yet: run again to go on.")
        if others := self.store.n_of_other_versions(self.name, version=self.version):
            print(f"{others} results in {self.options.store} are of another version of the code and left out.")
        return pd.DataFrame(found)


def kept_model(folder: Path, name: str, cells: AnnData, *, seed: int) -> scprism.Prism:
    """Return the default model of some cells, trained unless it is in the folder under a `name` of its own."""
    version = f"{code_version(PACKAGE / 'train' / 'fit.py')} {preset_config('default')!r}"
    path = folder / f"{name}-{seed}-{hashlib.sha256(version.encode()).hexdigest()[:12]}"
    if not path.exists():
        scprism.Prism(rng=seed, device="cpu").fit(cells).save(path)
    return scprism.load(path)
