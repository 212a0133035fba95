"""Whether models say the same in OpenVINO as in onnxruntime: in_openvino.py TOLERANCE MODEL...

Computes in FLOAT in both. Says so and does nothing where OpenVINO is not installed.
"""
import sys

import numpy as np
import onnxruntime as ort

try:
    import openvino
except ImportError:
    print("SKIPPED: no openvino")
    sys.exit(0)

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}

tolerance, paths = float(sys.argv[1]), sys.argv[2:]
core = openvino.Core()
for path in paths:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    inputs = {it.name: rng.standard_normal(it.shape).astype(TYPES[it.type]) for it in session.get_inputs()}
    wanted = session.run(None, inputs)[0].astype(np.float64)
    found = core.compile_model(path, "CPU", EXACT)(inputs)[0].astype(np.float64)
    far = np.abs(wanted - found).max() / np.abs(wanted).max() if wanted.shape == found.shape else found.shape
    if isinstance(far, tuple) or not far <= tolerance:
        sys.exit(f"{path}: {far}")
print(f"{len(paths)} models agree")
