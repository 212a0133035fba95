"""Stands in for ``onnxruntime.quantization``: the same functions with the same arguments, and fourbit's files.

    from fourbit.onnxruntime import QuantType, quantize_static

    quantize_static("net.onnx", "net.w4a8.onnx", reader, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt4, per_channel=True)

onnxruntime itself is not needed. Where a program has it, its enumerators and readers are taken too. Arguments that have no meaning
here are warned about, with an `ArgumentWarning` that says why. ``extra_options={"fourbit": {...}}`` passes arguments of
`fourbit.quantize`, which override what the others say.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from . import _ort_options as options
from ._bridge import ArgumentWarning, ignored, word
from ._convert import quantize as convert
from ._errors import OptionsError
from ._results import Result
from ._types import Model

__all__ = [
    "ArgumentWarning",
    "CalibrationDataReader",
    "CalibrationMethod",
    "QuantFormat",
    "QuantType",
    "quantize",
    "quantize_dynamic",
    "quantize_static",
]

_Place = Union[str, "os.PathLike[str]"]
_Names = Optional[Sequence[str]]
_Extra = Optional[Mapping[str, Any]]


class QuantType(Enum):
    """Element types, with the names of onnxruntime's enumerators."""

    QInt8 = 0
    QUInt8 = 1
    QFLOAT8E4M3FN = 2
    QInt16 = 3
    QUInt16 = 4
    QInt4 = 5
    QUInt4 = 6


class QuantFormat(Enum):
    """How quantized layers are written, with the names of onnxruntime's enumerators. fourbit writes Q/DQ pairs."""

    QOperator = 0
    QDQ = 1


class CalibrationMethod(Enum):
    """How onnxruntime chooses ranges. fourbit chooses scales of least squared error, whatever is asked for."""

    MinMax = 0
    Entropy = 1
    Percentile = 2
    Distribution = 3


class CalibrationDataReader:
    """A source of calibration samples; a class with ``get_next`` need not inherit from it."""

    def get_next(self) -> Any:
        """A dictionary of arrays by the names of inputs, or None at the end."""
        raise NotImplementedError

    def __iter__(self) -> CalibrationDataReader:
        return self

    def __next__(self) -> Any:
        found = self.get_next()
        if found is None:
            raise StopIteration
        return found


def quantize_static(
    model_input: Model,
    model_output: _Place,
    calibration_data_reader: Any = None,
    quant_format: Any = QuantFormat.QDQ,
    op_types_to_quantize: _Names = None,
    per_channel: bool = False,
    reduce_range: bool = False,
    activation_type: Any = QuantType.QInt8,
    weight_type: Any = QuantType.QInt8,
    nodes_to_quantize: _Names = None,
    nodes_to_exclude: _Names = None,
    use_external_data_format: bool = False,
    calibrate_method: Any = CalibrationMethod.MinMax,
    calibration_providers: _Names = None,
    extra_options: _Extra = None,
    calibration_cache_path: Optional[_Place] = None,
) -> Result:
    """Quantizes weights and activations, and writes the file `model_output`, which is replaced if it exists.

    The arguments are those of onnxruntime 1.32, in their order. What differs:

    Args:
        model_input: a path, an ``onnx.ModelProto``, or the bytes of a file.
        model_output: the file to write; large tensors go to a file beside it named ``model_output + ".data"``.
        calibration_data_reader: an object with ``get_next()``, or any samples that `fourbit.quantize` takes.
        quant_format: the file has Q/DQ pairs in any case. onnxruntime makes the same integer kernels of them.
        op_types_to_quantize: only operators with weights count: what activations get pairs follows from the layers.
        per_channel: False gives one scale per tensor, as there. With 4-bit weights that costs accuracy, and is warned about.
        reduce_range: 8-bit weights are held to a range that cannot overflow in any case; ``extra_options={"fourbit":
            {"full_range": True}}`` uses all codes.
        activation_type: 8-bit types give a file for onnxruntime's integer kernels. `QInt8` is written as UINT8, which has the same
            values and faster kernels, unless ``ActivationSymmetric`` is set or a target named.
        weight_type: ``QInt4`` and ``QUInt4`` give 4-bit weights, ``QInt8`` and ``QUInt8`` 8-bit ones.
        nodes_to_quantize, nodes_to_exclude: names of nodes.
        calibrate_method, calibration_providers, calibration_cache_path: have no effect.
        extra_options: ``ActivationSymmetric``, ``WeightSymmetric``, ``QuantizeBias`` and ``BlockSize`` count. Under ``"fourbit"``
            arguments of `fourbit.quantize`, such as ``target``, ``storage``, ``max_drop``, ``preprocess``.

    Returns:
        What came of it, where onnxruntime returns None.

    Raises:
        ValueError: types that cannot be written, and no reader, as there.
        fourbit.Error: as `fourbit.quantize`.
    """
    if calibration_data_reader is None:
        if calibration_cache_path is not None and Path(calibration_cache_path).is_file():
            raise OptionsError("calibration_cache_path holds onnxruntime's ranges; fourbit needs the samples: give calibration_data_reader")
        raise ValueError("Either calibration_data_reader or an existing calibration_cache_path must be provided.")
    if calibration_cache_path is not None:
        ignored("calibration_cache_path", "it works from the samples, not from ranges of activations", 2)
    if word(quant_format) != "QDQ":
        ignored(f"quant_format={word(quant_format)}", "it writes Q/DQ pairs, which onnxruntime fuses into the same operators", 2)
    if word(calibrate_method) != "MinMax":
        ignored(f"calibrate_method={word(calibrate_method)}", "scales are those of least squared error", 2)
    if any(str(provider) != "CPUExecutionProvider" for provider in calibration_providers or ()):
        ignored("calibration_providers", "calibration runs in the runtime that is built in, on the CPU", 2)
    with ExitStack() as stack:
        chosen: Dict[str, Any] = {"granularity": "channel" if per_channel else "tensor"}
        chosen.update(options.of_activations(activation_type, extra_options))
        chosen.update(options.of_weights(weight_type, stack))
        chosen.update(options.of_layers(model_input, op_types_to_quantize, nodes_to_quantize, nodes_to_exclude))
        chosen.update(options.of_extras(extra_options, dynamic=False))
        options.doubts(weight_type, per_channel, chosen)
        return _written(model_input, model_output, calibration_data_reader, use_external_data_format, chosen)


def quantize_dynamic(
    model_input: Model,
    model_output: _Place,
    op_types_to_quantize: _Names = None,
    per_channel: bool = False,
    reduce_range: bool = False,
    weight_type: Any = QuantType.QInt8,
    nodes_to_quantize: _Names = None,
    nodes_to_exclude: _Names = None,
    use_external_data_format: bool = False,
    extra_options: _Extra = None,
) -> Result:
    """Quantizes weights only, and writes the file `model_output`, which is replaced if it exists.

    onnxruntime's function also has activations quantized while the model runs. Here they stay float: the file is as small, and
    nothing is lost to activations. The arguments are those of onnxruntime 1.32, in their order; see `quantize_static`.
    """
    with ExitStack() as stack:
        chosen: Dict[str, Any] = {
            "granularity": "channel" if per_channel else "tensor",
            "activations": "float",
            "target": "ort-cpu",
        }
        chosen.update(options.of_weights(weight_type, stack))
        chosen.update(options.of_layers(model_input, op_types_to_quantize, nodes_to_quantize, nodes_to_exclude))
        chosen.update(options.of_extras(extra_options, dynamic=True))
        options.doubts(weight_type, per_channel, chosen)
        return _written(model_input, model_output, None, use_external_data_format, chosen)


def quantize(model_input: Model, model_output: _Place, quant_config: Any) -> Result:
    """Quantizes as a configuration says: onnxruntime's StaticQuantConfig, DynamicQuantConfig, or a weight-only configuration with
    ``block_size``. Objects with the same fields are taken too."""
    fields = vars(quant_config)
    shared = {
        name: fields.get(name)
        for name in ("op_types_to_quantize", "nodes_to_quantize", "nodes_to_exclude", "per_channel", "reduce_range")
        if name in fields
    }
    more = {
        name: fields[name] for name in ("weight_type", "use_external_data_format", "extra_options") if name in fields
    }
    if "block_size" in fields or "algorithm" in fields:
        return _blocks(model_input, model_output, fields)
    if "calibration_data_reader" in fields:
        static = ("calibration_data_reader", "calibrate_method", "quant_format", "activation_type", "calibration_providers")
        more.update((name, fields[name]) for name in static if name in fields)
        return quantize_static(model_input, model_output, **shared, **more)
    if "weight_type" in fields:
        return quantize_dynamic(model_input, model_output, **shared, **more)
    raise TypeError(f"a configuration has weight_type or block_size; {type(quant_config).__name__} has neither")


def _blocks(model_input: Model, model_output: _Place, fields: Mapping[str, Any]) -> Result:
    """Weights of MatMul in blocks, as onnxruntime's MatMulNBitsQuantizer writes them."""
    if str(fields.get("algorithm", "DEFAULT")).upper() != "DEFAULT":
        ignored(f"algorithm {fields['algorithm']}", "it has one of its own, which compensates for rounding errors")
    if fields.get("customized_weight_config"):
        ignored("customized_weight_config", 'give rules for layers: fourbit.quantize(config="rules.toml")')
    if fields.get("accuracy_level") is not None:
        ignored("accuracy_level", "set session.qdq_matmulnbits_accuracy_level where the model is run")
    whole = word(fields.get("quant_format", "QOperator")) == "QOperator"
    chosen: Dict[str, Any] = {
        "granularity": f"block:{int(fields.get('block_size', 128))}",
        "activations": "float",
        "weights": f"int{int(fields.get('bits', 4))}" if fields.get("is_symmetric") else f"uint{int(fields.get('bits', 4))}",
        "target": "ort-cpu" if whole else "generic",
        "matmul_nbits": whole,
    }
    if chosen["weights"] == "uint8":
        chosen["weights"] = "int8"
    excluded = fields.get("nodes_to_exclude")
    chosen.update(options.of_layers(model_input, sorted(fields.get("op_types_to_quantize") or ["MatMul"]), None, excluded))
    return _written(model_input, model_output, fields.get("calibration_data_reader"), False, chosen)


def _written(model: Model, output: _Place, samples: Any, external: bool, chosen: Mapping[str, Any]) -> Result:
    """The conversion; a model may be replaced by its own conversion, as onnxruntime allows."""
    place = os.fspath(output)
    arguments: Dict[str, Any] = {"external_data": bool(external), "overwrite": True, "progress": False, **chosen}
    if not (isinstance(model, (str, os.PathLike)) and os.path.exists(place) and os.path.samefile(model, place)):
        return convert(model, samples, output=place, **arguments)
    with tempfile.TemporaryDirectory(prefix="fourbit-", dir=os.path.dirname(os.path.abspath(place))) as folder:
        beside = os.path.join(folder, os.path.basename(place))
        result = convert(model, samples, output=beside, **arguments)
        moved: List[str] = sorted(os.listdir(folder), key=lambda name: name == os.path.basename(place))
        for name in moved:
            os.replace(os.path.join(folder, name), os.path.join(os.path.dirname(os.path.abspath(place)), name))
    result.report._data["output"] = place
    return result
