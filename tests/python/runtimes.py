"""Runs files in the runtimes that they are meant for, and demands what the view of them gives.

The one argument is a JSON list of {name, runtime, view, file, rounded, fused}: `view` is a float model that says the same as
`file`, in onnxruntime without optimizations; `file` is run in `runtime`, optimizations on. Where `rounded` is false the outputs
are the same but for the order of additions, within `tolerance` of the largest where that is given; where it is true, activations
are rounded on the way and may fall on a neighbouring code. `fused` names operators, and how often onnxruntime's optimized graph must have them at least; with 0 it must
not have any. Prints one line for each file that fails, and at last how many agree.
"""

import sys
import tempfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from compare_models import judge, random

SAME = 1e-4  # of the largest output
ROUNDED = 30.0  # dB


def onnxruntime_session(path, optimize, keep=None):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    # Products of 4-bit weights in float, as the file says, and not with activations rounded unasked.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if keep:
        options.optimized_model_filepath = str(keep)
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def in_openvino(path, inputs):
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0", "INFERENCE_NUM_THREADS": 1}
    model = core.compile_model(core.read_model(path), "CPU", settings)
    found = model(inputs)
    return [found[output] for output in model.outputs]


def compare(entry, folder):
    view = onnxruntime_session(entry["view"], optimize=False)
    rng = np.random.default_rng(zlib.crc32(entry["name"].encode()))
    inputs = {value.name: random(value, rng) for value in view.get_inputs()}
    wanted = view.run(None, inputs)
    if entry["runtime"] == "openvino":
        found = in_openvino(entry["file"], inputs)
    else:
        kept = folder / "optimized.onnx"
        found = onnxruntime_session(entry["file"], optimize=True, keep=kept).run(None, inputs)
        operators = Counter(node.op_type for node in onnx.load(kept, load_external_data=False).graph.node)
        for operator, least in entry["fused"].items():
            if operators[operator] < least or (least == 0 and operators[operator]):
                return f"{operators[operator]} {operator} in the optimized graph, {least} wanted: {dict(operators)}"
    for a, b in zip(wanted, found, strict=True):
        a, b = a.astype(np.float64), np.asarray(b).astype(np.float64)
        if a.shape != b.shape or not np.isfinite(b).all():
            return f"{list(a.shape)} became {list(b.shape)}, or is not finite"
        if entry["rounded"]:
            noise = ((a - b) ** 2).sum()
            decibels = 10 * np.log10((a**2).sum() / noise) if noise else np.inf
            if decibels < ROUNDED:
                return f"{decibels:.1f} dB from what the file says"
        elif np.abs(a - b).max() > entry.get("tolerance", SAME) * np.abs(a).max():
            return f"{np.abs(a - b).max() / np.abs(a).max():.2e} from what the file says"
    return None


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as kept:
        sys.exit(judge(lambda entry: compare(entry, Path(kept)), "files"))
