"""Writes the seeds: small files of every kind that fourbit reads. Needs numpy and onnx, and the program for a plan.

    python fuzz/seeds.py target/release/fourbit
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent / "corpus"


def seed(target, name, content):
    folder = HERE / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def model():
    random = np.random.default_rng(0)
    weights = numpy_helper.from_array(random.normal(size=(4, 3, 3, 3)).astype(np.float32), "w")
    matrix = numpy_helper.from_array(random.normal(size=(16, 5)).astype(np.float32), "m")
    branch = helper.make_graph(
        [helper.make_node("Relu", ["f"], ["b"])], "then", [], [helper.make_tensor_value_info("b", 1, None)]
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["f"], ["n"])], "else", [], [helper.make_tensor_value_info("n", 1, None)]
    )
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3]),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True])),
        helper.make_node("If", ["yes"], ["i"], then_branch=branch, else_branch=other),
        helper.make_node("MatMul", ["i", "m"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("y", 1, ["N", 5])],
        [weights, matrix],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def tensors():
    yield "float", numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "a")
    yield "half", numpy_helper.from_array(np.arange(6, dtype=np.float16), "a")
    yield "int64", helper.make_tensor("a", TensorProto.INT64, [3], [1, -2, 3])
    yield "typed", helper.make_tensor("a", TensorProto.FLOAT, [2], [0.5, -1.5])
    yield "int4", helper.make_tensor("a", TensorProto.INT4, [3], [1, -2, 3])
    yield "empty", helper.make_tensor("a", TensorProto.DOUBLE, [0, 3], [])


def main(program):
    seed("reader", "if.onnx", model().SerializeToString())
    external = model()
    onnx.external_data_helper.set_external_data(external.graph.initializer[0], "m.onnx")
    seed("reader", "external.onnx", external.SerializeToString())
    # Found by libFuzzer: a value that is not equal to itself.
    odd = onnx.ModelProto()
    odd.CopyFrom(external)
    odd.graph.initializer[0].double_data.append(float("nan"))
    seed("reader", "nan.onnx", odd.SerializeToString())
    for name, tensor in tensors():
        seed("tensor", name, tensor.SerializeToString())
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        arrays = {"float": np.eye(3, dtype=np.float32), "fortran": np.asfortranarray(np.ones((2, 3), np.float32))}
        arrays |= {"int64": np.arange(6).reshape(2, 3), "batched": np.zeros((4, 1, 3), np.float32)}
        for name, array in arrays.items():
            np.save(folder / "a.npy", array)
            seed("npy", name, (folder / "a.npy").read_bytes())
        for name, save in (("stored", np.savez), ("deflated", np.savez_compressed)):
            save(folder / "a.npz", x=np.eye(3, dtype=np.float32), labels=np.arange(3))
            seed("npz", name, (folder / "a.npz").read_bytes())
        (folder / "m.onnx").write_bytes(model().SerializeToString())
        for precision in ("w4", "w8"):
            plan = folder / f"{precision}.json"
            subprocess.run([program, "plan", folder / "m.onnx", "--precision", precision, "-o", plan], check=True)
            seed("plan", precision, plan.read_bytes())
    seed("preprocess", "imagenet", 'layout = "NHWC"\nresize = 256\ncentre_crop = 224\ndivide_by = 255\nmean = [0.4, 0.4, 0.4]\nstd = [0.2, 0.2, 0.2]\nchannel_order = "RGB"\n')
    seed("preprocess", "gray", 'layout = "NHW"\nchannel_order = "Gray"\narray = "x"\nlabels = "y"\nresize = [28, 28]\n')
    seed("config", "rules", '[[layer]]\nmatch = "head*"\nweights = "int8"\nactivations = "uint8"\n\n[[layer]]\nmatch = "a"\ngranularity = "block:32"\ndual = true\n')
    seed("list", "toml", '[defaults]\ntext = "w4"\nflag = true\n\n[[model]]\npath = "a/b.onnx"\nname = "c.onnx"\nlist = ["a", "b"]\npath-to = 3\n\n[[model]]\npath = "../d.onnx"\nchoice = false\n')
    rows = [{"model": "a", "model_path": "a/b.onnx", "opset_version": 12, "metadata": {"model_sha": "0" * 64, "tags": ["x"]}}]
    seed("manifest", "hub", json.dumps(rows, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
