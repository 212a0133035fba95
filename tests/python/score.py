"""Top-1 of models in onnxruntime: score.py MANIFEST, a JSON list of {model, samples}.

Prints a JSON list of {as_written, fused, rows}; each model must pass the full check of onnx.checker.
"""
import json
import sys

import numpy as np
import onnx
import onnxruntime as ort

results = []
for case in json.load(open(sys.argv[1])):
    onnx.checker.check_model(case["model"], full_check=True)
    with np.load(case["samples"]) as archive:
        arrays = dict(archive)
    labels = arrays["labels"]
    result = {"rows": len(labels)}
    # What the file says, and what the runtime makes of it by default: it fuses layers into integers.
    levels = [("as_written", ort.GraphOptimizationLevel.ORT_DISABLE_ALL), ("fused", ort.GraphOptimizationLevel.ORT_ENABLE_ALL)]
    for key, level in levels:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = level
        session = ort.InferenceSession(case["model"], options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        inputs = arrays[name]
        answers = [session.run(None, {name: inputs[at : at + 100]})[0] for at in range(0, len(inputs), 100)]
        answers = np.concatenate(answers).reshape(len(inputs), -1).argmax(1)
        result[key] = float((answers == labels).mean())
    results.append(result)
print(json.dumps(results))
