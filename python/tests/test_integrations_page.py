"""The examples in docs/guide/integrations.md are what the bridges take."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from bridges import RESNET, ROOT, judged, needed, samples

import fourbit.onnxruntime

PAGE = ROOT / "docs" / "guide" / "integrations.md"


def blocks(language: str) -> List[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_python_calls_what_there_is() -> None:
    import importlib

    found = blocks("python")
    assert len(found) > 4
    for text in found:
        names: Dict[str, Any] = {}
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("fourbit"):
                module = importlib.import_module(str(node.module))
                names.update((alias.name, getattr(module, alias.name)) for alias in node.names)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                given = {str(one.arg): None for one in node.keywords}
                inspect.signature(names[node.func.id]).bind(*node.args, **given)


def test_the_first_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed("onnxruntime")
    monkeypatch.chdir(tmp_path)
    Path("net.onnx").write_bytes(RESNET.read_bytes())
    reader = [{"input": samples(RESNET, 32)["input"]}]
    for text in blocks("python")[:2]:
        exec(compile(text, str(PAGE), "exec"), {"reader": reader})
    assert judged("net.w4a8.onnx") > judged(RESNET) - 0.03 and Path("net.qnn.onnx").exists()


def test_the_workflow_is_one() -> None:
    (text,) = blocks("json")
    settings = json.loads(text)["passes"]["low_bits"]
    parameters = {*inspect.signature(fourbit.quantize).parameters, "calibration", "type"}
    assert set(settings) <= parameters and settings["type"] == "FourbitQuantization"


def test_the_action_has_these_inputs() -> None:
    needed("yaml", "pyyaml")
    import yaml

    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    whole, part = blocks("yaml")
    steps = [*yaml.safe_load(whole)["jobs"]["quantize"]["steps"], *yaml.safe_load(part)]
    ours = [step["with"] for step in steps if "fourbit" in step.get("uses", "")]
    assert len(ours) == 2 and all(set(one) <= set(action["inputs"]) for one in ours)
    named = re.search(r"in the outputs (.*?)\. `version`", PAGE.read_text(encoding="utf-8").replace("\n", " "))
    assert named and re.findall(r"`(\w+)`", named.group(1)) == list(action["outputs"])


def test_options_of_commands_exist() -> None:
    from fourbit import transformers_js

    known = set(re.findall(r'"(--\w+)"', inspect.getsource(transformers_js)))
    command = (ROOT / "python" / "fourbit" / "_optimum_command.py").read_text(encoding="utf-8")
    pairs: List[Tuple[str, "set[str]"]] = [("fourbit.transformers_js", known), ("quantize --onnx_model", set(re.findall(r'"(--\w+)"', command)))]
    for start, options in pairs:
        lines = [line for text in blocks("sh") for line in text.splitlines() if start in line]
        assert lines and all(set(re.findall(r"--\w+", line)) <= options for line in lines), lines
