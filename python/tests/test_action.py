"""The steps of action.yml, each run as a runner of GitHub does it: its script by bash, inputs in its environment."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np
import pytest
from bridges import RESNET, ROOT, needed, samples

needed("yaml", "pyyaml")

import yaml  # noqa: E402

ACTION: Dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: Dict[str, Dict[str, Any]] = {step["id"]: step for step in ACTION["runs"]["steps"]}


class Done(NamedTuple):
    code: int
    outputs: Dict[str, str]
    summary: str
    log: str


def substituted(text: str, inputs: Dict[str, str], outputs: Dict[str, Dict[str, str]]) -> str:
    """What the runner makes of the expressions in `text`."""

    def value(found: "re.Match[str]") -> str:
        path = found.group(1).strip().split(".")
        if path[0] == "inputs":
            return inputs[path[1]]
        if path[0] == "steps" and path[2] == "outputs":
            return outputs[path[1]].get(path[3], "")
        assert path == ["github", "action_path"], found.group()
        return str(ROOT)

    return re.sub(r"\$\{\{(.*?)\}\}", value, text)


def parsed(text: str) -> Dict[str, str]:
    """A file of outputs: NAME=VALUE, or NAME<<MARK, lines, MARK."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, _, mark = line.partition("<<")
        if mark and "=" not in name:
            value: List[str] = []
            for inner in lines:
                if inner == mark:
                    break
                value.append(inner)
            found[name] = "\n".join(value)
        else:
            name, _, text = line.partition("=")
            found[name] = text
    return found


def run(folder: Path, step: str, given: Dict[str, str], outputs: Optional[Dict[str, Dict[str, str]]] = None, **more: str) -> Done:
    """One step in `folder`."""
    inputs = {name: str(one.get("default", "")) for name, one in ACTION["inputs"].items()}
    assert set(given) <= set(inputs)
    inputs.update(given)
    known = outputs or {"install": {"python": sys.executable}}
    script = folder / f"{step}.sh"
    script.write_text(substituted(STEPS[step]["run"], inputs, known))
    files = {name: folder / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for path in files.values():
        path.write_text("")
    environment = {**os.environ, **{name: str(path) for name, path in files.items()}, "RUNNER_TEMP": str(folder / "temp"), **more}
    environment.update((name, substituted(text, inputs, known)) for name, text in STEPS[step]["env"].items())
    # The program of the package, whatever the tests around have.
    environment["FOURBIT_PROGRAM"] = more.get("FOURBIT_PROGRAM", "")
    (folder / "temp").mkdir(exist_ok=True)
    line = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    done = subprocess.run(
        line, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return Done(done.returncode, parsed(files["GITHUB_OUTPUT"].read_text()), files["GITHUB_STEP_SUMMARY"].read_text(), done.stdout)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A model, with a few samples beside it."""
    place = tmp_path / "net.onnx"
    place.write_bytes(RESNET.read_bytes())
    for which, count in (("calibration", 48), ("validation", 300)):
        np.savez(tmp_path / f"few_{which}.npz", **samples(RESNET, count, which))
    return place


def test_inputs_reach_scripts_by_the_environment_only() -> None:
    assert ACTION["runs"]["using"] == "composite" and list(STEPS) == ["install", "gate"]
    used = ""
    for step in STEPS.values():
        assert "${{" not in step["run"] and step["shell"] == "bash"
        used += " ".join(step["env"].values())
    assert set(re.findall(r"inputs\.([a-z-]+)", used)) == set(ACTION["inputs"])
    assert {one["value"] for one in ACTION["outputs"].values()} == {
        f"${{{{ steps.gate.outputs.{name} }}}}" for name in ACTION["outputs"]
    }


def test_a_model_is_converted_and_told_of(net: Path) -> None:
    done = run(net.parent, "gate", {"model": "net.onnx", "precision": "w4a8", "samples": "few_calibration.npz", "min-sqnr": "10", "output": "out.onnx"})
    assert done.code == 0, done.log
    assert set(done.outputs) == set(ACTION["outputs"])
    assert done.outputs["passed"] == "true" and Path(net.parent / done.outputs["file"]).exists()
    assert float(done.outputs["ratio"]) < 0.3 and float(done.outputs["sqnr"]) > 10
    assert "### fourbit: net.onnx" in done.summary and "✅" in done.summary and "| size |" in done.summary
    report = json.loads((net.parent / done.outputs["report"]).read_text())
    assert report["schema"] == "fourbit.report"


def test_a_limit_that_only_floats_meet_fails_the_job(net: Path) -> None:
    done = run(net.parent, "gate", {"model": "net.onnx", "precision": "w4", "samples": "few_calibration.npz", "min-sqnr": "90"})
    assert done.code == 6 and done.outputs["passed"] == "false" and done.outputs["report"] == "", done.log
    assert "❌" in done.summary and "::error::fourbit: Nothing was written" in done.log


def test_a_file_is_held_against_its_float_model(net: Path) -> None:
    made = run(net.parent, "gate", {"model": "net.onnx", "precision": "w4", "samples": "few_calibration.npz"})
    assert made.code == 0, made.log
    given = {
        "model": "net.onnx",
        "quantized": made.outputs["file"],
        "samples": "few_validation.npz",
        "max-drop": "5",
        "min-agreement": "80%",
        "report": "folder/verdict.json",
    }
    done = run(net.parent, "gate", given)
    assert done.code == 0, done.log
    assert float(done.outputs["drop"]) < 5 and float(done.outputs["agreement"]) > 0.8
    assert done.summary.count("✅") == 3 and "| top-1 |" in done.summary, done.summary
    assert json.loads((net.parent / "folder" / "verdict.json").read_text())["schema"] == "fourbit.verdict"
    strict = run(net.parent, "gate", {**given, "min-sqnr": "90"})
    assert strict.code == 3 and strict.summary.count("❌") == 2, strict.summary
    assert strict.outputs["passed"] == "false" and "::error::fourbit: A limit is not met" in strict.log


def test_inputs_that_do_not_fit_together(net: Path) -> None:
    for given in ({"model": "net.onnx", "quantized": "q.onnx", "precision": "w4"}, {"model": ""}, {"model": "net.onnx", "precision": "w99"}):
        done = run(net.parent, "gate", given)
        assert done.code == 2 and "error" in done.log, (given, done.log)
    done = run(net.parent, "gate", {"model": "nowhere.onnx"})
    assert done.code == 1 and done.outputs["passed"] == "false" and done.outputs["report"] == ""


TEXTS = ["$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '"; touch pwned; "', "--help", "-o", "a\nb=c"]


@pytest.mark.parametrize("name", [name for name in ACTION["inputs"] if name not in ("version", "wheel", "python")])
def test_no_input_becomes_a_command(tmp_path: Path, name: str) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!{sys.executable}\nimport json, sys\njson.dump(sys.argv[1:], open({str(tmp_path / 'seen')!r}, 'w'))\n")
    program.chmod(0o755)
    for text in TEXTS:
        given = {"model": "net.onnx", **({"quantized": text} if name == "quantized" else {"precision": "w4"}), name: text}
        done = run(tmp_path, "gate", given, FOURBIT_PROGRAM=str(program))
        assert done.code == 0 and not (tmp_path / "pwned").exists(), done.log
        assert set(done.outputs) == set(ACTION["outputs"]), done.outputs
        seen = json.loads((tmp_path / "seen").read_text())
        models = seen.index("--") + 1
        # As the value of an option, or as a file behind all options.
        places = [word.partition("=")[2] for word in seen[:models] if "=" in word] + seen[models:]
        assert name == "report" or text in places, seen
        assert not set(TEXTS) & set(seen[:models]), seen


def test_no_input_of_the_installation_becomes_a_command(tmp_path: Path) -> None:
    for text in TEXTS:
        done = run(tmp_path, "install", {"wheel": text})
        assert done.code != 0 and "there is no wheel" in done.log
        done = run(tmp_path, "install", {"python": text})
        assert done.code != 0 and not done.outputs
    # A Python that makes an environment whose Python says how it was called.
    fake = tmp_path / "fake"
    fake.write_text(f"""#!/bin/bash
mkdir -p "${{@: -1}}/bin"
printf '#!/bin/bash\\nprintf "%%s\\\\n" "$@" >>{tmp_path}/seen\\n' >"${{@: -1}}/bin/python"
chmod +x "${{@: -1}}/bin/python"
""")
    fake.chmod(0o755)
    for text in TEXTS[:6]:
        (tmp_path / "seen").unlink(missing_ok=True)
        done = run(tmp_path, "install", {"version": text, "python": str(fake)})
        assert done.code == 0, done.log
        seen = (tmp_path / "seen").read_text().splitlines()
        assert seen[seen.index("--") + 1] == f"fourbit=={text}", seen
    assert not (tmp_path / "pwned").exists()


def packed(folder: Path) -> Path:
    """The fourbit that is installed, as a wheel again."""
    given = os.environ.get("FOURBIT_WHEEL")
    if given:
        return Path(given)
    try:
        found = importlib.metadata.distribution("fourbit")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("fourbit is no installed package here, so that there is no wheel to install: set FOURBIT_WHEEL")
    files = [file for file in found.files or [] if file.suffix != ".pyc" and ".." not in file.parts]
    if not any(file.suffix in (".so", ".pyd") for file in files):
        pytest.skip("fourbit is installed from its sources, so that there is no wheel to install: set FOURBIT_WHEEL")
    tag = re.search(r"^Tag: (.*)$", found.read_text("WHEEL") or "", re.MULTILINE)
    place = folder / f"fourbit-{found.version}-{tag.group(1) if tag else 'py3-none-any'}.whl"
    record = f"fourbit-{found.version}.dist-info/RECORD"
    lines = []
    with zipfile.ZipFile(place, "w") as wheel:
        for file in files:
            if file.name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json"):
                continue
            data = Path(str(found.locate_file(file))).read_bytes()
            wheel.writestr(file.as_posix(), data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            lines.append(f"{file.as_posix()},sha256={digest},{len(data)}")
        wheel.writestr(record, "\n".join([*lines, f"{record},,"]) + "\n")
    return place


def test_a_wheel_is_installed_and_used(net: Path) -> None:
    wheel = packed(net.parent)
    # Its dependency, numpy, need not come over the network for this.
    done = run(net.parent, "install", {"wheel": str(wheel), "python": sys.executable}, PIP_NO_DEPS="1")
    assert done.code == 0 and "fourbit " in done.log, done.log
    python = done.outputs["python"]
    assert Path(python).exists() and str(net.parent) in python
    gate = run(net.parent, "gate", {"model": "net.onnx", "precision": "w8", "samples": "none"}, {"install": {"python": python}}, PYTHONPATH="")
    assert gate.code == 0 and Path(net.parent / gate.outputs["file"]).exists(), gate.log
