"""A small program whose types are checked, and which is not run."""

from pathlib import Path
from typing import Iterator, Optional, Tuple

import numpy as np
import numpy.typing as npt

import fourbit


def samples() -> Iterator[Tuple[npt.NDArray[np.float32], int]]:
    for at in range(16):
        yield np.zeros((1, 128), np.float32), at


def listen(stage: str, done: int, total: Optional[int]) -> None:
    print(stage, done, total)


def main() -> None:
    result = fourbit.quantize("net.onnx", samples(), precision="w4", output=Path("small.onnx"), progress=listen)
    size: int = result.report.sizes.after
    path: Optional[Path] = result.path
    model: bytes = result.model
    print(size, path, len(model), [layer.tensor for layer in result.layers])
    plan: fourbit.Plan = fourbit.plan("net.onnx", {"x": np.zeros((4, 3))}, precision="w4", exclude=["head*"])
    plan.leave_float("fc*")
    plan.apply("net.onnx", "other.onnx").model.hex()
    found: fourbit.Validation = fourbit.validate("net.onnx", model, max_samples=8, min_sqnr=10.0)
    if not found.passed:
        print(found.missed)
    try:
        fourbit.check(model, "ort-cpu")
    except fourbit.ModelError as error:
        print(error.kind, error.file, error.node)
    names: list[str] = [target.name for target in fourbit.targets()]
    print(names, fourbit.__version__)
