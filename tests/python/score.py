"""Top-1 of models in onnxruntime: score.py MANIFEST, a JSON list of {model, samples}.

Prints a JSON list of {top1, rows, unknown}; each model must pass the full check of onnx.checker.
"""
import json
import sys

import numpy as np
import onnx
import onnxruntime as ort

results = []
for case in json.load(open(sys.argv[1])):
    onnx.checker.check_model(case["model"], full_check=True)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # What the file says: optimizing the graph moves single answers, by a third of a point on these models.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(case["model"], options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    with np.load(case["samples"]) as archive:
        inputs, labels = archive[name], archive["labels"]
    answers = [session.run(None, {name: inputs[at : at + 100]})[0] for at in range(0, len(inputs), 100)]
    answers = np.concatenate(answers).reshape(len(inputs), -1).argmax(1)
    results.append({"top1": float((answers == labels).mean()), "rows": len(labels)})
print(json.dumps(results))
