"""Tables 1, 3 and 4 of the paper from Tabula Muris' annotations and cells, beside what the paper prints.

python benchmarks/paper_tables.py --annotations ../shared/data/tabula_muris_annotations.csv.gz
    [--kidney ../shared/data/tm_facs_kidney.h5ad]
"""

import argparse
from pathlib import Path

import anndata
import pandas as pd

from scprism.evaluate.experiments.overlap import shared_types, shared_types_summary
from scprism.evaluate.experiments.table1 import cell_counts, table1_rows
from scprism.model.presets import preset_config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--kidney", type=Path)
    arguments = parser.parse_args()
    annotations = pd.read_csv(arguments.annotations, dtype=str)
    table = shared_types(annotations)
    differs = table[~table["same"]].drop(columns=["both", "same"])
    print("Where Tables 3 and 4 differ\n")
    print(differs.to_string(index=False))
    print("\nHow often they agree\n")
    print(shared_types_summary(table).to_string(index=False))
    print("\nAnnotated cells\n")
    print(cell_counts(annotations).to_string(index=False))
    if arguments.kidney is not None:
        kidney = anndata.read_h5ad(arguments.kidney)
        print("\nTable 1, kidney, Smart-seq2\n")
        for preset in ("paper", "as_released"):
            rows = table1_rows(kidney, tissue="Kidney", platform="facs", config=preset_config(preset))
            print(rows.assign(preset=preset).to_string(index=False))


if __name__ == "__main__":
    main()
