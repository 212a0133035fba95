"""The pass in the real Olive: `olive run` reads the configurations and runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest
from bridges import CALIBRATION, RESNET, judged, needed

import fourbit.olive

TESTS = Path(__file__).parent
#: Olive without its gigabytes, see stand_ins.py; where they are installed, they are used.
OLIVE = "import stand_ins, sys; stand_ins.installed(); from olive.cli.launcher import main; main(sys.argv[1:])"

DATA = """
import numpy
from olive.data.registry import Registry


@Registry.register_dataset()
def shapes(**_):
    with numpy.load({file!r}) as arrays:
        return arrays["input"][:64]


@Registry.register_dataloader()
def shapes_batches(dataset, **_):
    return [({{"input": dataset[at : at + 16]}}, None) for at in range(0, 64, 16)]
"""


def workflow(folder: Path, **settings: Any) -> Dict[str, Any]:
    return {
        "input_model": {"type": "OnnxModel", "model_path": str(RESNET)},
        "passes": {"low_bits": {"type": "FourbitQuantization", **settings}},
        "output_dir": str(folder / "out"),
        "cache_dir": str(folder / "cache"),
        "log_severity_level": 1,
    }


def run(folder: Path, config: Dict[str, Any], packages: str = "") -> "subprocess.CompletedProcess[str]":
    needed("olive", "olive-ai")
    file = folder / "workflow.json"
    file.write_text(json.dumps(config))
    line = [sys.executable, "-c", OLIVE, "run", "--config", str(file), "--package-config", packages or fourbit.olive.package_config()]
    paths = os.pathsep.join([str(TESTS), *(path for path in [os.environ.get("PYTHONPATH")] if path)])
    environment = {**os.environ, "PYTHONPATH": paths, "OLIVE_DISABLE_TELEMETRY": "1", "HOME": str(folder)}
    return subprocess.run(line, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def written(folder: Path) -> Path:
    found = [path for path in (folder / "out").rglob("*.onnx")]
    assert len(found) == 1, found
    return found[0]


def test_a_workflow_with_samples_of_fourbit(tmp_path: Path) -> None:
    config = workflow(tmp_path, precision="w4a8", target="ort-cpu-int8", max_samples=64, calibration=str(CALIBRATION))
    done = run(tmp_path, config)
    assert done.returncode == 0, done.stdout
    place = written(tmp_path)
    assert place.stat().st_size < RESNET.stat().st_size / 3 and judged(place) > judged(RESNET) - 0.03
    told = json.loads(next((tmp_path / "out").rglob("model_config.json")).read_text())
    figures = told["config"]["model_attributes"]["fourbit"]
    assert figures["precision"] and figures["verdict"]["state"] == "validated"


def test_a_workflow_with_data_of_olive(tmp_path: Path) -> None:
    script = tmp_path / "data.py"
    script.write_text(DATA.format(file=str(CALIBRATION)))
    config = workflow(tmp_path, data_config="shapes", max_samples=32)
    config["data_configs"] = [
        {
            "name": "shapes",
            "user_script": str(script),
            "load_dataset_config": {"type": "shapes"},
            "pre_process_data_config": {"type": "skip_pre_process"},
            "dataloader_config": {"type": "shapes_batches"},
        }
    ]
    done = run(tmp_path, config)
    assert done.returncode == 0, done.stdout
    assert judged(written(tmp_path)) > judged(RESNET) - 0.03


def test_large_tensors_aside_and_weights_only(tmp_path: Path) -> None:
    done = run(tmp_path, workflow(tmp_path, precision="w4", save_as_external_data=True))
    assert done.returncode == 0, done.stdout
    place = written(tmp_path)
    assert place.with_name(place.name + ".data").exists() and judged(place) > judged(RESNET) - 0.03


def test_a_limit_that_is_not_met_gives_no_model(tmp_path: Path) -> None:
    done = run(tmp_path, workflow(tmp_path, precision="w4", max_size="20kB", max_samples=16, calibration=str(CALIBRATION)))
    # Olive goes on without a model, as for any pass that fails.
    assert "LimitError" in done.stdout and "No output model produced" in done.stdout, done.stdout
    assert not list((tmp_path / "out").rglob("*.onnx"))


def test_behind_passes_of_olive(tmp_path: Path) -> None:
    needed("olive", "olive-ai")
    line = [sys.executable, "-c", OLIVE.replace("from olive.cli.launcher import main;", "from fourbit.olive import main;")]
    packages = tmp_path / "packages.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([*line, str(packages)], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == str(packages)
    config = workflow(tmp_path, precision="w4", max_samples=32)
    config["passes"] = {"first": {"type": "OnnxPeepholeOptimizer"}, **config["passes"]}
    done = run(tmp_path, config, str(packages))
    assert done.returncode == 0, done.stdout
    assert judged(written(tmp_path)) > judged(RESNET) - 0.03


def test_the_package_configuration_is_found() -> None:
    done = subprocess.run([sys.executable, "-m", "fourbit.olive"], capture_output=True, text=True, check=True)
    with open(done.stdout.strip(), encoding="utf-8") as file:
        module, name = json.load(file)["passes"]["FourbitQuantization"]["module_path"].rsplit(".", 1)
    assert (module, name) == ("fourbit.olive", "FourbitQuantization")
    with pytest.raises(AttributeError):
        fourbit.olive.Nothing


def test_every_parameter_is_an_argument_of_quantize() -> None:
    import inspect

    needed("olive", "olive-ai")
    program = """
import stand_ins, json; stand_ins.installed()
from fourbit.olive import FourbitQuantization
from olive.hardware import DEFAULT_CPU_ACCELERATOR
print(json.dumps(sorted(FourbitQuantization.default_config(DEFAULT_CPU_ACCELERATOR))))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    found = set(json.loads(done.stdout.strip().splitlines()[-1]))
    others = {"data_config", "calibration", "rules", "save_as_external_data"}
    assert found - others <= set(inspect.signature(fourbit.quantize).parameters) and others <= found
