"""Models of the repository, and samples made of their files."""

import os
from pathlib import Path

import numpy as np
import pytest

MODELS = Path(__file__).resolve().parents[2] / "models"


class Case:
    """A model with its samples as arrays."""

    def __init__(self, name: str, input_name: str) -> None:
        self.folder = MODELS / name
        self.model = self.folder / "model.onnx"
        self.input = input_name
        self.calibration = np.load(self.folder / "calibration.npz")[input_name]
        judged = np.load(self.folder / "validation.npz")
        self.validation = judged[input_name]
        self.labels = judged["labels"]


@pytest.fixture(scope="session")
def resnet() -> Case:
    return Case("shapes_resnet", "input")


@pytest.fixture(scope="session")
def waves() -> Case:
    return Case("waves_recurrent", "signal")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person's environment says of shards and buckets is not meant here."""
    for name in os.environ:
        if name.startswith(("AWS_", "SLURM_", "FOURBIT_DEFAULT")):
            monkeypatch.delenv(name)
