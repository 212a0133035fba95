"""Turns trained float ONNX models into low-bit ones without retraining, and measures what that cost.

    import fourbit

    result = fourbit.quantize("net.onnx", "calib.npz", validation="test.npz")
    print(result.text)

The functions take models as paths, bytes or ``onnx.ModelProto``; samples as files, arrays, or anything that can be iterated.
The guide is docs/guide/python.md of the repository.
"""

from ._compare import Validation, validate
from ._convert import Sensitivity, plan, quantize, sensitivity
from ._errors import (
    CancelledError,
    Error,
    FileError,
    LimitError,
    ModelError,
    NothingQuantizedError,
    OptionsError,
    PlanError,
    RemoteError,
    RunError,
    SamplesError,
    SelfCheckError,
)
from ._look import Checked, Inspection, check, inspect, targets
from ._native import version as _version
from ._plan import Applied, Plan
from ._record import Record
from ._results import Result

__version__: str = _version()

__all__ = [
    "Applied",
    "CancelledError",
    "Checked",
    "Error",
    "FileError",
    "Inspection",
    "LimitError",
    "ModelError",
    "NothingQuantizedError",
    "OptionsError",
    "Plan",
    "PlanError",
    "Record",
    "RemoteError",
    "Result",
    "RunError",
    "SamplesError",
    "SelfCheckError",
    "Sensitivity",
    "Validation",
    "check",
    "inspect",
    "plan",
    "quantize",
    "sensitivity",
    "targets",
    "validate",
]
