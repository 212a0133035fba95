"""Conversions."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional, Sequence, TypeVar, Union

from . import _native
from ._errors import LimitError, OptionsError
from ._metric import Figures
from ._models import source
from ._plan import Plan
from ._progress import Listening, note
from ._record import Told
from ._results import Result, told
from ._samples import CALIBRATION_SAMPLES, prepared, told_by_name
from ._types import Metric, Model, Names, Path, PlanOptions, Preprocess, Progress, Samples, listed

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._types import ConversionOptions

_T = TypeVar("_T")
_Native = Union[str, _native.Spool, None]


class Sensitivity(Told):
    """The layers that cost a conversion most, those first that gain most if they stay float.

    `.layers` has for each its `tensor`, the pattern `exclude`, and the gains `estimate` and `confirmed`, in dB with standard errors.
    """


def quantize(
    model: Model,
    samples: Optional[Samples] = None,
    *,
    precision: Optional[str] = None,
    target: Optional[str] = None,
    output: Optional[Path] = None,
    validation: Optional[Samples] = None,
    labels: Optional[Any] = None,
    validation_labels: Optional[Any] = None,
    metric: Optional[Metric] = None,
    max_metric_drop: Optional[float] = None,
    preprocess: Optional[Preprocess] = None,
    max_samples: Optional[int] = None,
    seed: int = 0,
    include: Names = (),
    exclude: Names = (),
    op_types: Names = (),
    min_elements: Optional[int] = None,
    config: Optional[Path] = None,
    weights: Optional[str] = None,
    activations: Optional[str] = None,
    granularity: Optional[str] = None,
    edges: Union[str, int, None] = None,
    symmetric_weights: Optional[bool] = None,
    symmetric_activations: Optional[bool] = None,
    full_range: bool = False,
    strict_bits: bool = False,
    compensation: Optional[str] = None,
    scales: Optional[str] = None,
    bias_correction: bool = True,
    dual: Optional[str] = None,
    dual_threshold: Optional[float] = None,
    dual_budget: Optional[str] = None,
    dual_layers: Names = (),
    dual_activations: bool = False,
    dual_spelling: Optional[str] = None,
    storage: Optional[str] = None,
    placement: Optional[str] = None,
    bias: Optional[str] = None,
    matmul_nbits: Optional[bool] = None,
    opset: Union[int, str, None] = None,
    shape: Optional[Mapping[str, Sequence[int]]] = None,
    sample_shape: Optional[Mapping[str, Sequence[int]]] = None,
    state: Optional[Mapping[str, str]] = None,
    sequence_length: Optional[int] = None,
    cross_check: Optional[str] = None,
    external_data: bool = False,
    max_drop: Optional[float] = None,
    min_agreement: Optional[float] = None,
    min_sqnr: Optional[float] = None,
    max_size: Union[int, str, None] = None,
    max_bits: Optional[float] = None,
    overwrite: bool = False,
    threads: Optional[int] = None,
    progress: Progress = None,
) -> Result:
    """Converts a float ONNX model to a low-bit one, and measures what it cost.

    The written file is read again, proven to hold what was planned, and run beside the float model on validation samples.

    Args:
        model: a path, the bytes of an ONNX file, or an ``onnx.ModelProto``. Models of 2 GB and more: a path.
        samples: what to calibrate on; a few hundred. None looks for files beside the model, as the program does.

            * a path: ``.npz``, ``.npy``, a folder of arrays, pictures or test data sets;
            * ``"generated"``: pictures or texts that fourbit makes; ``"none"``: no samples;
            * a dictionary of arrays by the names of inputs, samples along axis 0, and class indices under ``"labels"`` if any;
            * one array, for a model with one input;
            * an iterable of dictionaries, arrays, or tuples ``(inputs, labels)``: a list, a generator, a DataLoader, a ``tf.data.Dataset``;
            * an object with ``get_next()``: onnxruntime's ``CalibrationDataReader``.

            An item whose arrays have the rank of the inputs is a batch, and is cut along axis 0 (in runs of as many rows as the
            model's first dimension says, if that is a number). An item with one axis less is one sample. Iterables are read once, one
            item at a time, into a temporary file, and only as far as samples are used: `max_samples`, and as many again to judge
            on if there is no `validation`. Shuffle what is sorted.
        precision: bits of weights (w) and activations (a): ``"w4a8"`` (default), ``"w4"``, ``"w8a8"``, ``"w8"``, ``"w4a4"``, ``"w2"`` ...
        target: the runtime that the file is for; see `targets`. It sets the other defaults.
        output: the file to write. None writes beside a model that is a path; the result of a model in memory stays in memory.
        validation: what to judge on, in the forms of `samples`. None finds a file beside the model, or holds back calibration samples.
        labels: class indices of `samples`, one for each row along axis 0.
        validation_labels: the same for `validation`.
        metric: a figure of your own on the samples of `validation`, as in `validate`; it is in the result's `metric`. It changes no plan.
        max_metric_drop: the mean of `metric` may drop by this much.
        preprocess: how stored pixels become the input: ``"imagenet"``, ``"0..1"``, ``"-1..1"``, ``"0..255"``, a TOML file, or a dictionary.
            Arrays of pixels are then uint8, by default [height, width, channels].
        max_samples: calibrate on at most this many samples (default 512), chosen at random.
        seed: of every random choice. Equal seeds give equal files.
        include, exclude: patterns (``*``, ``?``) of tensor and node names: quantize only these; keep these in float.
        op_types: quantize only weights of these operators, as in ``["Conv"]``.
        min_elements: keep weights with fewer elements in float (default 16).
        config: rules for single layers, a TOML file.
        weights, activations: types, as in ``"uint4"`` or ``"float"``; they override `precision`.
        granularity: ``"tensor"``, ``"channel"`` (default) or ``"block:N"``.
        edges: bits of the first and last layers: ``4``, ``8`` or ``"float"``.
        symmetric_weights, symmetric_activations: zero point 0.
        full_range: use the full range of 8-bit weights.
        strict_bits: give all weights the bits asked for. By default single tensors get 8 bits, at most 5 % of the file.
        compensation: ``"sequential"`` (default), ``"layerwise"``, ``"scales"`` or ``"none"``.
        scales: ``"mmse"`` (default) or ``"min-max"``.
        bias_correction: correct the mean error of rounding.
        dual, dual_threshold, dual_budget, dual_layers, dual_activations, dual_spelling: a second 4-bit tensor for layers, as the options
            of the program.
        storage: ``"packed"``, ``"int8"``, ``"cast"`` or ``"bytes"``.
        placement: which activations get Q/DQ pairs: ``"inputs"`` (default), ``"joins"``, ``"outputs"`` or ``"everywhere"``.
        bias: ``"float"`` or ``"int32"``.
        matmul_nbits: write 4-bit weights of MatMul and Gemm as onnxruntime's MatMulNBits.
        opset: raise the model to this opset (default 21, or 13 by storage), or ``"keep"``.
        shape: dimensions of inputs, as in ``{"input": [1, 3, 224, 224]}``, in the written model too.
        sample_shape: dimensions of inputs in random samples only.
        state: outputs that are inputs of the next call, as in ``{"state_out": "state_in"}``.
        sequence_length: reset the state after this many calls.
        cross_check: ``"onnxruntime"`` has onnxruntime judge the file as well.
        external_data: put large tensors into a file of their own; beyond 2 GB this happens without the option.
        max_drop: lose at most this many points of top-1; needs labels. Layers get more bits until the limits are met.
        min_agreement: keep the class of the float model on at least this share of the samples, from 0 to 1.
        min_sqnr: keep the SQNR of all outputs at or above this, in dB.
        max_size: write at most this many bytes: a number, or as in ``"300kB"``.
        max_bits: use at most this many bits per parameter on average.
        overwrite: replace files that exist.
        threads: number of threads; None takes all CPUs. Results do not depend on it.
        progress: called as ``progress(stage, done, total)``, in the thread of the call; total may be None. None shows bars of tqdm if
            it is installed and standard error is a terminal; False shows nothing. Notes go to ``logging.getLogger("fourbit")``.

    Raises:
        LimitError: no plan meets the limits. The best result is in its ``result``.
        Error: a subclass of it for each kind of failure. Nothing was written then.
        KeyboardInterrupt: Ctrl-C. Nothing was written.
        Exception: what `progress` or the samples raise stops the work, and arrives unchanged.
    """
    asked = dict(locals())
    given = {name: value for name in _OF_THE_FILE if (value := asked.pop(name)) is not None}
    for name in ("model", "metric", "max_metric_drop"):
        del asked[name]
    if metric is not None and validation is None:
        raise OptionsError("metric= needs validation=: the samples that it is taken on")
    if max_metric_drop is not None and metric is None:
        raise OptionsError("max_metric_drop= limits what metric= finds, and there is none")
    found = source(model)
    in_memory = output is None and isinstance(found, bytes)
    given.update(_limits(asked))

    def work(options: str, calibration: _Native, judging: _Native, listener: Any) -> Result:
        result = Result(_native.quantize(found, options, calibration, judging, in_memory, listener, note))
        if metric is not None:
            figures = Figures(metric)
            kept = {name: value for name, value in json.loads(options).items() if name in _OF_COMPARISONS}
            written = result.model if result.path is None else str(result.path)
            _native.validate(found, written, json.dumps(kept), judging, listener, note, figures)
            result.metric = figures.found()
            result._max_metric_drop = max_metric_drop
        return result

    result = _with_samples(found, asked, given, work)
    if result.missed:
        error = LimitError(f"limits are not met, and the best that was found is written: {'; '.join(result.missed)}")
        error.result = result
        error.file = None if result.path is None else str(result.path)
        raise error
    return result


def plan(
    model: Model,
    samples: Optional[Samples] = None,
    **options: Unpack[PlanOptions],
) -> Plan:
    """Decides on everything, and writes nothing. The plan can be looked at, edited, saved, and applied.

    Args:
        model, samples, options: as in `quantize`, without what concerns the written file.
    """
    asked: Dict[str, Any] = {**options, "samples": samples}
    found = source(model)

    def work(text: str, calibration: _Native, judging: _Native, listener: Any) -> str:
        return _native.plan(found, text, calibration, judging, listener, note)

    given = _limits(asked)
    return Plan(json.loads(_with_samples(found, asked, given, work)))


def sensitivity(
    model: Model,
    samples: Optional[Samples] = None,
    *,
    measure: Optional[int] = None,
    layers: Optional[int] = None,
    **options: Unpack[ConversionOptions],
) -> Sensitivity:
    """Finds the layers that gain most if they stay float. No model is written.

    Args:
        model, samples, options: as in `quantize`, without limits and what concerns the written file.
        measure: estimate on at most this many validation samples; 8 at least.
        layers: estimate the gain of this many layers, those that promise most.
    """
    asked: Dict[str, Any] = {**options, "samples": samples}
    found = source(model)

    def work(text: str, calibration: _Native, judging: _Native, listener: Any) -> _native.Told:
        return _native.sensitivity(found, text, calibration, judging, measure, layers, listener, note)

    return told(Sensitivity, _with_samples(found, asked, {}, work))


_PLAIN = (
    "precision",
    "target",
    "max_samples",
    "seed",
    "min_elements",
    "weights",
    "activations",
    "granularity",
    "symmetric_weights",
    "symmetric_activations",
    "full_range",
    "strict_bits",
    "compensation",
    "scales",
    "bias_correction",
    "dual",
    "dual_threshold",
    "dual_budget",
    "dual_activations",
    "dual_spelling",
    "storage",
    "placement",
    "bias",
    "matmul_nbits",
    "sequence_length",
    "threads",
)
_LISTS = ("include", "exclude", "op_types", "dual_layers")
_TEXTS = ("edges", "opset")
_LIMITS = ("max_drop", "min_agreement", "min_sqnr", "max_size", "max_bits")
_OF_THE_FILE = ("output", "overwrite", "external_data", "cross_check")
#: Options of a conversion that a comparison has too.
_OF_COMPARISONS = ("seed", "sample_shape", "state", "sequence_length", "preprocess", "threads")
#: What does not become an option of the native module.
_BESIDE = ("samples", "validation", "labels", "validation_labels", "progress")
_REST = ("config", "preprocess", "shape", "sample_shape", "state")


def _limits(asked: Dict[str, Any]) -> Dict[str, Any]:
    """The limits, taken out of `asked`."""
    found = {name: value for name in _LIMITS if (value := asked.pop(name, None)) is not None}
    if "max_size" in found:
        found["max_size"] = str(found["max_size"])
    return found


def chosen(asked: Mapping[str, Any]) -> Dict[str, Any]:
    """The options as the native module reads them."""
    known = {*_PLAIN, *_LISTS, *_TEXTS, *_BESIDE, *_REST}
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    found = {name: asked[name] for name in _PLAIN if asked.get(name) is not None}
    found.update((name, str(asked[name])) for name in _TEXTS if asked.get(name) is not None)
    found.update((name, listed(asked[name])) for name in _LISTS if asked.get(name))
    if asked.get("config") is not None:
        found["config"] = os.fspath(asked["config"])
    if asked.get("preprocess") is not None:
        found["preprocess"] = pictures(asked["preprocess"])
    for name in ("shape", "sample_shape"):
        found[name] = [[key, [int(size) for size in dims]] for key, dims in (asked.get(name) or {}).items()]
    found["state"] = [list(pair) for pair in (asked.get("state") or {}).items()]
    return found


def pictures(preprocess: Preprocess) -> Dict[str, Any]:
    """A preset, a file, or a dictionary, as the native module reads it."""
    if not isinstance(preprocess, Mapping):
        return {"base": os.fspath(preprocess)}
    found: Dict[str, Any] = dict(preprocess)
    if "base" in found:
        found["base"] = os.fspath(found["base"])
    for name in ("mean", "std"):
        if name in found:
            numbers: Any = found[name]
            found[name] = [float(number) for number in (numbers if hasattr(numbers, "__iter__") else [numbers])]
    if "resize" in found:
        sides: Any = found["resize"]
        found["resize"] = [int(side) for side in (sides if hasattr(sides, "__iter__") else [sides])]
    return found


def _with_samples(
    model: Union[str, bytes], asked: Mapping[str, Any], given: Mapping[str, Any], work: Callable[[str, _Native, _Native, Any], _T]
) -> _T:
    """`work` with options and samples in the forms of the native module."""
    options = json.dumps({**chosen(asked), **given}, default=os.fspath)
    validation, most = asked.get("validation"), asked.get("max_samples") or CALIBRATION_SAMPLES
    with ExitStack() as stack:
        common: Any = {"preprocess": asked.get("preprocess") is not None, "shapes": asked.get("shape"), "state": asked.get("state")}
        calibration = prepared(
            asked.get("samples"),
            model,
            stack,
            argument="samples",
            labels=asked.get("labels"),
            # Where nothing else judges, as many again do.
            most=most if validation is not None else 2 * most,
            **common,
        )
        judging = prepared(
            validation, model, stack, argument="validation", labels=asked.get("validation_labels"), most=None, **common
        )
        with told_by_name(), Listening(asked.get("progress")) as listener:
            return work(options, calibration, judging, listener)
