"""The paper's steps one after another, on every labelled model of a folder, as tables in Markdown.

    python benches/paper.py FOLDER --fourbit target/release/fourbit 

FOLDER and its samples are as in zoo.py. Each step converts each model at w4, w4a8 and w4a4; the figures are those of
fourbit's report on validation samples that were not used for calibration: top-1, SQNR of the outputs in dB, how much smaller
the quantized weights are than float ones (scales counted), and how many multiplications second tensors add on integer
hardware, as a share of those of the quantized layers.

The steps: per-tensor scales at which nothing clips; MSE-optimal per-tensor scales; per-channel ones; two tensors where one
approximates poorly, within a budget; scales refitted to the layers' outputs, layer after layer; biases that take up the mean error; and
in place of the last two the program's default, which also chooses codes for the layers' outputs.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import zoo

PLAIN = ["--no-bias-correction"]
DUAL = ["--dual-budget", "25%"]
STEPS = [
    ("min-max, per-tensor", ["--scales", "min-max", "--granularity", "tensor", "--compensation", "none", *PLAIN]),
    ("MMSE, per-tensor", ["--granularity", "tensor", "--compensation", "none", *PLAIN]),
    ("MMSE, per-channel", ["--compensation", "none", *PLAIN]),
    ("+ two tensors for key layers", ["--compensation", "none", *PLAIN, *DUAL]),
    ("+ refitted scales", ["--compensation", "scales", *PLAIN, *DUAL]),
    ("+ corrected biases", ["--compensation", "scales", *DUAL]),
    ("default (compensated codes, one tensor)", []),
    ("default, two tensors for key layers", DUAL),
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a zoo, or a folder with index.json")
    parser.add_argument("--fourbit", type=Path, default=Path("target/release/fourbit"), help="the program")
    parser.add_argument("--precision", default="w4,w4a8,w4a4", help="comma-separated (default: %(default)s)")
    parser.add_argument("--only", default="*", metavar="GLOB[,GLOB]", help="models by name")
    parser.add_argument("--samples", type=int, default=256, metavar="N", help="calibration samples (default: %(default)s)")
    parser.add_argument("--limit", type=int, default=1000, metavar="N", help="validation samples (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("target/paper"), help="for files made (default: %(default)s)")
    return parser.parse_args()


def convert(options, case, precision, step):
    output = options.out / "model.onnx"
    report = options.out / "report.json"
    command = [options.fourbit, "quantize", case.model, "-o", output, "--overwrite", "-q", "--precision", precision]
    command += ["--calibration", case.calibration, "--max-samples", options.samples, "--validation", case.validation]
    command += ["--report", report, *step]
    report.unlink(missing_ok=True)
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return json.loads(report.read_text())


def extra(report):
    """Multiplications that second tensors add on integer hardware, in per cent of the quantized layers'."""
    sizes = report["sizes"]
    return 100 * (sizes["extra_macs"] or 0) / max(sizes["macs"] or 0, 1)


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    wanted, options.only = options.only.split(","), "*"
    print(f"Made by `python benches/paper.py FOLDER --samples {options.samples} --limit {options.limit}`.\n")
    failed = 0
    for name, make in zoo.cases(options):
        if not any(zoo.fnmatch.fnmatch(name, glob) for glob in wanted):
            continue
        case = make()
        first = True
        for precision in options.precision.split(","):
            for words, step in STEPS:
                try:
                    report = convert(options, case, precision, step)
                except RuntimeError as error:
                    failed += 1
                    print(f"| {precision} | {words} | failed: {error} | | | |", flush=True)
                    continue
                scores = report["verdict"]["scores"]
                if first:
                    first = False
                    print(f"### {name}\n\nFloat top-1 {100 * scores['float_top1']:.1f} on {scores['rows']} samples, "
                          f"{report['calibration']['samples']} others for calibration.\n")
                    print("| precision | step | top-1 | SQNR, dB | smaller by | extra MACs |")
                    print("| --- | --- | --- | --- | --- | --- |")
                noise = report["verdict"]["outputs"][0]["sqnr_db"]
                print(f"| {precision} | {words} | {100 * scores['quantized_top1']:.1f} | {noise or 0:.1f} | "
                      f"{report['sizes']['compression'] or 0:.2f} | {extra(report):.0f} % |", flush=True)
        print(flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
