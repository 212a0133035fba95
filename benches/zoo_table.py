"""Converts every model of a zoo at w4 and at w4a8, runs the results in onnxruntime beside the float models, and writes a table.

    python benches/zoo_table.py FOLDER --fourbit target/release/fourbit --table docs/zoo.md

FOLDER holds index.json, a list of objects: `model`, the .onnx file; `inputs`, [[name, shape], ...]; and where there are any,
`calibration` and `test`. Those of an entry with "metric": "top1" are as zoo.py takes them; others are .npz files with one
array an input, samples first. A model without samples is run on random numbers: dimensions that it leaves open are 1 where
they come first, and else the first of a few sizes that the float model runs with.

Every written file must pass the full check of onnx.checker and load; what of the float constants is left must be what the
report gives reasons for, byte by byte. Exit code 1 where a model does not convert at w4, or any of this does not hold.

Needs the packages numpy, onnx, onnxruntime, and pillow for folders of pictures.
"""

import argparse
import fnmatch
import itertools
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import zoo

SIZES = (16, 576, 16000, 224)
SCALARS = (1, 16000)
RANDOM = 8
DTYPES = {"float": np.float32, "double": np.float64, "float16": np.float16, "int64": np.int64, "int32": np.int32, "bool": bool}
FLOATS = {onnx.TensorProto.FLOAT: 4, onnx.TensorProto.DOUBLE: 8, onnx.TensorProto.FLOAT16: 2, onnx.TensorProto.BFLOAT16: 2}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fourbit", type=Path, default=Path("target/release/fourbit"), help="the program")
    parser.add_argument("--only", default="*", metavar="GLOB", help="models by name")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="test samples (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("target/zoo"), help="for files made (default: %(default)s)")
    parser.add_argument("--table", type=Path, help="the file to write (default: standard output)")
    return parser.parse_args()


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


# Samples.


def samples(options, entry, model):
    """Calibration file, test file, both of model-ready arrays; and whether they are random numbers."""
    if "test" not in entry:
        made = options.out / "samples" / model.stem
        made.mkdir(parents=True, exist_ok=True)
        files = made / "random-calibration.npz", made / "random-test.npz"
        for seed, file in enumerate(files):
            zoo.save(file, random_inputs(model, seed))
        return *files, True
    if entry.get("metric") == "top1":
        options.limit, limit = None, options.limit
        calibration = zoo.prepared(options, entry, "calibration", None)
        options.limit = limit
        return calibration, zoo.prepared(options, entry, "test", limit), False
    return options.folder / entry["calibration"], options.folder / entry["test"], False


def random_inputs(model, seed):
    """Arrays with samples first, of the first sizes that the model runs with."""
    runner, generator = session(model), np.random.default_rng(seed)
    for size, scalar in itertools.product(SIZES, SCALARS):
        arrays = {value.name: random_array(value, size, scalar, generator) for value in runner.get_inputs()}
        try:
            runner.run(None, {name: np.asarray(array[0]) for name, array in arrays.items()})
            return arrays
        except Exception:  # onnxruntime has no class for shapes that do not fit.
            continue
    raise RuntimeError("no sizes were found that the float model runs with")


def random_array(value, size, scalar, generator):
    open_sizes = itertools.chain([1], itertools.repeat(size))
    shape = []
    for at, dim in enumerate(value.shape):
        known = isinstance(dim, int) and dim > 0
        # A state's other dimensions are told; what it leaves open is the batch.
        shape.append(dim if known else 1 if at > 0 and len(value.shape) > 2 else next(open_sizes))
    dtype = DTYPES[value.type.removeprefix("tensor(").removesuffix(")")]
    full = (RANDOM, *shape)
    if np.issubdtype(dtype, np.floating):
        return generator.standard_normal(full).astype(dtype)
    return np.full(full, scalar, dtype)


def rows(file, runner, limit):
    """Samples to run one by one, each with the dimensions that the model wants."""
    with np.load(file) as arrays:
        held = {name: arrays[name] for name in arrays.files}
    names = [value for value in runner.get_inputs() if value.name in held]
    count = min(limit, len(held[names[0].name]))
    for at in range(count):
        row = {}
        for value in names:
            array = held[value.name]
            # Stored without the batch, or with one of its own for each sample.
            row[value.name] = array[at : at + 1] if array.ndim == len(value.shape) else array[at]
            row[value.name] = np.asarray(row[value.name])
        yield row


# Judging.


def ratio(model, written, file, limit):
    """SQNR of all float outputs together, each counted alike, in dB."""
    one, other = session(model), session(written)
    signal, noise = Counter(), Counter()
    for row in rows(file, one, limit):
        for at, (wanted, found) in enumerate(zip(one.run(None, row), other.run(None, row), strict=True)):
            wanted, found = np.asarray(wanted), np.asarray(found)
            if wanted.dtype.kind == "f":
                signal[at] += float((wanted.astype(np.float64) ** 2).sum())
                noise[at] += float(((wanted.astype(np.float64) - found) ** 2).sum()) if wanted.shape == found.shape else np.inf
    shares = [noise[at] / max(signal[at], 1e-300) for at in signal]
    mean = sum(shares) / len(shares)
    return 10 * np.log10(1 / mean) if mean > 0 else np.inf


def float_bytes(graph):
    """Float constants by name, bodies and Constant nodes included."""
    found = Counter()
    for tensor in graph.initializer:
        if tensor.data_type in FLOATS:
            found[tensor.name] += FLOATS[tensor.data_type] * int(np.prod(tensor.dims, dtype=np.int64))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t") and attribute.t.data_type in FLOATS:
                size = FLOATS[attribute.t.data_type] * int(np.prod(attribute.t.dims, dtype=np.int64))
                found[node.output[0] if node.output else attribute.t.name] += size
            if attribute.HasField("g"):
                found.update(float_bytes(attribute.g))
    return found


def unexplained(written, report):
    """Bytes of float constants in the file that are neither new nor among the kept ones of the report."""
    left = float_bytes(onnx.load(written).graph)
    new = ("_scale", "_bias", "_lowest", "_highest")
    explained = Counter()
    for kept in report["kept"]:
        explained[kept["name"]] += kept["bytes"]
    biases = {kept["name"] for kept in report["kept"] if kept["code"] == "bias"}
    for name, size in left.items():
        if name in explained:
            # A bias with new values may have become one an output channel.
            if explained[name] != size and name not in biases:
                return f"{name}: {size} bytes left, {explained[name]} in the report"
        elif not any(part in name for part in new):
            return f"{name}: {size} bytes left, none in the report"
    gone = [name for name, size in explained.items() if size and name not in left]
    return f"{gone[0]}: in the report, not in the file" if gone else None


def convert(options, model, precision, calibration):
    output = options.out / "models" / f"{model.stem}.{precision}.onnx"
    output.parent.mkdir(parents=True, exist_ok=True)
    report = output.with_suffix(".json")
    for path in (output, report):
        path.unlink(missing_ok=True)
    command = [options.fourbit, "quantize", model, "-o", output, "--precision", precision, "--report", report]
    command += ["--overwrite", "-q"] + (["--calibration", calibration] if calibration else [])
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode not in (0, 4):
        return done.returncode, done.stderr.strip().splitlines()[-1].removeprefix("error: "), None
    return done.returncode, output, json.loads(report.read_text())


def line(options, entry):
    model = options.folder / entry["model"]
    calibration, test, made_up = samples(options, entry, model)
    code, output, report = convert(options, model, "w4", None)
    if report is None:
        raise RuntimeError(f"w4: {output}")
    onnx.checker.check_model(str(output), full_check=True)
    problem = unexplained(output, report)
    if problem:
        raise RuntimeError(problem)
    w4 = ratio(model, output, test, options.limit)
    weights = [site for site in report["sites"] if site["kind"] == "weight"]
    operators = Counter(site["operator"] for site in weights)
    kept = Counter()
    for skip in report["kept"]:
        kept[skip["code"]] += skip["bytes"]
    kept = {name.replace("_", " "): size for name, size in kept.items() if size}
    left = ", ".join(f"{name} {size / 1000:.1f} kB" for name, size in sorted(kept.items(), key=lambda item: -item[1]))
    code, a8, wide = convert(options, model, "w4a8", calibration)
    if wide is None:
        low = "not converted: " + a8.removeprefix("calibration cannot run this model: ").split(";")[0]
    else:
        onnx.checker.check_model(str(a8), full_check=True)
        low = f"{ratio(model, a8, test, options.limit):.1f}"
        seen = [warning for warning in wide["warnings"] if warning.startswith("calibration saw a part")]
        low += " (part calibrated)" if seen else ""
    verdict = wide or report
    judged = verdict["verdict"]
    judged = "yes" if judged["state"] == "validated" else "no: " + judged["reason"]
    return [
        model.stem,
        f"{report['opsets']['input']}",
        ", ".join(f"{count} {name}" for name, count in operators.most_common()),
        left or "nothing",
        f"{report['sizes']['ratio']:.3f}",
        f"{w4:.1f}",
        low,
        judged,
        "random" if made_up else "test",
    ]


HEAD = ["model", "opset", "4-bit weights", "left float", "size", "w4, dB", "w4a8, dB", "validated at w4a8", "samples"]


def main():
    options = arguments()
    entries = json.loads((options.folder / "index.json").read_text())
    lines, failed = [], 0
    for entry in entries:
        name = Path(entry["model"]).stem
        if not fnmatch.fnmatch(name, options.only):
            continue
        try:
            lines.append(line(options, entry))
            print(" | ".join(lines[-1]), flush=True)
        except Exception as error:  # One bad model must not hide the others.
            failed += 1
            print(f"FAILED {name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
    table = ["| " + " | ".join(cells) + " |" for cells in [HEAD, ["---"] * len(HEAD), *lines]]
    text = f"""# A zoo of models

{len(lines)} float models from different exporters, converted by `benches/zoo_table.py`. It checks every file with `onnx.checker`,
runs it in onnxruntime {onnxruntime.__version__} beside the float model, and accounts for every float constant that is left, byte
by byte.

* `w4` was converted without samples. `w4a8` was calibrated on the models' own calibration samples, or on random numbers where
  there are none.
* SQNR is that of the outputs, by the mean of their noise, on at most {options.limit} test samples. On random numbers it says that
  the file runs as meant, and little about accuracy.
* "left float" has the bytes of float constants by reason. "not a factor": constants that are not weights of a product. "place":
  weights in a place that no rule covers.
* "size" is that of the `w4` file over that of the float file.

""" + "\n".join(table) + f"\n\n{len(lines)} converted, {failed} failed.\n"
    if options.table:
        # What follows is written by exports.py.
        later = options.table.read_text().partition("\n## ") if options.table.is_file() else ("", "", "")
        options.table.write_text(text + later[1] + later[2])
    print(f"{len(lines)} converted, {failed} failed")
    return 1 if failed or not lines else 0


if __name__ == "__main__":
    sys.exit(main())
