"""Converts models for the runtimes that can be had here, times float and converted files side by side, and writes a table.

    python benches/targets.py FOLDER --fourbit target/release/fourbit --table docs/targets.md

FOLDER and its index.json are as zoo_table.py takes them. Every model named with --only is converted for each row of ROWS, with the
same calibration samples. Then targets_run.py runs in one process, with the same number of threads, the float model, the converted
file, and the file of the same plan in the other storage that the row names. They take turns on the same batch: the table has the medians
of the ratios of neighbouring runs, so that what else the machine does meets all. Accuracy is top-1 of the runtime itself on --limit
test samples, or the SQNR of its outputs against the float model's where there are no labels.

Rows for onnxruntime 1.17 need --old, a folder with its packages, as `pip install --target FOLDER -r
tests/runtimes/onnxruntime-1.17.txt` makes it; without it they are left out.

Needs the packages numpy, onnx, onnxruntime, openvino, and pillow for folders of pictures.
"""

import argparse
import fnmatch
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import onnx
import zoo_table

# Target, precision, further options, where the file runs, and the storage of the file beside it: packed for float layers, int8 for
# integer ones.
ROWS = [
    ("generic", "w4", [], "onnxruntime", None),
    ("ort-cpu", "w4", [], "onnxruntime", "packed"),
    ("portable", "w4", [], "onnxruntime", "packed"),
    ("portable", "w4", [], "onnxruntime-1.17", "int8"),
    ("ort-cpu-int8", "w4a8", [], "onnxruntime", "int8"),
    ("ort-cpu", "w4a8", [], "onnxruntime", "int8"),
    ("portable", "w4a8", [], "onnxruntime", "int8"),
    ("openvino", "w4", [], "openvino", "packed"),
    ("portable", "w4", [], "openvino", "packed"),
    ("openvino", "w4a8", [], "openvino", "int8"),
    ("portable", "w4a8", [], "openvino", "int8"),
]
# The opset that a storage needs.
OPSETS = {"packed": "21", "int8": "13"}
MODELS = [
    "resnet44_cifar10",
    "mobilenetv2_imagenette",
    "squeezenet11_imagenet",
    "resnet20_cifar10",
    "fer_mini_xception",
    "ultraface_rfb320",
    "dtln_1",
    "aidreams260k",
]
FUSED = ["QLinearConv", "QLinearAdd", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat", "FusedConv", "MatMulNBits"]
PLAIN = ["Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "DynamicQuantizeLSTM", "DequantizeLinear"]
HEADER = [
    "| model | target | precision | runtime | top-1, or SQNR | size | load | time | beside | size | time | outputs | operators in onnxruntime |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fourbit", type=Path, default=Path("target/release/fourbit"), help="the program")
    parser.add_argument("--only", default=",".join(MODELS), help="comma-separated globs (default: %(default)s)")
    parser.add_argument("--samples", type=int, default=64, metavar="N", help="calibration samples (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=256, metavar="N", help="test samples (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="samples a run, where the model leaves it open (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=15, help="timed runs of each file, in turns (default: %(default)s)")
    parser.add_argument("--old", type=Path, metavar="FOLDER", help="packages of onnxruntime 1.17")
    parser.add_argument("--out", type=Path, default=Path("target/targets"), help="for files made (default: %(default)s)")
    parser.add_argument("--table", type=Path, help="the file to write (default: standard output)")
    return parser.parse_args()


class Models:
    """Converted files of one model. Each plan is made once, and written in the storage of its target or in another."""

    def __init__(self, options, model, calibration):
        self.options, self.model, self.calibration, self.made = options, model, calibration, {}

    def plan(self, target, precision, more):
        """A path, or what the program said."""
        name = "-".join([self.model.stem, target, precision, *[word.strip("-") for word in more]])
        path = self.options.out / f"{name}.plan.json"
        samples = ["--calibration", self.calibration, "--max-samples", self.options.samples, "--jobs", self.options.threads]
        return self.once("plan", path, "--target", target, "--precision", precision, *more, *samples)

    def file(self, plan, storage=None):
        """The file of a plan, or what the program said."""
        if storage:
            held = json.loads(plan.read_text(encoding="utf-8"))
            held |= {"container": storage, "opset": OPSETS[storage]}
            plan = plan.with_name(f"{plan.name.removesuffix('.plan.json')}-{storage}.plan.json")
            plan.write_text(json.dumps(held), encoding="utf-8")
        return self.once("apply", plan.with_name(plan.name.removesuffix(".plan.json") + ".onnx"), plan)

    def once(self, verb, path, *more):
        if path not in self.made:
            input_, *more = (self.model, *more)
            # The plan that is applied comes before the output.
            plan = [more.pop(0)] if verb == "apply" else []
            command = [self.options.fourbit, verb, input_, *plan, "-o", path, "--overwrite", *more]
            made = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
            said = made.stderr.strip().splitlines()
            self.made[path] = path if made.returncode == 0 else said[-1] if said else "failed"
        return self.made[path]


def declared(model):
    inputs = onnx.load(model, load_external_data=False).graph.input
    dims = {value.name: value.type.tensor_type.shape.dim for value in inputs}
    return {name: [dim.dim_value if dim.HasField("dim_value") else None for dim in found] for name, found in dims.items()}


def measured(options, models, test, file, beside, runtime):
    """What targets_run.py says, or its last word; the operators of the optimized graph."""
    name, old, _ = runtime.partition("-1.17")
    job = {"runtime": name, "float": models.model, "file": file, "beside": beside, "test": test, "declared": declared(models.model)}
    job |= {key: getattr(options, key) for key in ("batch", "limit", "threads", "runs")}
    optimized = options.out / "optimized.onnx"
    if name == "onnxruntime":
        job["optimized"] = optimized
    path = options.out / "job.json"
    path.write_text(json.dumps(job, default=str), encoding="utf-8")
    environment = os.environ | ({"PYTHONPATH": str(options.old)} if old else {})
    command = [sys.executable, Path(__file__).with_name("targets_run.py"), path]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if ran.returncode:
        said = ran.stderr.strip().splitlines()
        return said[-1][:120].replace("|", "/") if said else f"ended with {ran.returncode}", ""
    found = Counter(node.op_type for node in onnx.load(optimized).graph.node) if name == "onnxruntime" else {}
    return json.loads(ran.stdout), ", ".join(f"{found[it]} {it}" for it in [*FUSED, *PLAIN] if found.get(it))


def row(options, models, test, target, precision, more, runtime, storage):
    start = f"| {models.model.stem} | {target} | {' '.join([precision, *more])} | {runtime}"
    plan = models.plan(target, precision, more)
    file = plan if isinstance(plan, str) else models.file(plan)
    if isinstance(file, str):
        return f"{start} | {file} | | | | | | | | |"
    beside = models.file(plan, storage) if storage else None
    said, operators = measured(options, models, test, file, beside, runtime)
    if isinstance(said, str):
        return f"{start} | {said} | | | | | | | | |"
    size = file.stat().st_size
    loads = f"{said['loads'][0]:.0f} -> {said['loads'][1]:.0f} ms"
    cells = [start, said["accuracy"], f"{size / models.model.stat().st_size:.3f}", loads, f"{said['ratio']:.2f} (of {said['float']:.1f} ms)"]
    if "distance" in said:
        equal = "equal bits" if said["distance"] == 0 else f"{said['distance']:.0e}"
        cells += [storage, f"{size / beside.stat().st_size:.2f}", f"{said['beside_ratio']:.2f}", equal]
    else:
        cells += [f"{storage}, refused" if storage else "", "", "", ""]
    return " | ".join([*cells, operators]) + " |"


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    entries = {Path(entry["model"]).stem: entry for entry in json.loads((options.folder / "index.json").read_text())}
    lines = []
    for name in (name for glob in options.only.split(",") for name in entries if fnmatch.fnmatch(name, glob)):
        model = options.folder / entries[name]["model"]
        calibration, test, _ = zoo_table.samples(options, entries[name], model)
        models = Models(options, model, calibration)
        for each in ROWS:
            if each[3].endswith("-1.17") and not options.old:
                continue
            line = row(options, models, test, *each)
            print(line, file=sys.stderr, flush=True)
            lines.append(line)
    table = "\n".join(HEADER + lines) + "\n"
    if options.table:
        before, _, old = options.table.read_text().partition(HEADER[0]) if options.table.exists() else ("", "", "")
        after = old.partition("\n## ")
        options.table.write_text(before + table + "".join(after[1:]))
    else:
        print(table)


if __name__ == "__main__":
    main()
