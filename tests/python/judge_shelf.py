"""The folder in which models to try lie, with their inputs and what the voices say of them.

Each case is a model and a file of inputs, one tensor after the other as its bytes in little-endian order; `cases.json` says of each
tensor its element type and dimensions. Whoever runs the cases writes outputs the same way, and `found.json`: for each case
{name, outcome, problem, outputs}. What is expected stays with Python, in `expected-*.pickle`.
"""

import json
import pickle

import numpy as np
import onnx

import judge_oracles as oracles
import judge_verdict as verdict
from judge_build import onnx_type, seeded


class Shelf:
    """Part of a folder, which one process fills."""

    def __init__(self, folder, title, second=True):
        self.folder, self.title, self.second = folder, title, second
        self.cases, self.expected, self.dropped = [], {}, []

    def put(self, name, model, feeds, moved=(), about=None):
        """Keeps a model with what the voices say. Gives whether any runs it."""
        reference, source = None, "onnxruntime"
        try:
            outputs, again = oracles.expected(model, feeds, moved, seeded(name))
        except oracles.Refusal as refusal:
            outputs, again = None, None
            problem = str(refusal)
            if refusal.is_invalid():
                self.dropped.append((name, " ".join(problem.split())[:200]))
                return False
        if self.second or outputs is None:
            reference = oracles.in_reference(model, feeds)
        if outputs is None:
            if reference is None:
                self.dropped.append((name, " ".join(problem.split())[:200]))
                return False
            outputs, source = reference, "reference evaluator"
        self.keep(name, model, feeds, outputs, about=about, moved=again, reference=reference, source=source)
        return True

    def keep(self, name, model, feeds, outputs, allowed=None, **said):
        """Keeps a model with the outputs expected."""
        (self.folder / f"{name}.onnx").write_bytes(model.SerializeToString())
        initialized = {tensor.name for tensor in model.graph.initializer}
        names = [value.name for value in model.graph.input if value.name not in initialized]
        tensors = [feeds.get(title) for title in names]
        with open(self.folder / f"{name}.in", "wb") as file:
            for value in tensors:
                if feedable(value):
                    file.write(np.ascontiguousarray(value).tobytes())
        inputs = [form(value) if feedable(value) else None for value in tensors]
        self.cases.append({"name": name, "inputs": inputs})
        allowed = allowed or verdict.tolerance(model)
        self.expected[name] = {"outputs": outputs, "feeds": feeds, "allowed": allowed, "rounded": verdict.rounds(model), **said}

    def close(self):
        """Writes what is expected, and gives the cases."""
        with open(self.folder / f"expected-{self.title}.pickle", "wb") as file:
            pickle.dump({"expected": self.expected, "dropped": self.dropped}, file)
        return self.cases


def given(shelf, path):
    """Keeps a model with the first sample of the archive x.npz beside it."""
    model = onnx.load(path)
    archive = np.load(path.parent / "x.npz")
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in model.graph.input}
    feeds = {name: archive[name][0] if archive[name].ndim > ranks[name] else archive[name] for name in archive.files if name in ranks}
    moved = [name for name, value in feeds.items() if value.dtype.kind == "f"]
    about = {"operator": "", "version": 0, "attributes": [], "call": " > ".join(node.op_type for node in model.graph.node)}
    shelf.put(path.parent.name, model, feeds, moved, about)


def feedable(value):
    return isinstance(value, (np.ndarray, np.generic)) and np.asarray(value).dtype.kind not in "OUS" and np.asarray(value).dtype.itemsize > 0


def form(value):
    return {"dtype": int(onnx_type(value.dtype)), "dims": list(np.shape(value))}


def expectations(folder):
    """What is expected of every case in a folder, and those dropped."""
    expected, dropped = {}, []
    for path in sorted(folder.glob("expected-*.pickle")):
        with open(path, "rb") as file:
            part = pickle.load(file)
        expected |= part["expected"]
        dropped += part["dropped"]
    return expected, dropped


def outputs(folder, found):
    """The outputs that a run wrote, as arrays."""
    from onnx import helper

    data = (folder / f"{found['name']}.out").read_bytes()
    values, at = [], 0
    for entry in found["outputs"]:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(entry["dtype"]))
        count = int(np.prod(entry["dims"]))
        values.append(np.frombuffer(data, dtype, count, at).reshape(entry["dims"]))
        at += count * dtype.itemsize
    assert at == len(data), found["name"]
    return values


def results(folder):
    return json.loads((folder / "found.json").read_text())
