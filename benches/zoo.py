"""Converts every model of a folder with fourbit and scores the files with onnxruntime, which shares no code with it.

    python benches/zoo.py FOLDER --fourbit target/release/fourbit --precision w4,w4a8

FOLDER is one of

  * a zoo: FOLDER/NAME/model.onnx, with calibration.npz and validation.npz beside it. Both hold arrays keyed by the
    model's input names, samples first; validation.npz holds class indices under `labels` too.
  * a folder with index.json: a list of objects, of which those with "metric": "top1" are taken. Keys:
      model          the .onnx file
      calibration    samples for calibration          \\ an .npz with uint8 pictures under `x` and labels under `y`,
      test           labelled samples for scoring     /  or a folder of pictures with labels.json beside the folder:
                                                         {"FOLDER NAME": [[file, label, other label], ...]}
      labels         "y" for the first label of each row of labels.json, anything else for the second
      inputs         [[name, [batch, ...]], ...]
      preprocess     channel_order (RGB, BGR, gray), divide_by, then_subtract_mean, then_divide_by_std, model_layout
                     (NCHW, NHWC); for folders also shorter_side, centre_crop, then_resize
    Pixels are made into samples once and kept under --out.

Every model is converted at every precision, then the float and the quantized file run in onnxruntime on the samples
that fourbit judged them by. A line fails where the conversion or onnxruntime fails, or where onnxruntime's top-1 of
the quantized file is further than --tolerance points from fourbit's. Exit code 1 if any line failed.

Needs the packages numpy, onnxruntime, and pillow for folders of pictures.
"""

import argparse
import fnmatch
import hashlib
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

# Samples run at once where the model leaves the batch open.
BATCH = 50


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a zoo, or a folder with index.json")
    parser.add_argument("--fourbit", type=Path, default=Path("target/release/fourbit"), help="the program")
    parser.add_argument("--precision", default="w4,w4a8", help="comma-separated (default: %(default)s)")
    parser.add_argument("--weights", help="comma-separated storage types, each tried: int4,uint4 ...")
    parser.add_argument("--only", default="*", metavar="GLOB", help="models by name")
    parser.add_argument("--samples", type=int, metavar="N", help="calibration samples (default: fourbit's)")
    parser.add_argument("--limit", type=int, metavar="N", help="score the first N validation samples only")
    parser.add_argument("--no-calibration", action="store_true", help="give weight-only conversions no samples")
    parser.add_argument("--tolerance", type=float, default=0.3, metavar="POINTS", help="default: %(default)s")
    parser.add_argument("--as-written", action="store_true", help="switch onnxruntime's optimizations off, which round\
 biases of quantized layers to integers and reorder sums, so that it runs what the file says")
    parser.add_argument("--out", type=Path, default=Path("target/zoo"), help="for files made (default: %(default)s)")
    return parser.parse_args()


# Models and their samples.


class Case:
    """A model, and .npz files that can be fed to it as they are."""

    def __init__(self, name, model, calibration, validation):
        self.name, self.model, self.calibration, self.validation = name, model, calibration, validation


def cases(options):
    index = options.folder / "index.json"
    found = indexed(options, json.loads(index.read_text())) if index.is_file() else zoo(options)
    for name, make in found:
        if fnmatch.fnmatch(name, options.only):
            yield name, make


def zoo(options):
    for model in sorted(options.folder.glob("*/model.onnx")):

        def make(model=model):
            validation = model.parent / "validation.npz"
            if options.limit:
                validation = shortened(validation, options.out / "samples" / model.parent.name, options.limit)
            calibration = model.parent / "calibration.npz"
            return Case(model.parent.name, model, calibration if calibration.is_file() else None, validation)

        yield model.parent.name, make


def shortened(source, folder, limit):
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"validation-{limit}.npz"
    if not target.is_file() or target.stat().st_mtime < source.stat().st_mtime:
        with np.load(source) as arrays:
            save(target, {name: arrays[name][:limit] for name in arrays.files})
    return target


def indexed(options, entries):
    for entry in entries:
        if entry.get("metric") == "top1":
            model = options.folder / entry["model"]

            def make(entry=entry, model=model):
                calibration = prepared(options, entry, "calibration", None) if "calibration" in entry else None
                return Case(model.stem, model, calibration, prepared(options, entry, "test", options.limit))

            yield model.stem, make


def prepared(options, entry, split, limit):
    """The model-ready samples of a split, made if they are not there yet."""
    source = options.folder / entry[split]
    key = json.dumps([entry[split], entry["inputs"], entry.get("labels"), entry["preprocess"], limit, VERSION])
    name = f"{split}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"
    target = options.out / "samples" / Path(entry["model"]).stem / name
    if target.is_file() and target.stat().st_mtime > source.stat().st_mtime:
        return target
    pictures, labels = stored(source, entry, limit)
    target.parent.mkdir(parents=True, exist_ok=True)
    save(target, {entry["inputs"][0][0]: normalised(pictures, entry["preprocess"]), "labels": labels})
    return target


# Raised when the samples made from the same entry change, so that kept ones are made again.
VERSION = 1


def stored(source, entry, limit):
    """Pictures as uint8, samples first and channels last, and their labels."""
    if not source.is_dir():
        with np.load(source) as arrays:
            return arrays["x"][:limit], arrays["y"][:limit].astype(np.int64)
    rows = json.loads((source.parent / "labels.json").read_text())[source.name][:limit]
    column = 1 if entry.get("labels", "y") == "y" else 2
    pictures = np.stack([picture(source / row[0], entry["preprocess"]) for row in rows])
    return pictures, np.array([row[column] for row in rows], np.int64)


def picture(path, rules):
    from PIL import Image

    with Image.open(path) as opened:
        image = opened.convert("L" if rules["channel_order"] == "gray" else "RGB")
    side = rules.get("shorter_side")
    if side and min(image.size) != side:
        scale = side / min(image.size)
        image = image.resize([max(side, round(length * scale)) for length in image.size], Image.BILINEAR)
    crop = rules.get("centre_crop")
    if crop:
        left, top = ((length - crop) // 2 for length in image.size)
        image = image.crop((left, top, left + crop, top + crop))
    size = rules.get("then_resize")
    if size and image.size != (size, size):
        image = image.resize((size, size), Image.BILINEAR)
    return np.asarray(image).reshape(image.height, image.width, -1)


def normalised(pictures, rules):
    if pictures.ndim == 3:
        pictures = pictures[..., None]
    if rules["channel_order"] == "BGR":
        pictures = pictures[..., ::-1]
    first = rules["model_layout"] == "NCHW"
    count, height, width, channels = pictures.shape
    shape = (count, channels, height, width) if first else (count, height, width, channels)
    result = np.empty(shape, np.float32)
    divisor = np.float32(rules["divide_by"])
    mean = np.array(rules["then_subtract_mean"], np.float32)
    deviation = np.array(rules["then_divide_by_std"], np.float32)
    for start in range(0, count, 256):
        part = (pictures[start : start + 256].astype(np.float32) / divisor - mean) / deviation
        result[start : start + 256] = part.transpose(0, 3, 1, 2) if first else part
    return result


def save(target, arrays):
    """Writes to a temporary name first, so that what an interruption leaves is never taken for samples."""
    half = target.with_suffix(".half.npz")
    np.savez(half, **arrays)
    half.replace(target)


# Running.


def convert(options, case, precision, weights, output):
    """Runs `fourbit quantize`; returns its report and the seconds it took."""
    report, log = output.with_suffix(".json"), output.with_suffix(".log")
    for path in (output, report):
        path.unlink(missing_ok=True)
    command = [options.fourbit, "quantize", case.model, "-o", output, "--precision", precision]
    command += ["--report", report, "--overwrite", "-q", "--validation", case.validation]
    if case.calibration and ("a" in precision or not options.no_calibration):
        command += ["--calibration", case.calibration]
        if options.samples:
            command += ["--max-samples", str(options.samples)]
    if weights:
        command += ["--weights", weights]
    start = time.monotonic()
    with open(log, "wb") as stream:
        code = subprocess.run([str(word) for word in command], stdout=stream, stderr=subprocess.STDOUT).returncode
    seconds = time.monotonic() - start
    if code != 0:
        lines = log.read_text(errors="replace").strip().splitlines()
        raise RuntimeError(f"fourbit exited with {code}: {lines[-1] if lines else 'nothing said'}")
    return json.loads(report.read_text()), seconds


def first_outputs(model, samples, rows=None, optimized=True, threads=0):
    """onnxruntime's first output on each of the first `rows` samples; of a call whose outputs are no rows of samples, its whole."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Otherwise fused 4-bit products round their float inputs to 8 bits, which the file does not ask for.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    # Initializers that are graph inputs too are no inputs to feed.
    inputs = [value for value in session.get_inputs() if value.name in samples]
    given = min(len(samples[value.name]) for value in inputs)
    rows = min(rows or given, given)
    stacked = all(samples[value.name].ndim == len(value.shape) for value in inputs)
    batch = inputs[0].shape[0] if stacked else 1
    if isinstance(batch, int) and batch > 0:
        rows -= rows % batch
    else:
        batch = BATCH
    found = []
    for start in range(0, rows, batch):
        end = min(start + batch, rows)
        feed = {value.name: samples[value.name][start:end] if stacked else samples[value.name][start] for value in inputs}
        first = session.run(None, feed)[0]
        found.extend(first if stacked and first.ndim and len(first) == end - start else [first])
    return found


def classes(model, samples, rows, optimized):
    """The class that onnxruntime gives to each of the first `rows` samples."""
    return np.array([one.reshape(-1).argmax() for one in first_outputs(model, samples, rows, optimized)])


def top1(model, validation, rows, optimized):
    with np.load(validation) as arrays:
        samples = {name: arrays[name] for name in arrays.files}
    labels = samples.pop("labels")
    chosen = classes(model, samples, min(rows or len(labels), len(labels)), optimized)
    return 100 * float((chosen == labels[: len(chosen)]).mean())


def scores(report):
    """What fourbit reports of the samples it judged by: rows and the quantized model's top-1 in per cent."""
    verdict = report.get("verdict", {})
    found = verdict.get("scores")
    if not found:
        raise RuntimeError(f"not scored: {verdict.get('reason', 'no labels in the report')}")
    return found["rows"], 100 * found["quantized_top1"]


COLUMNS = "{:<32} {:<12} {:>7} {:>8} {:>8} {:>8} {:>7} {:>8} {:>8}"


def line(options, case, precision, weights, floats):
    label = " ".join(filter(None, [precision, weights]))
    output = options.out / "models" / f"{case.name}.{label.replace(' ', '.')}.onnx"
    output.parent.mkdir(parents=True, exist_ok=True)
    report, seconds = convert(options, case, precision, weights, output)
    rows, reported = scores(report)
    if rows not in floats:
        floats[rows] = top1(case.model, case.validation, rows, not options.as_written)
    measured = top1(output, case.validation, rows, not options.as_written)
    difference = measured - reported
    peak = report.get("peak_memory")
    print(
        COLUMNS.format(
            case.name,
            label,
            f"{output.stat().st_size / case.model.stat().st_size:.3f}",
            f"{floats[rows]:.2f}",
            f"{reported:.2f}",
            f"{measured:.2f}",
            f"{difference:+.2f}",
            f"{seconds:.2f}",
            f"{peak / 1e6:.0f}" if peak else "-",
        ),
        flush=True,
    )
    if abs(difference) > options.tolerance + 1e-9:
        raise RuntimeError(f"onnxruntime and fourbit differ by more than {options.tolerance} points")
    return floats[rows] - measured, seconds


def main():
    options = arguments()
    precisions = options.precision.split(",")
    storages = options.weights.split(",") if options.weights else [None]
    head = ["model", "precision", "ratio", "float", "fourbit", "ort", "diff", "seconds", "MB"]
    print(COLUMNS.format(*head))
    done, failed = [], 0
    for name, make in cases(options):
        floats, case = {}, None
        for precision, weights in itertools.product(precisions, storages):
            try:
                case = case or make()
                done.append(line(options, case, precision, weights, floats))
            except Exception as error:  # One bad model must not hide the others.
                failed += 1
                words = " ".join(str(error).split())[:300]
                print(f"FAILED {name} {precision} {weights or ''}: {type(error).__name__}: {words}", flush=True)
    drops = [drop for drop, _ in done]
    print(
        f"{len(done)} passed, {failed} failed"
        + (f"; drop in onnxruntime: mean {np.mean(drops):.2f}, largest {max(drops):.2f} points" if drops else "")
        + f"; {sum(seconds for _, seconds in done):.1f} s in fourbit"
    )
    if not done and not failed:
        print(f"no model in {options.folder} matches {options.only}")
    return 1 if failed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
