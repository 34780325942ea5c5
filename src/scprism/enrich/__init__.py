"""enrich: which gene sets the explanations form, against an honest null.

``scprism.enrich`` is this step and, called, its main function: ``scprism.enrich(explanation, sets)`` is
`scprism.enrich.pathways.enrich`.
"""

import inspect
import sys
from types import ModuleType
from typing import Any

import pandas as pd

from scprism.enrich import pathways


class _CallableStep(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> pd.DataFrame:
        return pathways.enrich(*args, **kwargs)


__signature__ = inspect.signature(pathways.enrich)
sys.modules[__name__].__class__ = _CallableStep
