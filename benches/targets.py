"""Converts models for the runtimes that can be had here, times float and converted files side by side, and writes a table.

    python benches/targets.py FOLDER --fourbit target/release/fourbit --table docs/targets.md

FOLDER and its index.json are as zoo_table.py takes them. Every model named with --only is converted for each target, at each of
the precisions given there, with the same calibration samples. Then, in one process and with the same number of threads, float
model and converted file take turns on the same batch: the table has the median of the ratios of neighbouring runs, so that what
else the machine does meets both. Accuracy is top-1 of the runtime itself on --limit test samples, or the SQNR of its
outputs against the float model's where there are no labels. For onnxruntime the table has the operators of the optimized graph.

Needs the packages numpy, onnx, onnxruntime, openvino, and pillow for folders of pictures.
"""

import argparse
import fnmatch
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import zoo_table

# Target, precision, further options, and where the file runs.
ROWS = [
    ("generic", "w4", [], "onnxruntime"),
    ("ort-cpu", "w4", [], "onnxruntime"),
    ("generic", "w4a8", [], "onnxruntime"),
    ("ort-cpu-int8", "w4a8", [], "onnxruntime"),
    ("openvino", "w4", [], "openvino"),
    ("openvino", "w4a8", [], "openvino"),
    ("openvino", "w4a8", ["--storage", "packed"], "openvino"),
]
COUNTED = ["QLinearConv", "Conv", "FusedConv", "QLinearAdd", "Add", "QGemm", "Gemm", "QLinearMatMul", "MatMulIntegerToFloat", "MatMul", "MatMulNBits"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fourbit", type=Path, default=Path("target/release/fourbit"), help="the program")
    parser.add_argument("--only", default="resnet44_cifar10,mobilenetv2_imagenette,squeezenet11_imagenet,aidreams260k", help="comma-separated globs")
    parser.add_argument("--samples", type=int, default=128, metavar="N", help="calibration samples (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=1000, metavar="N", help="test samples (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="samples a run, where the model leaves it open (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=40, help="pairs of timed runs (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("target/targets"), help="for files made (default: %(default)s)")
    parser.add_argument("--table", type=Path, help="the file to write (default: standard output)")
    return parser.parse_args()


class OnnxRuntime:
    def __init__(self, path, threads, keep=None):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        if keep:
            options.optimized_model_filepath = str(keep)
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(self, feed):
        return self.session.run(None, feed)


class OpenVino:
    def __init__(self, path, threads, keep=None):
        core = openvino.Core()
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1}
        self.model = core.compile_model(core.read_model(str(path)), "CPU", settings)

    def run(self, feed):
        found = self.model(feed)
        return [found[output] for output in self.model.outputs]


RUNTIMES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}


def feeds(path, model, batch):
    """The samples in batches as the model takes them, and their labels."""
    archive = np.load(path)
    labels = archive["labels"] if "labels" in archive.files else None
    names = [name for name in archive.files if name != "labels"]
    declared = {value.name: value.shape for value in onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"]).get_inputs()}
    first = archive[names[0]]
    rowwise = first.ndim == len(declared[names[0]])
    open_batch = rowwise and not isinstance(declared[names[0]][0], int)
    size = batch if open_batch else 1
    rows = []
    for start in range(0, len(first), size):
        take = (lambda array: array[start : start + size]) if rowwise else (lambda array: array[start])
        rows.append({name: take(archive[name]) for name in names})
    return rows, labels


def judge(float_model, model, rows, labels):
    """Top-1 of both models, or the SQNR of the second one's outputs."""
    right, noise, signal, count = [0, 0], 0.0, 0.0, 0
    for feed in rows:
        wanted, found = (runner.run(feed) for runner in (float_model, model))
        if labels is not None:
            truth = labels[count : count + len(wanted[0])]
            for at, scores in enumerate((wanted[0], found[0])):
                right[at] += int((scores.reshape(len(truth), -1).argmax(1) == truth).sum())
            count += len(truth)
        else:
            for a, b in zip(wanted, found):
                signal += (a.astype(np.float64) ** 2).sum()
                noise += ((a.astype(np.float64) - b) ** 2).sum()
    if labels is not None:
        return f"{100 * right[0] / count:.2f} -> {100 * right[1] / count:.2f} % on {count}"
    return f"{10 * np.log10(signal / max(noise, 1e-300)):.1f} dB on {len(rows)}"


def ratio(float_model, model, feed, runs):
    """How much longer the second model takes, and the milliseconds of the first: medians over runs in turns."""
    ratios, times = [], []
    for at in range(runs + 3):
        taken = []
        for runner in (float_model, model):
            start = time.perf_counter()
            runner.run(feed)
            taken.append(time.perf_counter() - start)
        if at >= 3:
            ratios.append(taken[1] / taken[0])
            times.append(1000 * taken[0])
    return statistics.median(ratios), statistics.median(times)


def row(options, entry, model, calibration, test, target, precision, more, runtime):
    name = "-".join([model.stem, target, precision, *[word.strip("-") for word in more], runtime])
    path = options.out / f"{name}.onnx"
    command = [options.fourbit, "quantize", model, "-o", path, "--target", target, "--precision", precision, "--overwrite", "--format", "json"]
    command += ["--calibration", calibration, "--max-samples", str(options.samples), *more]
    made = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if made.returncode not in (0, 4):
        said = made.stderr.strip().splitlines()
        return f"| {model.stem} | {target} | {precision} | {' '.join(more)} | {runtime} | {said[-1] if said else 'failed'} | | | |"
    kept = options.out / "optimized.onnx"
    rows, labels = feeds(test, model, options.batch)
    float_model = RUNTIMES[runtime](model, options.threads)
    converted = RUNTIMES[runtime](path, options.threads, kept if runtime == "onnxruntime" else None)
    accuracy = judge(float_model, converted, rows, labels)
    slower, milliseconds = ratio(float_model, converted, rows[0], options.runs)
    operators = ""
    if runtime == "onnxruntime":
        found = Counter(node.op_type for node in onnx.load(kept).graph.node)
        operators = ", ".join(f"{found[name]} {name}" for name in COUNTED if found[name])
    size = path.stat().st_size / model.stat().st_size
    return (
        f"| {model.stem} | {target} | {precision} | {' '.join(more)} | {runtime} | {accuracy} | {size:.3f} "
        f"| {slower:.2f} (of {milliseconds:.1f} ms) | {operators} |"
    )


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    entries = json.loads((options.folder / "index.json").read_text())
    lines = []
    for entry in entries:
        model = options.folder / entry["model"]
        if not any(fnmatch.fnmatch(model.stem, glob) for glob in options.only.split(",")):
            continue
        calibration, test, _ = zoo_table.samples(options, entry, model)
        for target, precision, more, runtime in ROWS:
            line = row(options, entry, model, calibration, test, target, precision, more, runtime)
            print(line, file=sys.stderr, flush=True)
            lines.append(line)
    header = [
        "| model | target | precision | options | runtime | top-1, or SQNR | size | time | operators in onnxruntime |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    table = "\n".join(header + lines) + "\n"
    if options.table:
        before, _, old = options.table.read_text().partition(header[0]) if options.table.exists() else ("", "", "")
        after = "".join(old.partition("\n## ")[1:])
        options.table.write_text(before + table + after)
    else:
        print(table)


if __name__ == "__main__":
    main()
