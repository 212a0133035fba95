"""Samples in all forms give what the same arrays in a file give."""

import os
import resource
import sys

import numpy as np
import onnx
import pytest

import fourbit
from conftest import MODELS


#: Only the ranges of activations depend on samples then.
QUICK = {"compensation": "none", "strict_bits": True}


class Batches:
    """What a DataLoader does: tensors, batch after batch, the last one shorter."""

    def __init__(self, arrays, size, labels=None):
        self.arrays, self.size, self.labels = arrays, size, labels

    def __iter__(self):
        for at in range(0, len(self.arrays), self.size):
            batch = Tensor(self.arrays[at : at + self.size])
            yield batch if self.labels is None else [batch, Tensor(self.labels[at : at + self.size])]


class Tensor:
    """As torch has them."""

    def __init__(self, array):
        self.array, self.dtype = array, array.dtype

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.array


class Reader:
    """As onnxruntime's CalibrationDataReader."""

    def __init__(self, name, arrays):
        self.calls = iter([{name: array[None]} for array in arrays])

    def get_next(self):
        return next(self.calls, None)


def w4(case, samples, **options):
    options = {"precision": "w4", "validation": "none", "max_samples": 48, **options}
    options.pop("validation")
    return fourbit.quantize(case.model.read_bytes(), samples, progress=False, **options)


@pytest.fixture(scope="module")
def by_file(waves, tmp_path_factory):
    path = tmp_path_factory.mktemp("samples") / "some.npz"
    np.savez(path, **{waves.input: waves.calibration[:96]})
    return w4(waves, path).model


@pytest.mark.parametrize("form", ["generator", "batches", "loader", "reader", "dictionary", "array", "list", "stacked"])
def test_every_form_gives_the_same_bytes(waves, by_file, form):
    arrays = waves.calibration[:96]
    samples = {
        "generator": (array for array in arrays),
        "batches": ({waves.input: arrays[at : at + 7]} for at in range(0, 96, 7)),
        "loader": Batches(arrays, 10, np.arange(96) % 10),
        "reader": Reader(waves.input, arrays),
        "dictionary": {waves.input: arrays},
        "array": arrays,
        "list": [(array, 1) for array in arrays],
        "stacked": arrays[:, None],
    }[form]
    assert w4(waves, samples).model == by_file


def test_activations_are_calibrated_alike(resnet, tmp_path):
    judged = {resnet.input: resnet.validation[:40]}
    by_file = tmp_path / "some.npz"
    np.savez(by_file, **{resnet.input: resnet.calibration[:24]})
    options = {"validation": judged, "validation_labels": resnet.labels[:40], "progress": False, **QUICK}
    models = []
    for samples in (by_file, Batches(resnet.calibration[:24], 9), list(resnet.calibration[:24])):
        result = fourbit.quantize(resnet.model.read_bytes(), samples, **options)
        assert result.verdict.scores.rows == 40 and result.verdict.samples == 40
        models.append(result.model)
    assert models[0] == models[1] == models[2]


def test_pixels_become_inputs_as_in_files(resnet, tmp_path):
    pixels = np.load(resnet.folder / "pictures.npz")
    key = next(name for name in pixels.files if pixels[name].ndim == 4)
    pictures = pixels[key][:20]
    path = tmp_path / "pixels.npz"
    np.savez(path, **{resnet.input: pictures})
    options = {"preprocess": resnet.folder / "preprocess.toml", "progress": False, **QUICK}
    text = (resnet.folder / "preprocess.toml").read_text()
    if key in text:
        np.savez(path, **{key: pictures})
        options["preprocess"] = tmp_path / "preprocess.toml"
        options["preprocess"].write_text("\n".join(line for line in text.splitlines() if not line.startswith(("array", "labels"))))
    expected = fourbit.quantize(resnet.model.read_bytes(), path, **options).model
    for samples in (pictures, list(pictures), iter(Batches(pictures, 9))):
        assert fourbit.quantize(resnet.model.read_bytes(), samples, **options).model == expected


def test_errors_of_pixels_name_the_argument(resnet):
    with pytest.raises(fourbit.SamplesError) as caught:
        fourbit.quantize(resnet.model.read_bytes(), np.zeros((9, 8, 8, 3), "float32"), preprocess="0..1", **QUICK)
    assert str(caught.value).startswith("samples: ") and caught.value.file is None


def test_labels_come_with_samples_or_beside_them(waves):
    arrays, labels = waves.validation[:64], waves.labels[:64]
    quantized = w4(waves, "none").model
    forms = [
        ({waves.input: arrays, "labels": labels}, None),
        (arrays, labels),
        (list(zip(arrays, labels)), None),
        (Batches(arrays, 10, labels), None),
        (Batches(arrays, 10), list(labels)),
    ]
    found = [fourbit.validate(waves.model, quantized, samples, labels=given) for samples, given in forms]
    assert all(one.verdict.scores == found[0].verdict.scores for one in found)
    assert found[0].verdict.scores.rows == 64


def test_fixed_batches_are_runs_of_rows():
    from fourbit._arrays import Input, Labels, split

    def parts(dims, rows, whole):
        array = np.arange(rows * 3, dtype="float32").reshape(rows, 3)
        labels = Labels(np.arange(rows), "labels")
        found = split([Input("x", "float32", dims, None)], {"x": array}, labels, "samples", whole)
        return [(arrays[0][1].shape, own) for arrays, own in found]

    assert parts([4, 3], 9, True) == parts([4, 3], 9, False) == [((4, 3), [0, 1, 2, 3]), ((4, 3), [4, 5, 6, 7])]
    assert parts(["N", 3], 2, False) == [((1, 3), [0]), ((1, 3), [1])]
    # The last batch of a loader.
    assert parts([4, 3], 3, False) == []
    with pytest.raises(fourbit.SamplesError, match=r"expected the shape \[4, 3\].*found \[3, 3\]"):
        parts([4, 3], 3, True)


def test_what_does_not_fit_says_which_item(waves):
    good = waves.calibration[0]
    for samples, message in [
        ([good, good[:, :5]], "samples, item 1, input signal|sample 1, input signal"),
        ([{"signal": good, "other": good}], "item 0: expected an array for each of the inputs signal and nothing else"),
        ([{"other": good}], "item 0"),
        ([(good, good, good)], "1 array, one for each input, and perhaps labels behind, found a tuple of 3"),
        ([np.array(["text"])], "item 0, input signal: expected numbers"),
        ([good.astype("int64")], "signal: expected float32"),
        ([], "there are no samples"),
        (iter(()), "there are no samples"),
        ({"signal": waves.calibration[:9], "labels": np.zeros(8, "int64")}, "8 labels"),
        ({"signal": waves.calibration[:9], "labels": np.zeros(9)}, "whole numbers; found float64"),
    ]:
        with pytest.raises(fourbit.SamplesError, match=message):
            w4(waves, samples)
    with pytest.raises(TypeError, match="object with get_next"):
        w4(waves, 17)


def test_element_types_are_the_models(waves):
    expected = w4(waves, waves.calibration[:32].astype("float16").astype("float32")).model
    assert w4(waves, waves.calibration[:32].astype("float16")).model == expected
    assert w4(waves, waves.calibration[:32].astype(">f8").astype("float16").astype(">f4")).model == expected
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    halves = waves.calibration[:32].astype(bfloat16)
    assert w4(waves, halves).model == w4(waves, halves.astype("float32")).model


def test_inputs_without_a_batch_are_calls(tmp_path):
    def tensor(name, dims):
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)

    weights = onnx.numpy_helper.from_array(np.random.default_rng(0).normal(size=(16, 16)).astype("float32"), "w")
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["p"]), onnx.helper.make_node("Mul", ["p", "scale"], ["y"])]
    graph = onnx.helper.make_graph(nodes, "g", [tensor("x", ["N", 16]), tensor("scale", [16])], [tensor("y", ["N", 16])], [weights])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)])
    rng = np.random.default_rng(1)
    calls = [{"x": rng.normal(size=(3, 16)).astype("f4"), "scale": rng.normal(size=16).astype("f4")} for _ in range(20)]
    result = fourbit.quantize(model, calls, precision="w4a8")
    assert (result.report.calibration.samples, result.verdict.samples) == (12, 8)
    tuples = [(call["x"], call["scale"]) for call in calls]
    assert fourbit.quantize(model, tuples, precision="w4a8").model == result.model


def test_memory_does_not_grow_with_the_number_of_samples(waves):
    made = 0

    def endless():
        nonlocal made
        while True:
            made += 1
            yield {"signal": np.full((1, 1, 128), made % 7, "float32")}

    w4(waves, endless(), max_samples=8)
    assert made <= 17

    # 400 MB of samples, none of which stays.
    big = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 1 << 18])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 16])
    weights = [
        onnx.numpy_helper.from_array(np.ones((1 << 14, 16), "float32"), "w"),
        onnx.numpy_helper.from_array(np.array([-1, 1 << 14]), "s"),
    ]
    nodes = [
        onnx.helper.make_node("Slice", ["x", "b", "e", "a"], ["c"]),
        onnx.helper.make_node("MatMul", ["c", "w"], ["y"]),
    ]
    bounds = [onnx.numpy_helper.from_array(np.array([value]), name) for name, value in (("b", 0), ("e", 1 << 14), ("a", 1))]
    graph = onnx.helper.make_graph(nodes, "g", [big], [out], [weights[0], *bounds])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)]).SerializeToString()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = 400
    from fourbit import _samples
    from contextlib import ExitStack

    with ExitStack() as stack:
        samples = (np.full((1, 1 << 18), at, "float32") for at in range(count))
        spool = _samples.prepared(samples, model, stack, argument="samples", most=None)
        assert len(spool) == count
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1024 if sys.platform != "darwin" else 1
    assert (after - before) * unit < 100 << 20, f"{os.getpid()}: {before} -> {after}"


def test_states_are_fed_by_outputs(tmp_path):
    folder = MODELS / "stories_decoder"
    calls = [dict(np.load(path)) for path in sorted((folder / "calibration").glob("story0[0-3]-*.npz"))]
    model = (folder / "model.onnx").read_bytes()
    options = {"precision": "w4", "progress": False, "state": {"present.*": "past_key_values.*"}, "sequence_length": 5, **QUICK}
    result = fourbit.quantize(model, calls, **options)
    assert result.report.calibration.samples + result.verdict.samples == len(calls) == 20
    with pytest.raises(fourbit.SamplesError, match="expected an array for each of the inputs"):
        fourbit.quantize(model, calls, **{**options, "state": None, "sequence_length": None})
