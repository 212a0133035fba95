"""Times `fourbit quantize --precision w4a8` beside onnxruntime's static quantizer on the same model and samples.

    python benches/against_onnxruntime.py MODEL.onnx CALIBRATION.npz --samples 512

CALIBRATION.npz holds arrays keyed by the model's input names, samples first. The two alternate; what counts is the
ratio of their medians. fourbit's time is that of the whole process less the stage that runs both models to judge the
result, which is listed apart and which the other does not have; onnxruntime's is quant_pre_process and quantize_static (INT4 weights per channel, UINT8 activations, MinMax) with the
packages imported already. Needs the packages numpy, onnx, onnxruntime and sympy.
"""

import argparse
import contextlib
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Reader(CalibrationDataReader):
    def __init__(self, feeds):
        self.feeds = iter(feeds)

    def get_next(self):
        return next(self.feeds, None)


def batches(model, arrays, samples, batch):
    """Feeds for the model; a fixed leading dimension wins over `batch`."""
    graph = onnx.load(model, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    missing = [value.name for value in inputs if value.name not in arrays]
    if missing:
        sys.exit(f"no samples for {', '.join(missing)}; the file holds {', '.join(arrays)}")
    dimensions = {value.name: value.type.tensor_type.shape.dim for value in inputs}
    stacked = all(arrays[name].ndim == len(dims) for name, dims in dimensions.items())
    if not stacked:
        return [{name: np.asarray(arrays[name][row]) for name in dimensions} for row in range(samples)]
    leading = next(iter(dimensions.values()))[0].dim_value
    batch = leading or batch
    return [
        {name: arrays[name][start : start + batch] for name in dimensions}
        for start in range(0, samples - samples % leading if leading else samples, batch)
    ]


def onnxruntime_seconds(options, feeds, folder):
    start = time.monotonic()
    prepared = folder / "prepared.onnx"
    try:
        # It leaves files where it runs when it fails.
        with contextlib.chdir(folder):
            quant_pre_process(str(options.model.resolve()), str(prepared.resolve()))
    except Exception as error:
        print(f"quant_pre_process failed ({type(error).__name__}); quantizing the model as it is", file=sys.stderr)
        prepared = options.model
    quantize_static(
        str(prepared),
        str(folder / "onnxruntime.onnx"),
        Reader(feeds),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt4,
    )
    return time.monotonic() - start


def fourbit_seconds(options, calibration, samples, folder):
    command = [options.fourbit, "quantize", options.model, "-o", folder / "fourbit.onnx", "--precision", "w4a8"]
    command += ["--calibration", calibration, "--max-samples", samples, "--overwrite", "-q"]
    command += ["--report", folder / "report.json", "--compensation", options.compensation]
    start = time.monotonic()
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    seconds = time.monotonic() - start
    if result.returncode != 0:
        sys.exit(f"fourbit exited with {result.returncode}: {result.stderr.strip()}")
    stages = json.loads((folder / "report.json").read_text())["seconds"]
    judging = sum(stage["seconds"] for stage in stages if stage["stage"] in ("validate", "blame"))
    return seconds - judging, judging


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("--fourbit", type=Path, default=Path("target/release/fourbit"), help="the program")
    parser.add_argument("--samples", type=int, default=512, metavar="N", help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=50, metavar="N", help="for onnxruntime (default: %(default)s)")
    parser.add_argument("--compensation", default="none", metavar="HOW", help="fourbit's; none does what the other does\
 (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of each (default: %(default)s)")
    options = parser.parse_args()
    logging.disable(logging.WARNING)

    with np.load(options.calibration) as stored, tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        arrays = {name: stored[name] for name in stored.files}
        samples = min(options.samples, min(len(array) for array in arrays.values()))
        if samples < options.samples:
            print(f"{samples} samples, no more there")
        # Both get this file, so that neither reads samples it does not use.
        calibration = folder / "calibration.npz"
        arrays = {name: array[:samples] for name, array in arrays.items()}
        np.savez(calibration, **arrays)
        feeds = batches(options.model, arrays, samples, options.batch)
        ours, theirs = [], []
        for run in range(options.runs):
            seconds, judging = fourbit_seconds(options, calibration, samples, folder)
            ours.append(seconds)
            theirs.append(onnxruntime_seconds(options, feeds, folder))
            line = f"run {run + 1}: fourbit {seconds:.2f} s (and {judging:.2f} s judging)"
            print(f"{line}, onnxruntime {theirs[-1]:.2f} s", flush=True)
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"{options.model.name}, {samples} samples: fourbit {ours:.2f} s, onnxruntime {theirs:.2f} s", end=", ")
    print(f"ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
