"""Runs pairs of models on the same random inputs and demands the same outputs.

The one argument is a JSON list of {name, before, after, tolerance}, or with least_db in the place of
tolerance, where outputs may differ by so much noise. There samples may be the path of an archive to run, and reported a
list of outputs with the noise that somebody else found on it; where fused is true the second model runs with
onnxruntime's default optimizations. The second model must also pass the ONNX checker. Prints
one line for each pair that fails, and at last how many agree.
"""

import json
import sys
import zlib

import numpy as np
import onnx
import onnxruntime as ort

SYMBOLIC = 2  # the size given to dimensions without one
CLOSE = 1.0  # dB between noise reported and found
CLOSE_FUSED = 1.5  # the same where layers are fused into integers, which round otherwise here and there
TINY = 35.0  # dB from which on a single code counts that float arithmetic of another order made another


def session(path, optimize=False):
    options = ort.SessionOptions()
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def random(value, rng):
    shape = [size if isinstance(size, int) and size > 0 else SYMBOLIC for size in value.shape]
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    match kind:
        case "float" | "double" | "float16":
            dtype = {"float": "float32", "double": "float64", "float16": "float16"}[kind]
            return rng.standard_normal(shape).astype(dtype)
        case "bool":
            return rng.integers(0, 2, shape).astype(bool)
        case _:
            return rng.integers(0, 3, shape).astype(kind)


def distance(a, b):
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.dtype}{list(a.shape)} became {b.dtype}{list(b.shape)}"
    if np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
        return 0.0
    if a.dtype.kind != "f" or not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return "values differ"
    finite = np.isfinite(a)
    a, b = a[finite].astype(np.float64), b[finite].astype(np.float64)
    return float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30))


def ratio(a, b):
    """Signal to noise in dB; below every limit where the form is another or anything is not finite."""
    if isinstance(a, list):
        pairs = list(zip(a, b, strict=True))
        if any(a.shape != b.shape or a.dtype != b.dtype for a, b in pairs):
            return -1000.0
        a, b = ([value.ravel() for value in values] for values in (a, b))
        a, b = np.concatenate(a), np.concatenate(b)
    if a.shape != b.shape or a.dtype != b.dtype or not np.isfinite(b.astype(np.float64)).all():
        return -1000.0
    a, b = a.astype(np.float64), b.astype(np.float64)
    signal, noise = (a**2).sum(), ((a - b) ** 2).sum()
    return 1000.0 if noise == 0 else float(10 * np.log10(max(signal, 1e-300) / noise))


def check(path, outputs):
    """The checker demands that outputs say their rank; a model under test need not. Operators of onnxruntime's in the standard
    domain it does not know, and passes in another one."""
    model = onnx.load(path)
    for node in model.graph.node:
        if not node.domain and not onnx.defs.has(node.op_type):
            node.domain = "com.microsoft"
    for value, output in zip(model.graph.output, outputs, strict=True):
        if not value.type.tensor_type.HasField("shape"):
            value.type.tensor_type.shape.SetInParent()
            for _ in output.shape:
                value.type.tensor_type.shape.dim.add()
    onnx.checker.check_model(model, full_check=True)


def compare(pair):
    try:
        before = session(pair["before"])
    except Exception as error:
        return f"the model itself: {error}"
    after = session(pair["after"], pair.get("fused", False))
    names = [[value.name for value in model.get_outputs()] for model in (before, after)]
    if names[0] != names[1]:
        return f"outputs {names[0]} became {names[1]}"
    rng = np.random.default_rng(zlib.crc32(pair["name"].encode()))
    inputs = {value.name: random(value, rng) for value in after.get_inputs()}
    if pair.get("samples"):
        return noise(pair, names[0], before, after)
    wanted, found = before.run(None, inputs), after.run(None, inputs)
    check(pair["after"], found)
    for name, a, b in zip(names[0], wanted, found, strict=True):
        if "least_db" in pair:
            if a.dtype.kind == "f" and ratio(a, b) < pair["least_db"]:
                return f"{name}: {ratio(a, b):.1f} dB"
            continue
        far = distance(a, b)
        if isinstance(far, str) or far > pair["tolerance"]:
            return f"{name}: {far}"
    return None


def noise(pair, names, before, after):
    """What is wrong with the outputs on samples, each of them over all."""
    archive = np.load(pair["samples"])
    count = min(len(archive[key]) for key in archive.files)
    feeds = [{key: np.asarray(archive[key][at]) for key in archive.files} for at in range(count)]
    wanted, found = ([model.run(None, feed) for feed in feeds] for model in (before, after))
    check(pair["after"], found[0])
    reported = dict(pair["reported"])
    for at, name in enumerate(names):
        here = ratio([run[at] for run in wanted], [run[at] for run in found])
        there = reported.get(name, here)
        if here < pair["least_db"]:
            return f"{name}: {here:.1f} dB"
        close = CLOSE_FUSED if pair.get("fused") else CLOSE
        if min(here, there) < TINY and abs(here - there) > close:
            return f"{name}: {here:.2f} dB, but {there:.2f} were reported"
    return None


def judge(compare, what):
    """Has `compare` say what is wrong with each entry of the list in the file named first on the command line."""
    with open(sys.argv[1], encoding="utf-8") as file:
        entries = json.load(file)
    agree = 0
    for entry in entries:
        try:
            problem = compare(entry)
        except Exception as error:  # whatever fails is to be reported with the entry's name
            problem = f"{type(error).__name__}: {str(error)[:2000]}"
        if problem is None:
            agree += 1
        else:
            print(f"{entry['name']}: {problem}")
    print(f"{agree} {what} agree")
    return agree != len(entries)


if __name__ == "__main__":
    sys.exit(judge(compare, "pairs"))
