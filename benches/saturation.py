"""What 8-bit weights lose where kernels saturate: converts labelled models with held and with all codes, and scores the files in onnxruntime.

    python benches/saturation.py FOLDER --fourbit target/release/fourbit

FOLDER and its index.json are as zoo_table.py takes them; entries with "metric": "top1" are used. Each is converted at w8a8 for each
target, by default and with --full-range, and runs with onnxruntime's default optimizations on all test samples; files with all codes also
with session.x64quantprecision set to 1. The SQNR of outputs in the report, on --validate test samples, stands beside the one measured.
The figures differ from those of the report only on x86 without VNNI.

Needs the packages numpy, onnx, onnxruntime, and pillow for folders of pictures.
"""

import argparse
import fnmatch
import json
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import zoo
import zoo_table

BATCH = 50


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fourbit", type=Path, default=Path("target/release/fourbit"), help="the program")
    parser.add_argument("--only", default="*", metavar="GLOB", help="models by name")
    parser.add_argument("--targets", default="generic,ort-cpu-int8", help="comma-separated (default: %(default)s)")
    parser.add_argument("--samples", type=int, default=512, metavar="N", help="calibration samples (default: %(default)s)")
    parser.add_argument("--validate", type=int, default=500, metavar="N", help="test samples for the report (default: %(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="test samples in onnxruntime (default: all)")
    parser.add_argument("--out", type=Path, default=Path("target/saturation"), help="for files made (default: %(default)s)")
    return parser.parse_args()


def answers(path, inputs, precise=False):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if precise:
        options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    first = session.get_inputs()[0]
    size = first.shape[0] if isinstance(first.shape[0], int) else BATCH
    found = [session.run(None, {first.name: inputs[at : at + size]})[0] for at in range(0, len(inputs), size)]
    return np.concatenate(found).reshape(len(inputs), -1).astype(np.float64)


def judged(wanted, found, labels):
    right = [100 * float((scores.argmax(1) == labels).mean()) for scores in (wanted, found)]
    noise = max(((wanted - found) ** 2).sum(), 1e-300)
    agree = 100 * float((wanted.argmax(1) == found.argmax(1)).mean())
    return f"{right[0] - right[1]:+.2f}, {agree:.1f} %, {10 * np.log10((wanted**2).sum() / noise):.1f} dB"


def converted(options, model, target, more, calibration, validation):
    """The file, and the SQNR that its report says."""
    output = options.out / "-".join([model.stem, target, *[word.strip("-") for word in more]])
    output = output.with_suffix(".onnx")
    report = output.with_suffix(".json")
    command = [options.fourbit, "quantize", model, "-o", output, "--target", target, "--precision", "w8a8", "--report", report]
    command += ["--calibration", calibration, "--max-samples", options.samples, "--validation", validation, "--overwrite", "-q", *more]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    return output, json.loads(report.read_text())["verdict"]["outputs"][0]["sqnr_db"]


def rows(options, entry, model):
    calibration, test, _ = zoo_table.samples(options, entry, model)
    with np.load(test) as archive:
        arrays = dict(archive)
    labels = arrays.pop("labels")
    [(name, inputs)] = arrays.items()
    validation = options.out / f"{model.stem}.npz"
    zoo.save(validation, {name: inputs[: options.validate], "labels": labels[: options.validate]})
    wanted = answers(model, inputs)
    for target in options.targets.split(","):
        held, said = converted(options, model, target, [], calibration, validation)
        full, said_full = converted(options, model, target, ["--full-range"], calibration, validation)
        cells = [model.stem, target, f"{said:.1f} dB", judged(wanted, answers(held, inputs), labels), f"{said_full:.1f} dB"]
        cells.append(judged(wanted, answers(full, inputs), labels))
        try:
            cells.append(judged(wanted, answers(full, inputs, precise=True), labels))
        except Exception as error:  # onnxruntime has no class for files that it makes wrong ones of.
            cells.append(f"fails: {type(error).__name__}")
        print(f"| {' | '.join(cells)} |", flush=True)


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    print("| model | target | report | held to -64..64 | report | all codes | all codes, x64quantprecision |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for entry in json.loads((options.folder / "index.json").read_text()):
        model = options.folder / entry["model"]
        if entry.get("metric") == "top1" and fnmatch.fnmatch(model.stem, options.only):
            rows(options, entry, model)


if __name__ == "__main__":
    main()
