"""Runs files in one runtime: everywhere_run.py RUNTIME [--packages FOLDER] JOB...

RUNTIME is onnxruntime, openvino or opencv; with `--packages` it is imported from that folder. A job is a folder that
`everywhere.py` made; what comes of it goes to files beside the inputs, as said there.
"""

import os
import sys
import time
from pathlib import Path

TIMED = 5  # runs beyond the first, of which the fastest counts


def in_onnxruntime(path):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


def in_openvino(path):
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0", "INFERENCE_NUM_THREADS": 1}
    model = core.compile_model(core.read_model(path), "CPU", settings)
    return lambda inputs: {output.any_name: found for output, found in model(inputs).items()}


def in_opencv(path):
    import cv2

    cv2.setNumThreads(1)
    net = cv2.dnn.readNetFromONNX(path)

    def run(inputs):
        for name, value in inputs.items():
            net.setInput(value, name)
        names = net.getUnconnectedOutLayersNames()
        return dict(zip(names, net.forward(names), strict=True))

    return run


def job(load, folder):
    import numpy as np

    inputs = {}
    for line in (folder / "inputs.tsv").read_text(encoding="utf-8").splitlines():
        name, dtype, dims, file = line.split("\t")
        shape = [int(dim) for dim in dims.split(",") if dim]
        inputs[name] = np.fromfile(folder / file, dtype).reshape(shape)
    start = time.perf_counter()
    run = load((folder / "model.txt").read_text(encoding="utf-8"))
    loaded = time.perf_counter() - start
    found = {name: np.ascontiguousarray(value) for name, value in run(inputs).items()}
    fastest = float("inf")
    for _ in range(TIMED):
        start = time.perf_counter()
        run(inputs)
        fastest = min(fastest, time.perf_counter() - start)
    lines = [f"{loaded}\t{fastest}"]
    for at, (name, value) in enumerate(found.items()):
        value.tofile(folder / f"output-{at}")
        lines.append(f"{name}\t{value.dtype}\t{','.join(map(str, value.shape))}\toutput-{at}")
    return lines


def main(runtime, *rest):
    if rest[0] == "--packages":
        sys.path.insert(0, rest[1])
        rest = rest[2:]
    load = {"onnxruntime": in_onnxruntime, "openvino": in_openvino, "opencv": in_opencv}[runtime]
    for folder in map(Path, rest):
        try:
            lines, to = job(load, folder), "outputs.tsv"
        except Exception as error:  # whatever a runtime says is its answer
            lines, to = [str(error) or type(error).__name__], "refused.txt"
        (folder / "unfinished").write_text("\n".join(lines), encoding="utf-8")
        os.replace(folder / "unfinished", folder / to)


if __name__ == "__main__":
    main(*sys.argv[1:])
