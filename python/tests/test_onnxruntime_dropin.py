"""fourbit.onnxruntime in the place of onnxruntime.quantization."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest
from bridges import DIGITS, RESNET, judged, needed, samples, stored

needed("onnx")
needed("onnxruntime")

import onnx  # noqa: E402
import onnxruntime.quantization as theirs  # noqa: E402
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig  # noqa: E402

import fourbit  # noqa: E402
import fourbit.onnxruntime as ours  # noqa: E402

FLOAT_TOP1 = 0.9
#: Few generated pictures, where their number does not matter.
QUICK = {"fourbit": {"max_samples": 16}}


class Reader(theirs.CalibrationDataReader):  # type: ignore[misc]
    """onnxruntime's own class, as programs write it."""

    def __init__(self, model: Path = RESNET, count: int = 32, batch: int = 8) -> None:
        given = samples(model, count)
        given.pop("labels", None)
        self.batches = [{name: rows[at : at + batch] for name, rows in given.items()} for at in range(0, count, batch)]

    def get_next(self) -> Any:
        return self.batches.pop(0) if self.batches else None


def warned(call: Any) -> List[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    assert all(one.category is ours.ArgumentWarning and one.filename == __file__ for one in found), found
    return [str(one.message) for one in found]


@pytest.mark.parametrize("name", ["quantize_static", "quantize_dynamic", "quantize"])
def test_arguments_are_those_of_onnxruntime(name: str) -> None:
    mine, other = (inspect.signature(getattr(module, name)).parameters for module in (ours, theirs))
    assert list(mine) == list(other)
    for key, parameter in mine.items():
        assert parameter.kind == other[key].kind
        default, expected = (getattr(value, "name", value) for value in (parameter.default, other[key].default))
        assert default == expected, key


@pytest.mark.parametrize("name", ["QuantType", "QuantFormat", "CalibrationMethod"])
def test_enumerators_are_those_of_onnxruntime(name: str) -> None:
    mine, other = getattr(ours, name), getattr(theirs, name)
    assert [(one.name, one.value) for one in mine] == [(one.name, one.value) for one in other]


def test_a_program_changes_its_import_only(tmp_path: Path) -> None:
    arguments: Dict[str, Any] = {
        "per_channel": True,
        "activation_type": theirs.QuantType.QUInt8,
        "weight_type": theirs.QuantType.QInt4,
    }
    for module in (ours, theirs):
        place = tmp_path / f"{module.__name__}.onnx"
        assert not place.exists()
        module.quantize_static(RESNET, place, Reader(), **arguments)
    top1 = {module.__name__: judged(tmp_path / f"{module.__name__}.onnx") for module in (ours, theirs)}
    assert top1["fourbit.onnxruntime"] > judged(RESNET) - 0.03
    assert top1["fourbit.onnxruntime"] >= top1["onnxruntime.quantization"] - 0.01, top1


@pytest.mark.parametrize(
    "weights, bits, most",
    [("QInt4", 4, 15), ("QUInt4", 4, 15), ("QInt8", 8, 255), ("QUInt8", 8, 255)],
)
@pytest.mark.parametrize("activations", ["QUInt8", "QInt8"])
def test_types(weights: str, bits: int, most: int, activations: str, tmp_path: Path) -> None:
    if (activations, weights) == ("QInt8", "QUInt8"):
        pytest.skip("onnxruntime refuses this pair")
    place = tmp_path / "out.onnx"
    result = ours.quantize_static(
        str(RESNET),
        str(place),
        Reader(),
        per_channel=True,
        weight_type=ours.QuantType[weights],
        activation_type=ours.QuantType[activations],
    )
    assert {layer.bits for layer in result.layers if layer.kind == "weight"} == {bits}
    assert {layer.bits for layer in result.layers if layer.kind == "activation"} == {8}
    unsigned = [layer for layer in result.layers if layer.kind == "weight" and "uint" in str(layer.terms).lower()]
    assert bool(unsigned) == weights.startswith("QU"), result.layers[0]
    assert place.stat().st_size < RESNET.stat().st_size * (0.35 if bits == 4 else 0.5)
    assert judged(place) > judged(RESNET) - 0.03


def test_integer_kernels_run(tmp_path: Path) -> None:
    import onnxruntime

    for kind in ("QUInt8", "QInt8"):
        place, seen = tmp_path / f"{kind}.onnx", tmp_path / f"{kind}.seen.onnx"
        ours.quantize_static(RESNET, place, Reader(), per_channel=True, activation_type=ours.QuantType[kind])
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(seen)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(place), options, providers=["CPUExecutionProvider"])
        operators, _ = stored(seen)
        assert operators.get("QLinearConv", 0) > 5 and "Conv" not in operators, (kind, operators)


def test_defaults_warn_of_nothing(tmp_path: Path) -> None:
    assert warned(lambda: ours.quantize_static(RESNET, tmp_path / "a.onnx", Reader())) == []
    assert warned(lambda: ours.quantize_dynamic(RESNET, tmp_path / "b.onnx")) == []
    assert judged(tmp_path / "a.onnx") > FLOAT_TOP1


@pytest.mark.parametrize(
    "argument, value",
    [
        ("quant_format", theirs.QuantFormat.QOperator),
        ("calibrate_method", theirs.CalibrationMethod.Entropy),
        ("calibration_providers", ["CUDAExecutionProvider"]),
        ("calibration_cache_path", "cache.json"),
        ("nodes_to_exclude", ["nobody"]),
        ("activation_type", theirs.QuantType.QUInt16),
        ("extra_options", {"TensorQuantOverrides": {"x": [{}]}}),
        ("extra_options", {"SmoothQuant": True}),
        ("extra_options", {"CalibMovingAverage": True}),
        ("extra_options", {"MatMulConstBOnly": False}),
        ("extra_options", {"NoSuchOption": 1}),
    ],
)
def test_what_has_no_meaning_is_told(argument: str, value: Any, tmp_path: Path) -> None:
    given: Dict[str, Any] = {"per_channel": True, argument: value}
    found = warned(lambda: ours.quantize_static(RESNET, tmp_path / "out.onnx", Reader(count=32), **given))
    word = next(iter(value)) if isinstance(value, dict) else argument
    assert len(found) == 1 and word in found[0] and ": " in found[0], found


def test_one_scale_for_a_tensor_of_few_bits_is_told(tmp_path: Path) -> None:
    found = warned(lambda: ours.quantize_dynamic(RESNET, tmp_path / "out.onnx", weight_type=ours.QuantType.QInt4, extra_options=QUICK))
    assert len(found) == 1 and "per_channel" in found[0]


def test_symmetric_activations_are_signed(tmp_path: Path) -> None:
    place = tmp_path / "out.onnx"
    extra = {"ActivationSymmetric": True}
    result = ours.quantize_static(RESNET, place, Reader(), per_channel=True, extra_options=extra)
    points = [term.zero_point for layer in result.layers if layer.kind == "activation" for term in layer.terms]
    assert points and not any(points), points
    assert judged(place) > judged(RESNET) - 0.03


def test_options_that_count(tmp_path: Path) -> None:
    extra = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False, "MinimumRealRange": None}
    place = tmp_path / "out.onnx"
    call = lambda: ours.quantize_static(  # noqa: E731
        RESNET, place, Reader(), per_channel=True, extra_options={**extra, "fourbit": {"target": "generic", "min_elements": 1000}}
    )
    assert warned(call) == []
    _, model = stored(place)
    assert not [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT32]


def test_layers_by_name_and_operator(tmp_path: Path) -> None:
    place = tmp_path / "out.onnx"
    every = ["Conv", "Gemm", "Relu", "Add", "MaxPool", "LSTM", "Attention"]
    result = ours.quantize_static(
        RESNET, place, Reader(), op_types_to_quantize=every, nodes_to_exclude=["stem", "relu_1"], per_channel=True
    )
    names = {layer.tensor for layer in result.layers}
    assert not any(name.startswith("stem.weight") for name in names) and len(names) > 5
    only = ours.quantize_dynamic(RESNET, place, nodes_to_quantize=["stage1.block0.conv1"], per_channel=True, extra_options=QUICK)
    assert len(only.layers) == 1
    with pytest.raises(ValueError, match="it has Conv, Gemm"):
        ours.quantize_dynamic(RESNET, place, op_types_to_quantize=["MatMul", "Relu"])


def test_errors_of_onnxruntime_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="calibration_data_reader"):
        ours.quantize_static(RESNET, tmp_path / "out.onnx")
    for kind in ("QFLOAT8E4M3FN", "QInt16"):
        with pytest.raises(ValueError, match=kind):
            ours.quantize_dynamic(RESNET, tmp_path / "out.onnx", weight_type=theirs.QuantType[kind])
    assert issubclass(fourbit.OptionsError, ValueError) and not list(tmp_path.iterdir())


def test_models_in_memory_and_large_tensors_aside(tmp_path: Path) -> None:
    place = tmp_path / "out.onnx"
    ours.quantize_dynamic(onnx.load(str(DIGITS)), place, per_channel=True, use_external_data_format=True, extra_options=QUICK)
    assert (tmp_path / "out.onnx.data").stat().st_size > 10_000 > 0
    assert judged(place, float_model=DIGITS) > judged(DIGITS, float_model=DIGITS) - 0.02


def test_a_file_is_replaced_even_by_its_own_conversion(tmp_path: Path) -> None:
    place = tmp_path / "net.onnx"
    place.write_bytes(RESNET.read_bytes())
    result = ours.quantize_dynamic(place, place, weight_type=ours.QuantType.QInt8, per_channel=True, extra_options=QUICK)
    assert place.stat().st_size < RESNET.stat().st_size / 2 and [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    assert result.path == place and judged(place) > FLOAT_TOP1


def test_configurations_of_onnxruntime(tmp_path: Path) -> None:
    configs = {
        "static": theirs.StaticQuantConfig(Reader(DIGITS), per_channel=True, weight_type=theirs.QuantType.QInt4),
        "dynamic": theirs.DynamicQuantConfig(per_channel=True, extra_options=QUICK),
        "blocks": DefaultWeightOnlyQuantConfig(block_size=32, is_symmetric=True),
        "of a device": theirs.get_qdq_config(DIGITS, Reader(DIGITS), per_channel=True),
    }
    for name, config in configs.items():
        place = tmp_path / f"{name}.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ours.quantize(DIGITS, place, config)
        assert judged(place, float_model=DIGITS) > judged(DIGITS, float_model=DIGITS) - 0.03, name
    operators, _ = stored(tmp_path / "blocks.onnx")
    assert operators.get("MatMulNBits", 0) > 0
    with pytest.raises(TypeError):
        ours.quantize(DIGITS, tmp_path / "none.onnx", object.__new__(type("Nothing", (), {})))


def test_onnxruntime_is_not_imported(tmp_path: Path) -> None:
    program = f"""
import sys
from fourbit.onnxruntime import QuantType, quantize_dynamic
quantize_dynamic({str(RESNET)!r}, {str(tmp_path / "out.onnx")!r}, weight_type=QuantType.QInt8, extra_options={QUICK})
assert "onnxruntime" not in sys.modules and "onnx" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "out.onnx").exists()


def test_other_samples_are_taken_too(tmp_path: Path) -> None:
    given = {name: rows for name, rows in samples(RESNET, 32).items() if name != "labels"}
    ours.quantize_static(RESNET, tmp_path / "out.onnx", given, per_channel=True)
    assert np.isfinite(judged(tmp_path / "out.onnx"))
