"""The command that optimum-cli gets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bridges import CALIBRATION, DIGITS, RESNET, judged, needed

import fourbit
import fourbit.optimum

TESTS = Path(__file__).parent
#: The real program, without what it does not use on this way; see stand_ins.py.
OPTIMUM = "import stand_ins, sys; stand_ins.installed(); sys.argv[0] = 'optimum-cli'; from optimum.commands.optimum_cli import main; main()"


def optimum_cli(*arguments: Any) -> "subprocess.CompletedProcess[str]":
    needed("optimum.commands.optimum_cli", "optimum")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    line = [sys.executable, "-c", OPTIMUM, *map(str, arguments)]
    return subprocess.run(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A folder as `optimum-cli export onnx` leaves it."""
    folder = tmp_path / "exported"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(RESNET.read_bytes())
    (folder / "config.json").write_text(json.dumps({"model_type": "resnet"}))
    (folder / "preprocessor_config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_the_command_is_there() -> None:
    done = optimum_cli("--help")
    assert done.returncode == 0 and "fourbit" in done.stdout, done.stdout
    done = optimum_cli("fourbit", "quantize", "--help")
    assert done.returncode == 0 and "--onnx_model" in done.stdout, done.stdout


def test_a_folder_is_converted(exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = optimum_cli("fourbit", "quantize", "--onnx_model", exported, "-o", out, "--max_samples", 32)
    assert done.returncode == 0, done.stdout
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.onnx", "preprocessor_config.json"]
    assert (out / "model.onnx").stat().st_size < RESNET.stat().st_size / 3 and judged(out / "model.onnx") > judged(RESNET) - 0.03


def test_activations_and_limits(exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ["fourbit", "quantize", "--onnx_model", exported, "-o", out, "--precision", "w4a8"]
    line += ["--calibration", CALIBRATION, "--max_samples", 16, "--exclude", "stem*"]
    done = optimum_cli(*line, "--min_sqnr", 90)
    assert done.returncode != 0 and "nothing was quantized" in done.stdout, done.stdout
    done = optimum_cli(*line, "--min_agreement", 0.5, "--overwrite")
    assert done.returncode == 0, done.stdout
    assert judged(out / "model.onnx") > judged(RESNET) - 0.1


def test_several_models_of_a_folder(tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "onnx").mkdir(parents=True)
    (source / "model.onnx").write_bytes(RESNET.read_bytes())
    (source / "onnx" / "digits.onnx").write_bytes(DIGITS.read_bytes())
    found = fourbit.optimum.quantize_folder(source, tmp_path / "out", precision="w8", max_samples=32)
    assert list(found) == [tmp_path / "out" / "model.onnx", tmp_path / "out" / "onnx" / "digits.onnx"]
    assert all(path.exists() and result.path == path for path, result in found.items())


def test_folders_that_make_no_sense(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(fourbit.FileError, match="found none"):
        fourbit.optimum.quantize_folder(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(fourbit.OptionsError, match="another"):
        fourbit.optimum.quantize_folder(exported, exported)
    with pytest.raises(fourbit.FileError, match="exists"):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "model.onnx").write_bytes(b"")
        fourbit.optimum.quantize_folder(exported, tmp_path / "out", max_samples=16)
