"""Conversions: the same files as the program's, results, limits."""

import logging
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest

import fourbit

#: The program that was built beside the wheel; the package's own where there is none.
PROGRAM = os.environ.get("FOURBIT_PROGRAM", "").split() or [sys.executable, "-m", "fourbit"]


def run(*line):
    return subprocess.run([*PROGRAM, *map(str, line)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def converted(resnet, tmp_path_factory):
    """shapes_resnet with its own files, by the package."""
    out = tmp_path_factory.mktemp("converted") / "net.w4a8.onnx"
    files = (resnet.folder / "calibration.npz", resnet.folder / "validation.npz")
    return fourbit.quantize(resnet.model, files[0], validation=str(files[1]), output=out, max_samples=48)


def test_the_file_is_the_programs_own(resnet, converted, tmp_path):
    by_program = tmp_path / "program.onnx"
    done = run("quantize", resnet.model, by_program, "--max-samples", 48)
    assert done.returncode == 0, done.stderr
    assert converted.path.read_bytes() == by_program.read_bytes()


def test_a_result_says_what_was_done(converted, tmp_path):
    report = converted.report
    assert report.precision == "w4a8" and 0 < report.sizes.ratio < 0.5
    assert converted.verdict.state == "validated" and converted.verdict.samples == 1500
    assert report["verdict"]["scores"]["drop_points"] == report.verdict.scores.drop_points < 3
    assert report.to_dict()["sizes"]["before"] == report.sizes.before
    assert {layer.kind for layer in converted.layers} == {"weight", "activation"}
    assert "top-1" in converted.text and len(converted.details) > len(converted.text)
    assert converted.path.name in repr(converted) and converted.text == str(converted)
    page = converted._repr_html_()
    assert page.startswith("<div") and "top-1" in page and "SQNR" in page and "<script" not in page
    assert converted.save(tmp_path / "copy.onnx").read_bytes() == converted.model
    with pytest.raises(fourbit.FileError, match="overwrite="):
        converted.save(tmp_path / "copy.onnx")
    with pytest.raises(AttributeError, match="no field 'nothing'"):
        report.nothing


def test_pandas_is_asked_for_by_name(converted):
    try:
        import pandas  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="pip install pandas"):
            converted.to_pandas()
    else:
        assert list(converted.to_pandas()["tensor"]) == [layer.tensor for layer in converted.layers]


def test_models_in_memory_stay_there(waves):
    model = onnx.load(waves.model)
    by_proto = fourbit.quantize(model, waves.calibration, precision="w4", max_samples=32, progress=False)
    by_bytes = fourbit.quantize(
        waves.model.read_bytes(), waves.calibration, precision="w4", max_samples=32, progress=False
    )
    assert by_proto.path is None and by_bytes.path is None
    onnx.checker.check_model(onnx.load_model_from_string(by_bytes.model))
    assert by_bytes.report.output == "model in memory"
    # The same graph; what stands in the file beside it is the serializer's choice.
    assert onnx.load_model_from_string(by_proto.model).graph == onnx.load_model_from_string(by_bytes.model).graph
    assert fourbit.inspect(by_bytes.model).quantized_by


def test_a_model_on_disk_is_written_beside(waves, tmp_path):
    here = tmp_path / "net.onnx"
    here.write_bytes(waves.model.read_bytes())
    result = fourbit.quantize(here, "none", precision="w4")
    assert result.path == tmp_path / "net.w4.onnx" and result.path.is_file()
    with pytest.raises(fourbit.FileError, match="overwrite=") as caught:
        fourbit.quantize(here, "none", precision="w4")
    assert caught.value.kind == "file" and caught.value.file == str(result.path)
    fourbit.quantize(here, "none", precision="w4", overwrite=True)


def test_options_are_those_of_the_program(waves, tmp_path):
    by_program = tmp_path / "program.onnx"
    line = "--weights uint4 --activations float --granularity block:16 --storage bytes --opset 13 --edges 8 --compensation layerwise"
    rest = "--exclude conv2* --no-bias-correction --seed 3 --max-samples 20 --op-types LSTM,Gemm,Conv --strict-bits"
    done = run("quantize", waves.model, by_program, *line.split(), *rest.split())
    result = fourbit.quantize(
        waves.model,
        output=tmp_path / "package.onnx",
        weights="uint4",
        activations="float",
        granularity="block:16",
        storage="bytes",
        opset=13,
        edges=8,
        compensation="layerwise",
        exclude="conv2*",
        bias_correction=False,
        seed=3,
        max_samples=20,
        op_types=["LSTM", "Gemm", "Conv"],
        strict_bits=True,
    )
    assert done.returncode == 0, done.stderr
    assert by_program.read_bytes() == result.model


def test_wrong_options_are_told_as_keywords(waves):
    for options, message in [
        ({"precision": "w7"}, "w7"),
        ({"storage": "loose"}, 'unknown storage "loose"; choose one of "packed"'),
        ({"weights": "int16"}, 'int16 is no type for weights'),
        ({"target": "toaster"}, "unknown target"),
        ({"precision": "w4", "target": "tensorrt", "storage": "packed", "granularity": "block:16"}, "tensorrt"),
        ({"min_agreement": 98}, "min_agreement= is a share from 0 to 1, and 98 is none; write 0.98"),
        ({"max_samples": 0}, "max_samples=0"),
        ({"max_drop": -1.0}, "no limit for max_drop="),
        ({"preprocess": {"mean": 0.5}}, "divide_by=255"),
    ]:
        with pytest.raises(fourbit.OptionsError) as caught:
            fourbit.quantize(waves.model.read_bytes(), "none", **options)
        assert message in str(caught.value) and "`" not in str(caught.value), str(caught.value)
    with pytest.raises(TypeError, match="unexpected keyword"):
        fourbit.quantize(waves.model, presicion="w4")
    for wrong in ("presicion", "output", "metric"):
        with pytest.raises(TypeError, match=wrong):
            fourbit.plan(waves.model, **{wrong: "w4"})
    with pytest.raises(TypeError, match="max_drop"):
        fourbit.sensitivity(waves.model, max_drop=1.0)


def test_limits_that_no_plan_meets_are_an_error_with_the_best_result(waves):
    with pytest.raises(fourbit.LimitError) as caught:
        fourbit.quantize(
            waves.model.read_bytes(), waves.calibration, precision="w4", min_sqnr=30.0, max_size=20_000, max_samples=64
        )
    error = caught.value
    assert error.kind == "limit" and "min_sqnr=30 dB" in str(error) or "max_size=20000 bytes" in str(error)
    assert error.result is not None and error.result.model and not error.result.report.budget.met


def test_limits_that_are_met_are_none(waves):
    result = fourbit.quantize(
        waves.model.read_bytes(), waves.calibration, precision="w4", min_sqnr=12.0, max_samples=64, max_size="10 MB"
    )
    assert result.missed == [] and result.report.budget.met


def test_every_subclass_knows_its_kind(tmp_path):
    assert issubclass(fourbit.OptionsError, ValueError)
    missing = tmp_path / "missing.onnx"
    with pytest.raises(fourbit.FileError, match="missing.onnx"):
        fourbit.inspect(missing)
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(fourbit.ModelError, match="not an ONNX model") as caught:
        fourbit.quantize(str(tmp_path / "text.onnx"))
    assert (caught.value.kind, caught.value.file) == ("model", str(tmp_path / "text.onnx"))
    with pytest.raises(TypeError, match="a model is a path"):
        fourbit.quantize(17)
    node = onnx.helper.make_node("Relu", ["x"], ["y"], name="relu")
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4]) for name in "xy"]
    nothing = onnx.helper.make_model(onnx.helper.make_graph([node], "g", value[:1], value[1:]), opset_imports=[onnx.helper.make_opsetid("", 21)])
    with pytest.raises(fourbit.NothingQuantizedError):
        fourbit.quantize(nothing, np.zeros((8, 4), "float32"))


def test_progress_and_notes_are_heard(waves, caplog):
    heard = []
    with caplog.at_level(logging.INFO, "fourbit"):
        fourbit.quantize(
            waves.model.read_bytes(),
            iter(waves.calibration),
            precision="w4",
            max_samples=16,
            progress=lambda *told: heard.append(told),
        )
    assert heard and all(isinstance(stage, str) and done >= 0 for stage, done, _ in heard)
    assert any(total is not None and done == total for _, done, total in heard)
    assert "the first 32 samples are used" in caplog.text
