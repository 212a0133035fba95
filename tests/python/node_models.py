"""The test cases of the onnx package: small models, most of one node, with inputs and the outputs expected.

    node_models.py write FOLDER     writes each model, and all data, and lists the models as JSON
    node_models.py compare FOLDER   runs what FOLDER/manifest.json lists, a JSON list of {name, after},
                                    against the model of that name

A model with several inputs is written a second time, with all but the first as initializers. After is judged by what
onnxruntime makes of both models, or by the outputs expected, which it does not always give before; where it does not run
both, by what the reference evaluator of the onnx package makes of them. Each must pass the checker if the model before it does. Prints one line for each that is wrong, and at last the
counts as JSON.
"""

import collections
import json
import pathlib
import pickle
import sys
import warnings

import numpy as np
import onnx
import onnxruntime as ort
from onnx.reference import ReferenceEvaluator

RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
# Above this the forms of inputs changed little, and what reads constants reads them as inputs too.
FROZEN_BELOW = 21


def collect():
    from onnx.backend.test.loader import load_model_tests

    warnings.simplefilter("ignore")
    for case in load_model_tests(kind="node"):
        yield case.name, case.model, case.data_sets[0], case.rtol, case.atol
    for kind in ["pytorch-operator", "pytorch-converted", "simple"]:
        for case in load_model_tests(kind=kind):
            folder = pathlib.Path(case.model_dir)
            model = onnx.load(folder / "model.onnx")
            data = folder / "test_data_set_0"
            initialized = {tensor.name for tensor in model.graph.initializer}
            inputs = [value for value in model.graph.input if value.name not in initialized]
            sides = [load(data, side, values) for side, values in [("input", inputs), ("output", model.graph.output)]]
            yield case.name, model, sides, case.rtol, case.atol


def load(folder, side, values):
    loaded = []
    for at, value in enumerate(values):
        raw = (folder / f"{side}_{at}.pb").read_bytes()
        if value.type.HasField("sequence_type"):
            loaded.append(onnx.numpy_helper.to_list(onnx.SequenceProto.FromString(raw)))
        else:
            loaded.append(onnx.numpy_helper.to_array(onnx.TensorProto.FromString(raw)))
    return loaded


def opset(model):
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), None)


def frozen(model, inputs):
    """The model with all inputs but the first as initializers, where that can be."""
    values = model.graph.input
    own = opset(model)
    if own is None or own >= FROZEN_BELOW or model.graph.initializer or len(values) < 2 or len(values) != len(inputs):
        return None
    if not all(isinstance(value, np.ndarray) and value.dtype.kind != "O" for value in inputs[1:]):
        return None
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    copy.ir_version = max(copy.ir_version, 4)
    for value, data in zip(values[1:], inputs[1:], strict=True):
        copy.graph.initializer.append(onnx.numpy_helper.from_array(data, value.name))
    del copy.graph.input[1:]
    return copy


def write(folder):
    written, data = [], {}
    for name, model, (inputs, outputs), rtol, atol in collect():
        variants = {name: (model, inputs), f"{name}-frozen": (frozen(model, inputs), inputs[:1])}
        for title, (variant, given) in variants.items():
            if variant is not None:
                path = folder / f"{title}.onnx"
                onnx.save(variant, path)
                names = [value.name for value in variant.graph.input]
                initialized = {tensor.name for tensor in variant.graph.initializer}
                names = [name for name in names if name not in initialized]
                data[title] = (dict(zip(names, map(plain, given), strict=False)), list(map(plain, outputs)), rtol, atol)
                written.append({"name": title, "path": str(path)})
    with open(folder / "data.pickle", "wb") as file:
        pickle.dump(data, file)
    print(json.dumps(written))


def plain(value):
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def in_onnxruntime(path, inputs):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        wanted = {value.name for value in session.get_inputs()}
        return session.run(None, {name: value for name, value in inputs.items() if name in wanted})
    except Exception:  # it has many ways to say that it does not run something
        return None


def in_reference(path, inputs):
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return ReferenceEvaluator(str(path)).run(None, inputs)
    except Exception:  # the same
        return None


def same(a, b, rtol, atol, shapes_only=False):
    if a is None or b is None:
        return a is b
    if isinstance(a, (list, tuple)):
        return isinstance(b, (list, tuple)) and len(a) == len(b) and all(same(x, y, rtol, atol) for x, y in zip(a, b, strict=True))
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if shapes_only:
        return True
    if a.dtype.kind in "OUSbiu":
        return bool((a == b).all())
    a, b = a.astype(np.complex128 if a.dtype.kind == "c" else np.float64), b.astype(np.complex128 if b.dtype.kind == "c" else np.float64)
    return bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True))


def checked(path):
    try:
        onnx.checker.check_model(onnx.load(path), full_check=True)
    except Exception as error:  # of several types
        return str(error)
    return None


def judge(before, after, data, cache):
    """How it was judged, and what is wrong."""
    inputs, expected, rtol, atol = data
    if not cache:
        cache["onnxruntime"] = in_onnxruntime(before, inputs)
        cache["checked"] = checked(before)
        cache["random"] = any(node.op_type in RANDOM for node in onnx.load(before).graph.node)
    problem = checked(after)
    if problem and not cache["checked"]:
        return "wrong", problem
    close = lambda a, b: same(list(a), list(b), rtol, atol) or (
        cache["random"] and len(a) == len(b) and all(same(x, y, rtol, atol, True) for x, y in zip(a, b, strict=True))
    )
    found = in_onnxruntime(after, inputs)
    if found is not None and cache["onnxruntime"] is not None and close(cache["onnxruntime"], found):
        return "onnxruntime", None
    if found is not None and close(expected, found):
        return "expected outputs", None
    if found is not None and cache["onnxruntime"] is not None:
        return "wrong", "onnxruntime differs"
    if "reference" not in cache:
        cache["reference"] = in_reference(before, inputs)
    found = in_reference(after, inputs) if cache["reference"] is not None else None
    if found is not None:
        right = close(cache["reference"], found) or close(expected, found)
        return ("reference evaluator", None) if right else ("wrong", "the reference evaluator differs")
    return "not judged", None


def compare(folder):
    with open(folder / "data.pickle", "rb") as file:
        data = pickle.load(file)
    counts, caches = collections.Counter(), collections.defaultdict(dict)
    unjudged = collections.Counter()
    for entry in json.loads((folder / "manifest.json").read_text()):
        name = entry["name"]
        how, problem = judge(folder / f"{name}.onnx", entry["after"], data[name], caches[name])
        counts[how] += 1
        if problem:
            print(f"{entry['after']}: {' '.join(problem.split())[:300]}")
        if how == "not judged":
            unjudged[onnx.load(folder / f"{name}.onnx").graph.node[0].op_type] += 1
    print(json.dumps({"counts": counts, "unjudged": unjudged}))


if __name__ == "__main__":
    {"write": write, "compare": compare}[sys.argv[1]](pathlib.Path(sys.argv[2]))
