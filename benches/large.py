"""Makes a model of several gigabytes, converts it at w4, and compares the peak of memory with its bound.

    benches/large.py [--gigabytes 3] [--folder FOLDER] [--fourbit target/release/fourbit] [--check] [MORE ARGUMENTS]

The bound is 1.3 times the largest tensor and 256 MB. With --check a sample of the written weights is read back and
compared with the float ones. Needs numpy and onnx; arguments that are not known here go to `fourbit quantize`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

HIDDEN, WIDE = 4096, 8192
HEAD = 1 << 18  # outputs of the last product, as of a vocabulary
NARROW = 1024


def weights(random, count):
    """Bell-shaped values; a few million drawn once and shifted from tensor to tensor are random enough."""
    pool = weights.pool = getattr(weights, "pool", None)
    if pool is None:
        pool = weights.pool = random.standard_normal(1 << 22, dtype=np.float32) * np.float32(0.02)
    shift = int(random.integers(pool.size))
    while count:
        part = np.roll(pool, shift)[: min(count, pool.size)]
        shift += 7919
        count -= part.size
        yield part


def external(name, dims, offset, length):
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "model.onnx.data"), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def make(folder, gigabytes):
    """A chain of products, each pair widening and narrowing, and a large one at the end."""
    random = np.random.default_rng(1)
    layers = max(2, int((gigabytes * 1e9 - NARROW * HEAD * 4) / (HIDDEN * WIDE * 4)) // 2 * 2)
    shapes = [[HIDDEN, WIDE] if at % 2 == 0 else [WIDE, HIDDEN] for at in range(layers)]
    shapes += [[HIDDEN, NARROW], [NARROW, HEAD]]
    nodes, tensors, value, offset = [], [], "x", 0
    with open(folder / "model.onnx.data", "wb") as data:
        for at, shape in enumerate(shapes):
            name, count = f"w{at}", shape[0] * shape[1]
            for part in weights(random, count):
                data.write(part.tobytes())
            tensors.append(external(name, shape, offset, 4 * count))
            offset += 4 * count
            nodes.append(helper.make_node("MatMul", [value, name], [f"m{at}"], name=f"product{at}"))
            nodes.append(helper.make_node("Relu", [f"m{at}"], [f"r{at}"], name=f"relu{at}"))
            value = f"r{at}"
    graph = helper.make_graph(
        nodes[:-1],
        "large",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, HIDDEN])],
        [helper.make_tensor_value_info(f"m{len(shapes) - 1}", TensorProto.FLOAT, [1, HEAD])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    return 4 * max(a * b for a, b in shapes), offset


def check(source, written):
    """Relative squared error of the first rows of each product's weights, read straight from the files."""
    def tensors(path):
        model = onnx.load(path, load_external_data=False)
        return {tensor.name: tensor for tensor in model.graph.initializer}

    def first(path, tensor, dtype, count):
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if not entries:
            return np.frombuffer(tensor.raw_data, dtype, count)
        start = int(entries.get("offset", 0))
        return np.fromfile(path.parent / entries["location"], dtype, count, offset=start)

    before, after = tensors(source), tensors(written)
    losses = []
    for name, tensor in before.items():
        rows, columns = min(64, tensor.dims[0]), tensor.dims[1]
        floats = first(source, tensor, "<f4", rows * columns).reshape(rows, columns)
        packed = first(written, after[f"{name}_quantized"], np.uint8, rows * columns // 2)
        codes = np.stack([packed & 15, packed >> 4], 1).reshape(rows, columns).astype(np.int16)
        codes -= 16 * (codes > 7)
        zero = after.get(f"{name}_zero_point")
        if zero is not None:
            packed = first(written, zero, np.uint8, columns // 2)
            zeros = np.stack([packed & 15, packed >> 4], 1).reshape(-1).astype(np.int16)
            codes -= zeros - 16 * (zeros > 7)
        scales = first(written, after[f"{name}_scale"], "<f4", columns)
        error = floats - codes * scales
        losses.append(float((error**2).sum() / (floats**2).sum()))
    return losses


def run(options, more, folder):
    start = time.time()
    largest, total = make(folder, options.gigabytes)
    print(f"model      {total / 1e9:.2f} GB, largest tensor {largest / 1e9:.2f} GB, made in {time.time() - start:.0f} s")
    output = folder / "out.onnx"
    command = [options.fourbit, "quantize", str(folder / "model.onnx"), "-o", str(output)]
    start = time.time()
    done = subprocess.run([*command, "--precision", "w4", "--format", "json", *more], stdout=subprocess.PIPE)
    # A model of this size is not run unasked, which has an exit code of its own.
    if done.returncode not in (0, 4):
        sys.exit(f"fourbit exited with {done.returncode}")
    seconds = time.time() - start
    report = json.loads(done.stdout)
    bound = 1.3 * largest + 256e6
    peak = report["peak_memory"]
    print(f"time       {seconds:.0f} s:", ", ".join(f"{it['stage']} {it['seconds']:.1f}" for it in report["seconds"]))
    print(f"sizes      {report['sizes']['before'] / 1e9:.3f} GB before, {report['sizes']['after'] / 1e9:.3f} GB after")
    print(f"verdict    {report['verdict']}")
    if options.check:
        losses = check(folder / "model.onnx", output)
        print(f"losses     {min(losses):.4f} to {max(losses):.4f} of the weights' energy")
    print(f"peak       {peak / 1e6:.0f} MB, bound {bound / 1e6:.0f} MB")
    return 0 if peak < bound else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--folder", type=Path, help="where the model is made and left; a temporary one otherwise")
    parser.add_argument("--fourbit", default="target/release/fourbit")
    parser.add_argument("--check", action="store_true", help="also compare weights with what was written")
    options, more = parser.parse_known_args()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
        return run(options, more, options.folder)
    with tempfile.TemporaryDirectory() as folder:
        return run(options, more, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
