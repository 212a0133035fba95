"""Looks at models."""

from __future__ import annotations

import json
from typing import List

from . import _native
from ._models import source
from ._record import Record, Told
from ._results import told
from ._types import Model
from ._words import all_spelled


class Inspection(Told):
    """What is in a model: `.inputs`, `.outputs`, `.operators`, `.sites` (what can be quantized), `.skips` (what cannot, and why)."""


class Checked(Told):
    """What a target does not take of a model."""

    #: Whether the target takes the model, perhaps with layers that run in float.
    accepted: bool = False


def inspect(model: Model) -> Inspection:
    """What is in a model, what of it can be quantized, and what stands in the way."""
    return told(Inspection, _native.inspect(source(model)))


def check(model: Model, target: str = "generic") -> Checked:
    """What a runtime will not take of a model, node by node. The model may be made by fourbit or not.

    Args:
        model: a path, bytes, or an ``onnx.ModelProto``.
        target: a name that `targets` lists.
    """
    native, objects = _native.check(source(model), target)
    found = told(Checked, native)
    found.accepted = not objects
    return found


def targets() -> List[Record]:
    """The runtimes that `target=` knows, and what each takes."""
    found = all_spelled(json.loads(_native.targets()[0]))
    return [Record(one) for one in found["targets"]]
