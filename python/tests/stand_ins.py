"""Stands in for packages that Olive imports and does not use on the way through an ONNX pass: torch, torchmetrics, transformers.

They weigh gigabytes. Every name in them is a class that can be inherited from, called and subscripted, and that does nothing.
A package that is installed is left alone.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any, List, Sequence

PACKAGES = ("torch", "torchmetrics", "transformers")


class _Anything(type):
    """A class whose attributes are classes of the same kind."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _made(name)

    def __getitem__(cls, key: Any) -> Any:
        return cls

    def __or__(cls, other: Any) -> Any:
        return other

    __ror__ = __or__


def _made(name: str) -> Any:
    def __init__(self: Any, *_: Any, **__: Any) -> None:
        pass

    def __call__(self: Any, *arguments: Any, **_: Any) -> Any:
        # As a decorator.
        return arguments[0] if arguments else self

    return _Anything(name, (), {"__init__": __init__, "__call__": __call__})


class _Module(ModuleType):
    __path__: List[str] = []
    __version__ = "0.0.0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = _made(name)
        setattr(self, name, found)
        return found


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = packages

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name.split(".")[0] in self.packages:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> Any:
        return _Module(spec.name)

    def exec_module(self, module: Any) -> None:
        pass


def installed() -> "list[str]":
    """Puts the stand-ins in the place of packages that are missing, and gives back which."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    sys.meta_path.append(_Finder(missing))
    return missing
