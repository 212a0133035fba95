"""How far a model's outputs are from another's in onnxruntime: relative_error.py BEFORE AFTER.

Both must pass the check of onnx.checker. Prints the relative squared error of the first output on a random input.
"""
import sys

import numpy as np
import onnx
import onnxruntime as ort

outputs = []
for path in sys.argv[1:3]:
    onnx.checker.check_model(path)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {}
    for given in session.get_inputs():
        random = np.random.default_rng(0)
        feed[given.name] = random.standard_normal([int(dim) for dim in given.shape]).astype(np.float32)
    outputs.append(session.run(None, feed)[0].astype(np.float64))
before, after = outputs
print(((before - after) ** 2).sum() / (before**2).sum())
