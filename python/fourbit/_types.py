"""What the functions take."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Mapping, Optional, Protocol, Sequence, TypedDict, Union

if TYPE_CHECKING:
    import numpy  # noqa: F401
    from typing_extensions import TypeAlias


class Serializable(Protocol):
    """An ``onnx.ModelProto``."""

    def SerializeToString(self) -> bytes: ...


class DataReader(Protocol):
    """onnxruntime's CalibrationDataReader: a dictionary of arrays for each call, and None at the end."""

    def get_next(self) -> Any: ...


Path: TypeAlias = "Union[str, os.PathLike[str]]"
Model: TypeAlias = "Union[Path, bytes, Serializable]"
#: A path, "generated", "none", arrays, or what gives samples one after another.
Samples: TypeAlias = "Union[Path, Mapping[str, Any], Iterable[Any], DataReader, Any]"
#: Called as listener(stage, done, total); total is None if the length is not known.
Listener: TypeAlias = "Callable[[str, int, Optional[int]], object]"
Progress: TypeAlias = "Union[Listener, bool, None]"
#: Called as metric(outputs, labels): arrays of float32 by the names of outputs, and class indices or None. More is better.
Metric: TypeAlias = "Callable[[Dict[str, numpy.ndarray[Any, Any]], Optional[numpy.ndarray[Any, Any]]], float]"
Names: TypeAlias = "Union[str, Sequence[str]]"


class Pictures(TypedDict, total=False):
    """How stored pixels become the input, as a dictionary: value = (pixel / divide_by - mean) / std."""

    #: A preset ("imagenet", "0..1", "-1..1", "0..255") or a TOML file that the others change.
    base: str
    divide_by: float
    mean: Union[float, Sequence[float]]
    std: Union[float, Sequence[float]]
    #: A side, or (height, width).
    resize: Union[int, Sequence[int]]
    #: The side of a square cut from the middle.
    crop: int


Preprocess: TypeAlias = "Union[Path, Pictures]"


class ConversionOptions(TypedDict, total=False):
    """The options of a conversion that `quantize`, `plan` and `sensitivity` share; `quantize` documents them."""

    precision: Optional[str]
    target: Optional[str]
    validation: Optional[Samples]
    labels: Optional[Any]
    validation_labels: Optional[Any]
    preprocess: Optional[Preprocess]
    max_samples: Optional[int]
    seed: int
    include: Names
    exclude: Names
    op_types: Names
    min_elements: Optional[int]
    config: Optional[Path]
    weights: Optional[str]
    activations: Optional[str]
    granularity: Optional[str]
    edges: Union[str, int, None]
    symmetric_weights: Optional[bool]
    symmetric_activations: Optional[bool]
    full_range: bool
    strict_bits: bool
    compensation: Optional[str]
    scales: Optional[str]
    bias_correction: bool
    dual: Optional[str]
    dual_threshold: Optional[float]
    dual_budget: Optional[str]
    dual_layers: Names
    dual_activations: bool
    dual_spelling: Optional[str]
    storage: Optional[str]
    placement: Optional[str]
    bias: Optional[str]
    matmul_nbits: Optional[bool]
    opset: Union[int, str, None]
    shape: Optional[Mapping[str, Sequence[int]]]
    sample_shape: Optional[Mapping[str, Sequence[int]]]
    state: Optional[Mapping[str, str]]
    sequence_length: Optional[int]
    threads: Optional[int]
    progress: Progress


class PlanOptions(ConversionOptions, total=False):
    """The options of `plan`: also limits."""

    max_drop: Optional[float]
    min_agreement: Optional[float]
    min_sqnr: Optional[float]
    max_size: Union[int, str, None]
    max_bits: Optional[float]


def listed(names: Names) -> "list[str]":
    """One name, or several."""
    return [names] if isinstance(names, str) else list(names)


if sys.version_info < (3, 9):  # pragma: no cover
    raise ImportError("fourbit needs Python 3.9 or newer")
