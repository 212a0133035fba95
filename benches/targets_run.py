"""Measures one written file in one runtime, as targets.py asks: targets_run.py JOB.

JOB is a JSON object: `runtime`, "onnxruntime" or "openvino"; `float`, `file` and, if there is one, `beside`, paths of models;
`test`, an archive of samples; `declared`, the dimensions of each input, null where open; `batch`, `limit`, `threads`, `runs`;
and `optimized`, where onnxruntime keeps its graph of `file`. Prints a JSON object with what came of it.

A program of its own, so that it can run with the packages of another folder.
"""

import json
import statistics
import sys
import time

import numpy as np

LOADS = 2  # of which the faster counts
WARM = 2


def in_onnxruntime(path, threads, keep):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    if keep:
        options.optimized_model_filepath = keep
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda feed: session.run(None, feed)


def in_openvino(path, threads, keep):
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1}
    model = core.compile_model(core.read_model(path), "CPU", settings)

    def run(feed):
        found = model(feed)
        return [np.array(found[output]) for output in model.outputs]

    return run


RUNTIMES = {"onnxruntime": in_onnxruntime, "openvino": in_openvino}


def load(job, path, keep=None):
    """What runs the file, and the milliseconds that loading it takes."""
    best = float("inf")
    for _ in range(LOADS):
        start = time.perf_counter()
        runner = RUNTIMES[job["runtime"]](path, job["threads"], None)
        best = min(best, time.perf_counter() - start)
    if keep:
        RUNTIMES[job["runtime"]](path, job["threads"], keep)
    return runner, 1000 * best


def feeds(job):
    """The samples in batches as the model takes them, and their labels."""
    archive = np.load(job["test"])
    labels = archive["labels"] if "labels" in archive.files else None
    names = [name for name in archive.files if name != "labels"]
    first, declared = archive[names[0]], job["declared"]
    rowwise = first.ndim == len(declared[names[0]])
    size = job["batch"] if rowwise and declared[names[0]][0] is None else 1
    count = min(len(first), job["limit"])
    arrays = {name: archive[name] for name in names}
    rows = [{name: array[at : min(at + size, count)] if rowwise else array[at] for name, array in arrays.items()} for at in range(0, count, size)]
    return rows, labels


def judge(outputs, labels):
    """Top-1 of float model and file, or the SQNR of the file's outputs."""
    right, noise, signal, count = [0, 0], 0.0, 0.0, 0
    for wanted, found, *_ in outputs:
        if labels is not None:
            truth = labels[count : count + len(wanted[0])]
            for at, scores in enumerate((wanted[0], found[0])):
                right[at] += int((scores.reshape(len(truth), -1).argmax(1) == truth).sum())
            count += len(truth)
        for a, b in zip(wanted, found):
            signal += (a.astype(np.float64) ** 2).sum()
            noise += ((a.astype(np.float64) - b) ** 2).sum()
    if labels is not None:
        return f"{100 * right[0] / count:.2f} -> {100 * right[1] / count:.2f} % on {count}"
    return f"{10 * np.log10(signal / max(noise, 1e-300)):.1f} dB on {len(outputs)}"


def distance(outputs):
    """The largest difference between file and `beside`, as a share of the largest value; 0 if all bits are equal."""
    worst = 0.0
    for _, found, other in outputs:
        for a, b in zip(found, other):
            if not np.array_equal(a, b):
                worst = max(worst, float(np.abs(a.astype(np.float64) - b).max() / max(np.abs(b).max(), 1e-300)))
    return worst


def timed(runners, feed, runs):
    """The seconds of each, in turns."""
    times = []
    for _ in range(runs + WARM):
        taken = []
        for runner in runners:
            start = time.perf_counter()
            runner(feed)
            taken.append(time.perf_counter() - start)
        times.append(taken)
    return times[WARM:]


def main(job):
    rows, labels = feeds(job)
    loaded = [load(job, job["float"]), load(job, job["file"], job.get("optimized"))]
    said = {}
    if job.get("beside"):
        try:
            loaded.append(load(job, job["beside"]))
        except Exception as error:  # runtimes have classes of their own
            print(error, file=sys.stderr)
    runners = [runner for runner, _ in loaded]
    outputs = [[runner(feed) for runner in runners] for feed in rows]
    times = timed(runners, rows[0], job["runs"])
    said["accuracy"] = judge(outputs, labels)
    said["loads"] = [milliseconds for _, milliseconds in loaded]
    said["float"] = 1000 * statistics.median(taken[0] for taken in times)
    said["ratio"] = statistics.median(taken[1] / taken[0] for taken in times)
    if len(runners) > 2:
        said["beside_ratio"] = statistics.median(taken[1] / taken[2] for taken in times)
        said["distance"] = distance(outputs)
    print(json.dumps(said))


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        main(json.load(file))
