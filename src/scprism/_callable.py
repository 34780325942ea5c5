"""Modules that share their name with the public function that they hold."""

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["make_callable"]


class _CallableModule(ModuleType):
    main: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.main(*args, **kwargs)


def make_callable(name: str, main: Callable[..., Any]) -> None:
    """Let the module `name` be called as `main`.

    Python binds an imported submodule to its name in the package, where it hides a function of that name. Called as the
    function, the module can be both: ``scprism.enrich(explanation, sets)`` and ``scprism.enrichment.gsea``.
    """
    module = sys.modules[name]
    module.__class__ = _CallableModule
    module.main = main  # type: ignore[attr-defined]
    module.__signature__ = inspect.signature(main)  # type: ignore[attr-defined]
