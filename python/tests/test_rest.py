"""Plans, comparisons, looks at models, the program, and types."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fourbit

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parents[1]


def program(*line, **more):
    return subprocess.run(
        [sys.executable, "-m", "fourbit", *map(str, line)], capture_output=True, text=True, check=False, **more
    )


@pytest.fixture(scope="module")
def quantized(waves):
    return fourbit.quantize(waves.model.read_bytes(), waves.calibration[:64], precision="w4", progress=False).model


def test_a_plan_is_edited_and_applied(waves, tmp_path):
    options = {"precision": "w4", "max_samples": 32, "strict_bits": True, "progress": False}
    plan = fourbit.plan(waves.model, waves.calibration[:32], **options)
    whole = plan.apply(waves.model, tmp_path / "whole.onnx")
    # Nothing is held back of what a plan is made on; a conversion with a file to judge on holds nothing back either.
    judged = fourbit.quantize(
        waves.model, waves.calibration[:32], output=tmp_path / "judged.onnx", validation=waves.validation[:8], **options
    )
    assert whole.model == judged.model and whole.path == tmp_path / "whole.onnx"
    assert judged.plan["decisions"] == plan["decisions"]

    path = plan.save(tmp_path / "plan.json")
    with pytest.raises(fourbit.FileError, match="overwrite="):
        plan.save(path)
    edited = fourbit.Plan.load(path)
    assert edited == plan and len(edited) == len(plan) and "decisions" in edited
    first = edited.decisions[0]["tensor"]
    assert edited.leave_float(first) == 1
    assert edited.leave_float("no such tensor") == 0
    fewer = edited.apply(waves.model.read_bytes())
    assert fewer.path is None and fewer.decisions == whole.decisions - 1
    assert len(fewer.model) > len(whole.model)
    assert plan.apply(waves.model.read_bytes(), first=1).decisions == 1

    edited["decisions"][0]["terms"][0]["scales"] = []
    with pytest.raises(fourbit.PlanError):
        edited.apply(waves.model.read_bytes())
    with pytest.raises(fourbit.PlanError):
        plan.apply(ROOT / "models/digits_attention/model.onnx", tmp_path / "other.onnx")
    (tmp_path / "wrong.json").write_text("[1]")
    with pytest.raises(fourbit.PlanError, match="no plan"):
        fourbit.Plan.load(tmp_path / "wrong.json")


def test_a_comparison_passes_or_says_what_it_misses(waves, quantized):
    samples = {"signal": waves.validation[:200], "labels": waves.labels[:200]}
    found = fourbit.validate(waves.model, quantized, samples, max_drop=50.0, min_sqnr=1.0, min_agreement=0.5)
    assert found.passed and found.missed == [] and len(found.limits) == 3
    assert found.verdict.scores.rows == 200 and "top-1" in found.text
    assert found.require() is found
    failed = fourbit.validate(waves.model, quantized, samples, min_sqnr=90.0)
    assert not failed.passed and "at least 90 dB" in failed.missed[0]
    with pytest.raises(fourbit.LimitError, match="at least 90 dB"):
        failed.require()
    with pytest.raises(fourbit.OptionsError, match="labelled samples"):
        fourbit.validate(waves.model.read_bytes(), quantized, waves.validation[:8], max_drop=1.0)


def test_models_are_looked_at(waves, quantized):
    found = fourbit.inspect(waves.model)
    assert found.operators["LSTM"] >= 1 and found.operators.LSTM >= 1 and "LSTM" in found.text
    checked = fourbit.check(quantized, "openvino")
    assert isinstance(checked.accepted, bool) and checked.target == "openvino"
    refused = fourbit.check(quantized, "tract")
    assert not refused.accepted and refused.findings and refused.text
    names = {target.name for target in fourbit.targets()}
    assert {"generic", "ort-cpu", "openvino"} <= names
    with pytest.raises(fourbit.OptionsError, match="unknown target"):
        fourbit.check(quantized, "toaster")


def test_layers_are_ranked(waves):
    found = fourbit.sensitivity(
        waves.model, waves.calibration[:64], validation=waves.validation[:64], precision="w4", measure=16, layers=2
    )
    assert found.layers[0].exclude and found.layers[0].tensor


def test_the_program_runs_in_the_process(waves, tmp_path):
    version = program("--version")
    assert version.returncode == 0 and version.stdout.startswith(f"fourbit {fourbit.__version__}")
    assert program("quantize").returncode == 2
    missing = program("inspect", tmp_path / "none.onnx")
    assert missing.returncode == 1 and missing.stderr.startswith("error: ")
    assert program("check", waves.model).returncode == 0
    again = subprocess.run(["fourbit", "targets", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(again.stdout)["targets"]


def test_a_batch_starts_the_program_again(waves, tmp_path):
    source = tmp_path / "zoo"
    source.mkdir()
    (source / "net.onnx").write_bytes(waves.model.read_bytes())
    done = program("batch", source, tmp_path / "small", "--precision", "w4", "--calibration", "none", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "small" / "net.onnx").is_file()


def test_every_setting_that_the_library_names_is_a_keyword():
    import inspect
    import re

    from fourbit._words import _SETTINGS, spelled

    keywords = set(inspect.signature(fourbit.quantize).parameters) | set(inspect.signature(fourbit.validate).parameters)
    keywords |= set(inspect.signature(fourbit.sensitivity).parameters) | set(inspect.signature(fourbit.Plan.apply).parameters)
    keywords |= {"base", "divide_by", "mean", "std", "resize", "crop"}
    source = Path(os.environ.get("FOURBIT_SOURCE", ROOT / "src"))
    unknown = set()
    for path in source.rglob("*.rs"):
        inside = path.relative_to(source).parts
        if inside[0] in ("cli", "zoo", "place", "remote"):
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip().startswith("//"):
                continue
            for word in re.findall(r"`\.([a-z_.]*[a-z_])`", line):
                keyword = _SETTINGS.get(word, word.replace(".", "_"))
                # Contact sheets are the program's alone.
                if keyword not in keywords and keyword != "png":
                    unknown.add((str(path), word))
    assert not unknown
    assert spelled("choose `.precision` w4, which needs none") == 'choose precision="w4", which needs none'
    assert spelled("set `.overwrite` to replace it") == "set overwrite= to replace it"
    assert spelled("divide by 255 as well: `.divide_by` 255, or") == "divide by 255 as well: divide_by=255, or"
    assert spelled('`.exclude` "fc*" fits no tensor') == 'exclude="fc*" fits no tensor'
    assert spelled("`.target` ort-cpu-int8 computes") == 'target="ort-cpu-int8" computes'
    assert spelled("node `conv.1`: `weights`") == "node `conv.1`: `weights`"


def test_types_are_checked():
    mypy = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir", os.devnull]
    done = subprocess.run([*mypy, str(TESTS / "typed.py")], capture_output=True, text=True, check=False, cwd=TESTS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_notebook_runs(waves, tmp_path, monkeypatch):
    notebook = json.loads((ROOT / "docs/guide/python.ipynb").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOURBIT_MODELS", str(ROOT / "models"))
    scope = {"__name__": "notebook"}
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 4
    for cell in cells:
        exec(compile(cell, "python.ipynb", "exec"), scope)
    assert isinstance(scope["result"], fourbit.Result)


def test_importing_brings_little():
    told = "import sys, fourbit; print(sorted({'numpy', 'onnx', 'tqdm', 'pandas', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert np.float32(1) == 1


def test_a_metric_of_ones_own_sees_both_models(waves, quantized):
    samples = {"signal": waves.validation[:200], "labels": waves.labels[:200]}

    def top1(outputs, labels):
        (scores,) = outputs.values()
        assert scores.dtype == np.float32 and labels.shape == (1,)
        return scores.argmax() == labels[0]

    found = fourbit.validate(waves.model, quantized, samples, metric=top1)
    assert found.metric.samples == 200 and found.passed
    assert found.metric.float == pytest.approx(found.verdict.scores.float_top1)
    assert found.metric.drop == pytest.approx(found.verdict.scores.drop_points / 100)

    def noise(outputs, labels):
        assert labels is None
        return -float(abs(outputs["scores" if "scores" in outputs else next(iter(outputs))]).sum())

    options = {"precision": "w4", "max_samples": 32, "progress": False, "validation": waves.validation[:20]}
    result = fourbit.quantize(waves.model.read_bytes(), waves.calibration[:32], metric=noise, **options)
    assert result.metric.samples == 20 and result.missed == []
    with pytest.raises(fourbit.LimitError, match="max_metric_drop=-100") as caught:
        fourbit.quantize(
            waves.model.read_bytes(), waves.calibration[:32], metric=noise, max_metric_drop=-100.0, **options
        )
    assert caught.value.result.model == result.model
    with pytest.raises(ZeroDivisionError):
        fourbit.quantize(waves.model.read_bytes(), "none", metric=lambda *_: 1 / 0, **options)
    with pytest.raises(fourbit.OptionsError, match="needs validation="):
        fourbit.quantize(waves.model.read_bytes(), "none", precision="w4", metric=noise)
