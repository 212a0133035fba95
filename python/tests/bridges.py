"""What the tests of the bridges to other packages share."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any, Dict, Tuple

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"


def _alone(name: str) -> Path:
    """A copy of a model without samples beside it, which would judge every conversion."""
    place = Path(_FOLDER.name) / name / "model.onnx"
    place.parent.mkdir()
    place.write_bytes((MODELS / name / "model.onnx").read_bytes())
    return place


_FOLDER = tempfile.TemporaryDirectory(prefix="fourbit-tests-")
RESNET = _alone("shapes_resnet")
DIGITS = _alone("digits_attention")
#: Samples of RESNET: files.
CALIBRATION = MODELS / "shapes_resnet" / "calibration.npz"
VALIDATION = MODELS / "shapes_resnet" / "validation.npz"
PICTURES = MODELS / "shapes_resnet" / "pictures.npz"

#: Packages that CI does without, and what they cost. All others are in requirements-integrations.txt; there a missing one fails.
HEAVY = {
    "ultralytics": "it needs torch with CUDA's libraries: 3.2 GB to download, 6.4 GB on disk, four and a half minutes",
    "torch": "the same",
    "@huggingface/transformers": "npm install --ignore-scripts: 475 MB on disk, 13 seconds; FOURBIT_TRANSFORMERS_JS names its folder",
}


def needed(module: str, package: str = "") -> None:
    """Leaves a test out if `module` is missing; in CI that is a failure unless it is too heavy."""
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        missing(package or module.split(".")[0])


def missing(package: str) -> None:
    """Leaves the test out, or fails."""
    reason = f"{package} is not installed"
    if package in HEAVY:
        pytest.skip(f"{reason}: {HEAVY[package]}")
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI installs requirements-integrations.txt")
    pytest.skip(reason)


def samples(model: Path, count: int, which: str = "calibration") -> Dict[str, Any]:
    """The first samples that lie beside a model, with their labels."""
    with np.load(MODELS / model.parent.name / f"{which}.npz") as arrays:
        return {name: arrays[name][:count] for name in arrays.files}


def judged(model: Any, count: int = 300, float_model: Path = RESNET) -> float:
    """Top-1 of a file in onnxruntime, on samples that calibration does not use."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    given = samples(float_model, count, "validation")
    labels = given.pop("labels")
    return float((session.run(None, given)[0].argmax(1) == labels).mean())


def stored(model: Any) -> Tuple[Dict[str, int], Any]:
    """How many nodes of each operator a file has, and the model."""
    import onnx

    found = onnx.load(str(model))
    operators: Dict[str, int] = {}
    for node in found.graph.node:
        operators[node.op_type] = operators.get(node.op_type, 0) + 1
    return operators, found
