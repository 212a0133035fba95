"""Agreement and SQNR of the first output of two models on samples, by onnxruntime: answers.py ONE OTHER SAMPLES COUNT."""

import json
import sys

import numpy as np
import onnxruntime

one, other, samples, count = sys.argv[1:]
with np.load(samples) as arrays:
    arrays = {name: arrays[name][: int(count)] for name in arrays.files}
outputs = []
for model in (one, other):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    rows = range(len(arrays[names[0]]))
    answers = [session.run(None, {name: arrays[name][at : at + 1] for name in names})[0] for at in rows]
    outputs.append(np.concatenate(answers).astype(np.float64))
first, second = outputs
noise = float(((first - second) ** 2).sum())
print(
    json.dumps(
        {
            "agreement": float((first.argmax(1) == second.argmax(1)).mean()),
            "sqnr_db": 10 * float(np.log10((first**2).sum() / noise)) if noise else None,
        }
    )
)
