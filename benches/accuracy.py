"""What conversions cost, as tables in Markdown: fourbit's beside those of onnxruntime's static quantizer.

    python benches/accuracy.py FOLDER --fourbit target/release/fourbit

FOLDER and its samples are as in zoo.py; entries of index.json whose "metric" is "sqnr_db_vs_float" are taken too, with
.npz files that hold one array an input. Every figure is measured by onnxruntime, with its default optimizations, on the
written file and on samples that were not used for calibration. onnxruntime's quantizer gets INT4 weights per channel, UINT8
activations and MinMax, after its own preparation of the model.

Needs the packages numpy, onnx, onnxruntime, sympy, and pillow for folders of pictures.
"""

import argparse
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

import against_onnxruntime
import zoo

# Column, precision, further arguments; None for onnxruntime's own quantizer.
TOP1 = [
    ("w4a8 by onnxruntime", None, []),
    ("w4, no samples", "w4", []),
    ("w4a8", "w4a8", []),
    ("w4a4", "w4a4", []),
    ("w4a8 within 1 point", "w4a8", ["--max-drop", "1.0"]),
    ("w4 within 1 point", "w4", ["--max-drop", "1.0"]),
]
BUDGETED = ("w4a8 within 1 point", "w4 within 1 point")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a zoo, or a folder with index.json")
    parser.add_argument("--fourbit", type=Path, default=Path("target/release/fourbit"), help="the program")
    parser.add_argument("--only", default="*", metavar="GLOB", help="models by name")
    parser.add_argument("--samples", type=int, default=512, metavar="N", help="calibration samples (default: %(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="score the first N validation samples only")
    parser.add_argument("--out", type=Path, default=Path("target/accuracy"), help="for files made (default: %(default)s)")
    return parser.parse_args()


def fourbit(options, model, output, calibration, validation, precision, extra):
    """The report of one conversion."""
    report = output.with_suffix(".json")
    command = [options.fourbit, "quantize", model, "-o", output, "--overwrite", "-q", "--precision", precision]
    command += ["--report", report, "--validation", validation, *extra]
    if calibration:
        command += ["--calibration", calibration, "--max-samples", options.samples]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    # 3: written, but beyond the limits.
    if done.returncode not in (0, 3, 4):
        raise RuntimeError((done.stderr.strip().splitlines() or ["nothing said"])[-1])
    return json.loads(report.read_text())


def theirs(options, model, calibration, output):
    """onnxruntime's own conversion."""
    with np.load(calibration) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "labels"}
    count = min(options.samples, *(len(array) for array in arrays.values()))
    arrays = {name: array[:count] for name, array in arrays.items()}
    feeds = against_onnxruntime.batches(model, arrays, count, 50)
    job = argparse.Namespace(model=model)
    against_onnxruntime.onnxruntime_seconds(job, feeds, output.parent)
    (output.parent / "onnxruntime.onnx").replace(output)


def labelled(options):
    head = ["model", "samples", "float"] + [name for name, *_ in TOP1]
    print("| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
    bits = {name: [] for name in BUDGETED}
    for name, make in zoo.cases(options):
        case = make()
        with np.load(case.validation) as arrays:
            rows = len(arrays["labels"])
        exact = zoo.top1(case.model, case.validation, None, True)
        cells = [name, f"{rows:,}", f"{exact:.2f}"]
        for column, precision, extra in TOP1:
            output = options.out / f"{name}.{column.replace(' ', '-').replace(',', '')}.onnx"
            try:
                if precision is None:
                    theirs(options, case.model, case.calibration, output)
                elif "no samples" in column:
                    # A copy by itself: samples that lie beside a model are found.
                    with tempfile.TemporaryDirectory() as folder:
                        alone = Path(shutil.copy(case.model, folder))
                        report = fourbit(options, alone, output, None, case.validation, precision, extra)
                    assert report["calibration"] is None
                else:
                    report = fourbit(options, case.model, output, case.calibration, case.validation, precision, extra)
                cell = f"{zoo.top1(output, case.validation, None, True):.2f}"
                if column in bits:
                    bits[column].append(report["sizes"]["effective_bits"])
                    cell += f" at {bits[column][-1]:.2f} bits" + ("" if report["budget"]["met"] else ", not kept")
                cells.append(cell)
            except Exception as error:  # One bad model must not hide the others.
                cells.append(f"{type(error).__name__}: {' '.join(str(error).split())[:80]}")
        print("| " + " | ".join(cells) + " |", flush=True)
    for column, found in bits.items():
        if found:
            print(f"\n{column}: {np.mean(found):.2f} bits per parameter on average over the models.")


def outputs(model, samples):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    count = len(next(iter(samples.values())))
    return [session.run(None, {name: np.asarray(array[row]) for name, array in samples.items()})[0] for row in range(count)]


def sqnr(exact, other):
    signal = sum(float((one.astype(np.float64) ** 2).sum()) for one in exact)
    noise = sum(float(((one.astype(np.float64) - two) ** 2).sum()) for one, two in zip(exact, other))
    return 10 * np.log10(signal / max(noise, 1e-300))


def unlabelled(options):
    index = options.folder / "index.json"
    entries = json.loads(index.read_text()) if index.is_file() else []
    entries = [entry for entry in entries if entry.get("metric") == "sqnr_db_vs_float"]
    if not entries:
        return
    print("\nSQNR of the first output in dB, w4a8:\n\n| model | samples | onnxruntime | fourbit |\n|" + " --- |" * 4)
    for entry in entries:
        model = options.folder / entry["model"]
        if not zoo.fnmatch.fnmatch(model.stem, options.only):
            continue
        test, calibration = options.folder / entry["test"], options.folder / entry["calibration"]
        with np.load(test) as stored:
            samples = {name: stored[name] for name in stored.files}
        exact = outputs(model, samples)
        cells = [model.stem, str(len(exact))]
        for who in ("onnxruntime", "fourbit"):
            output = options.out / f"{model.stem}.{who}.onnx"
            try:
                if who == "onnxruntime":
                    theirs(options, model, calibration, output)
                else:
                    fourbit(options, model, output, calibration, test, "w4a8", [])
                cells.append(f"{sqnr(exact, outputs(output, samples)):.1f}")
            except Exception as error:  # One bad model must not hide the others.
                cells.append(f"{type(error).__name__}: {' '.join(str(error).split())[:80]}")
        print("| " + " | ".join(cells) + " |", flush=True)


def main():
    options = arguments()
    logging.disable(logging.WARNING)
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"Made by `python benches/accuracy.py FOLDER --samples {options.samples}`.\n")
    labelled(options)
    unlabelled(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
