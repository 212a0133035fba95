"""What conversions cost, as tables in Markdown: fourbit's beside those of onnxruntime's static quantizer.

    python benches/accuracy.py FOLDER --fourbit target/release/fourbit
    python benches/accuracy.py FOLDER --columns w4a8 --samples 32,128,512 --seeds 3

FOLDER and its samples are as in zoo.py; entries of index.json whose "metric" is "sqnr_db_vs_float" are taken too, with
.npz files that hold one array an input. onnxruntime measures top-1, agreement (the share of samples on which both files choose
the same class) and SQNR of the first output, with its default optimizations, on the written file and on samples that were not
used for calibration. "Inside" is the SQNR on samples that were: of fourbit's files as its report says it, of the others as
onnxruntime measures it, on at most 64 samples. onnxruntime's quantizer gets INT4 weights per channel, UINT8 activations and
MinMax, after its own preparation of the model.

Every seed chooses other calibration samples; figures are then means, with the standard deviation over the seeds.
Each figure is kept as a line of OUT/cells.jsonl as soon as it is known, and is not measured again by the same program: a run
that was stopped goes on when started again. --again measures anew what failed.

Needs the packages numpy, onnx, onnxruntime, sympy, and pillow for folders of pictures.
"""

import argparse
import hashlib
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
FORMS = [
    ("w4a8 by onnxruntime", None, []),
    ("w4, no samples", "w4", ["--calibration", "none"]),
    ("w4, generated", "w4", ["--calibration", "generated"]),
    ("w4a8, generated", "w4a8", ["--calibration", "generated"]),
    ("w4a8", "w4a8", []),
    ("w4a4", "w4a4", []),
    ("w4", "w4", []),
    ("w4a8 within 1 point", "w4a8", ["--max-drop", "1.0"]),
    ("w4 within 1 point", "w4", ["--max-drop", "1.0"]),
]
# Without samples of anybody's: chance is in generated ones alone.
ALONE = ["w4, no samples"]
GENERATED = ["w4, generated", "w4a8, generated"]
ALL = ["w4a8 by onnxruntime", *ALONE, *GENERATED, "w4a8", "w4a4", "w4a8 within 1 point", "w4 within 1 point"]
# Where there are no labels.
UNLABELLED = ["w4a8 by onnxruntime", *ALONE, *GENERATED, "w4a8", "w4a4", "w4"]
# Calibration samples that a file is run on for "inside".
INSIDE = 64
# Validation samples that fourbit itself judges on where no limit depends on them: its figures are in no table.
JUDGED = 128


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a zoo, or a folder with index.json")
    parser.add_argument("--fourbit", type=Path, default=Path("target/release/fourbit"), help="the program")
    parser.add_argument("--only", default="*", metavar="GLOB", help="models by name")
    parser.add_argument("--columns", default=";".join(ALL), metavar="NAME;NAME", help="forms of weights, of %(default)s;w4")
    parser.add_argument("--samples", default="512", metavar="N,N", help="calibration samples (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="choices of them, averaged (default: %(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="score the first N validation samples only")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of onnxruntime (default: all)")
    parser.add_argument("--again", action="store_true", help="measure again what failed")
    parser.add_argument("--out", type=Path, default=Path("target/accuracy"), help="for files made (default: %(default)s)")
    options = parser.parse_args()
    options.samples = [int(count) for count in options.samples.split(",")]
    options.columns = [column.strip() for column in options.columns.split(";")]
    unknown = set(options.columns) - {name for name, *_ in FORMS}
    if unknown:
        parser.error(f"no column {', '.join(sorted(unknown))}; there are {'; '.join(name for name, *_ in FORMS)}")
    return options


# Models and their samples.


class Task:
    """A model, its calibration samples, and others, as files."""

    def __init__(self, name, model, calibration, test, limit):
        self.name, self.model, self.calibration, self.test, self.limit = name, model, calibration, test, limit
        self.stored = self.exact = None

    def samples(self):
        """The arrays of the test samples and their labels, or None."""
        if self.stored is None:
            with np.load(self.test) as arrays:
                samples = {name: arrays[name][: self.limit] for name in arrays.files}
            self.stored = samples, samples.pop("labels", None)
        return self.stored

    def float_outputs(self, options):
        if self.exact is None:
            self.exact = outputs(options, self.model, self.samples()[0])
        return self.exact


def tasks(options):
    for name, make in zoo.cases(options):

        def labelled(name=name, make=make):
            case = make()
            return Task(name, case.model, case.calibration, case.validation, None)

        yield name, True, labelled
    index = options.folder / "index.json"
    for entry in json.loads(index.read_text()) if index.is_file() else []:
        model = options.folder / entry["model"]
        if entry.get("metric") == "sqnr_db_vs_float" and zoo.fnmatch.fnmatch(model.stem, options.only):
            calibration, test = options.folder / entry["calibration"], options.folder / entry["test"]
            yield model.stem, False, lambda m=model, c=calibration, t=test: Task(m.stem, m, c, t, options.limit)


# Running.


def outputs(options, model, samples):
    """The first output on each sample."""
    return zoo.first_outputs(model, samples, threads=options.threads)


def sqnr(exact, other):
    signal = sum(float((one.astype(np.float64) ** 2).sum()) for one in exact)
    noise = sum(float(((one.astype(np.float64) - two) ** 2).sum()) for one, two in zip(exact, other))
    return None if noise == 0 else 10 * float(np.log10(signal / noise))


def figures(options, task, output):
    """What onnxruntime says of the file at `output` beside the float model."""
    exact, other = task.float_outputs(options), outputs(options, output, task.samples()[0])
    labels = task.samples()[1]
    found = {"rows": len(exact), "sqnr": sqnr(exact, other)}
    if labels is not None:
        chosen = [np.array([scores.reshape(-1).argmax() for scores in rows]) for rows in (exact, other)]
        labels = labels.reshape(-1)[: len(chosen[0])]
        found["float"], found["top1"] = (100 * float((one == labels).mean()) for one in chosen)
        found["agreement"] = 100 * float((chosen[0] == chosen[1]).mean())
    return found


def fourbit(options, model, output, task, precision, extra, samples, seed):
    """The report of one conversion."""
    report = output.with_suffix(".json")
    command = [options.fourbit, "quantize", model, "-o", output, "--overwrite", "-q", "--precision", precision]
    judged = task.test
    if not any(word.startswith("--m") for word in extra):
        judged = zoo.shortened(task.test, options.out / "judged" / task.name, JUDGED)
    command += ["--report", report, "--validation", judged, *extra]
    command += ["--seed", seed]
    if samples:
        command += ["--calibration", task.calibration, "--max-samples", samples]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    # 3: written, but beyond the limits.
    if done.returncode not in (0, 3, 4):
        raise RuntimeError((done.stderr.strip().splitlines() or ["nothing said"])[-1])
    return json.loads(report.read_text())


def theirs(options, task, output, samples, seed):
    """onnxruntime's own conversion, and its SQNR on calibration samples."""
    with np.load(task.calibration) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "labels"}
    count = min(len(array) for array in arrays.values())
    chosen = np.sort(np.random.default_rng(seed).permutation(count)[:samples])
    arrays = {name: array[chosen] for name, array in arrays.items()}
    feeds = against_onnxruntime.batches(task.model, arrays, len(chosen), zoo.BATCH)
    job = argparse.Namespace(model=task.model)
    against_onnxruntime.onnxruntime_seconds(job, feeds, output.parent)
    (output.parent / "onnxruntime.onnx").replace(output)
    few = {name: array[:INSIDE] for name, array in arrays.items()}
    return sqnr(outputs(options, task.model, few), outputs(options, output, few))


def cell(options, task, column, samples, seed):
    """One conversion and its figures."""
    precision, extra = next((precision, extra) for name, precision, extra in FORMS if name == column)
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        output = Path(folder).resolve() / "quantized.onnx"
        inside, report = None, None
        if precision is None:
            inside = theirs(options, task, output, samples, seed)
        elif samples:
            report = fourbit(options, task.model, output, task, precision, extra, samples, seed)
        else:
            # A copy by itself: samples that lie beside a model are found.
            alone = Path(shutil.copy(task.model, folder))
            report = fourbit(options, alone, output, task, precision, extra, None, seed)
            assert (report["calibration"] is None) == (column in ALONE)
        found = figures(options, task, output)
    if report:
        # Programs before this figure have none.
        inside = (report["verdict"].get("inside") or {}).get("sqnr_db")
        found["bits"] = report["sizes"]["effective_bits"]
        found["kept"] = report["budget"]["met"] if report["budget"] else None
    return {**found, "inside": inside}


# Tables.


def spread(values, digits):
    values = [value for value in values if value is not None]
    if not values:
        return ""
    text = f"{np.mean(values):.{digits}f}"
    return text if len(values) < 2 else f"{text} ± {np.std(values, ddof=1):.{digits}f}"


def table(cells, names, title, labelled):
    """Rows of (model, form, samples), the cells of whose seeds are averaged; then means over the models."""
    head = ["model", "form", "calibrated on"]
    head += ["float", "top-1", "drop", "agreement"] if labelled else []
    head += ["SQNR", "inside", "bits"]
    print(f"\n## {title}\n\n| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
    means = {}
    for name in names:
        groups = {}
        for one in cells:
            if one["model"] == name:
                groups.setdefault((one["column"], one["samples"]), []).append(one)
        for (column, samples), group in groups.items():
            failed = [one["error"] for one in group if "error" in one]
            group = [one for one in group if "error" not in one]
            row = [name, column, str(samples or "none")]
            if failed:
                row += [failed[0].replace("|", "/")] + [""] * (len(head) - 4)
            else:
                each = lambda key: [one.get(key) for one in group]
                drops = [one["float"] - one["top1"] for one in group] if labelled else []
                if labelled:
                    row += [spread(each("float")[:1], 2), spread(each("top1"), 2), spread(drops, 2), spread(each("agreement"), 2)]
                row += [spread(each("sqnr"), 1), spread(each("inside"), 1)]
                kept = "" if all(one.get("kept") in (None, True) for one in group) else ", not kept"
                row.append(spread(each("bits"), 2) + kept)
                known = means.setdefault((column, samples), {})
                for key, values in [("drop", drops), *((key, each(key)) for key in ("agreement", "sqnr", "inside", "bits"))]:
                    values = [value for value in values if value is not None]
                    if values:
                        known.setdefault(key, []).append(np.mean(values))
            print("| " + " | ".join(row) + " |")
    print()
    for (column, samples), known in means.items():
        words = {"drop": "points lost", "agreement": "% same class", "sqnr": "dB", "inside": "dB inside", "bits": "bits"}
        told = ", ".join(f"{np.mean(values):.2f} {words[key]}" for key, values in known.items())
        print(f"* {column}{f', {samples} samples' if samples else ''}, mean over {max(map(len, known.values()))} models: {told}")


def main():
    options = arguments()
    logging.disable(logging.WARNING)
    options.out.mkdir(parents=True, exist_ok=True)
    program = hashlib.sha256(options.fourbit.read_bytes()).hexdigest()[:12]
    kept = options.out / "cells.jsonl"
    lines = kept.read_text().splitlines() if kept.is_file() else []
    known = {}
    for line in lines:
        try:
            one = json.loads(line)
            known[one["key"]] = one
        except (ValueError, KeyError):  # A line that an interruption cut short.
            continue
    cells, names = [], {True: [], False: []}
    for name, labelled, make in tasks(options):
        names[labelled].append(name)
        task = None
        for column in options.columns:
            if not labelled and column not in UNLABELLED:
                continue
            who = onnxruntime.__version__ if column == "w4a8 by onnxruntime" else program
            for samples in [0] if column in ALONE + GENERATED else options.samples:
                for seed in range(1 if column in ALONE else options.seeds):
                    key = "|".join(map(str, [name, column, samples, seed, options.limit, who]))
                    if key not in known or options.again and "error" in known[key]:
                        one = {"key": key, "model": name, "column": column, "samples": samples, "seed": seed}
                        try:
                            task = task or make()
                            one.update(cell(options, task, column, samples, seed))
                        except Exception as error:  # One bad model must not hide the others.
                            one["error"] = f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"
                        known[key] = one
                        with open(kept, "a") as stream:
                            stream.write(json.dumps(one) + "\n")
                        print(json.dumps(one), file=sys.stderr, flush=True)
                    cells.append(known[key])
    counts, seeds = ",".join(map(str, options.samples)), f" --seeds {options.seeds}" if options.seeds > 1 else ""
    print(f"Made by `python benches/accuracy.py FOLDER --samples {counts}{seeds}`.")
    if names[True]:
        table(cells, names[True], "Top-1 and agreement in per cent, SQNR of the first output in dB", True)
    if names[False]:
        table(cells, names[False], "SQNR of the first output in dB, of models without labels", False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
