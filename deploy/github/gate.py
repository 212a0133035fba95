"""Runs fourbit as the inputs of action.yml say, and tells the job what came of it. Ends with fourbit's exit code.

Inputs are variables INPUT_NAME. The program is that of the Python that runs this, or of FOURBIT_PROGRAM.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, Dict, List, Optional

#: fourbit's exit codes: docs/reference/exit-codes.md.
MEANINGS = {
    0: "All limits are met.",
    1: "An error: see the log.",
    2: "The inputs of the action do not fit together: see the log.",
    3: "A limit is not met, or the outputs are broken.",
    4: "The models could not be compared.",
    5: "Nothing was written: quantized activations need a model that can be run, and this one cannot.",
    6: "Nothing was written: nothing in the model would be quantized.",
}


def given(name: str) -> str:
    """An input of the action; empty if it was not given."""
    return os.environ.get(f"INPUT_{name}", "").strip()


def command() -> List[str]:
    """The command line of fourbit."""
    program = os.environ.get("FOURBIT_PROGRAM")
    line = [program] if program else [sys.executable, "-m", "fourbit"]
    compared = bool(given("QUANTIZED"))
    line += ["validate" if compared else "quantize", "--json"]
    options = {
        "--max-drop": "MAX_DROP",
        "--min-agreement": "MIN_AGREEMENT",
        "--min-sqnr": "MIN_SQNR",
        "--preprocess": "PREPROCESS",
    }
    if compared:
        options["--validation"] = "SAMPLES"
        surplus = [name for name in ("PRECISION", "TARGET", "OUTPUT", "VALIDATION") if given(name)]
        if surplus:
            names = ", ".join(name.lower() for name in surplus)
            raise SystemExit(wrong(f"{names} belong to a conversion, and quantized names a file that exists"))
    else:
        options.update(
            {
                "--precision": "PRECISION",
                "--target": "TARGET",
                "--calibration": "SAMPLES",
                "--validation": "VALIDATION",
                "--output": "OUTPUT",
            }
        )
        line += ["--overwrite"]
    # In one word, so that no value is taken for an option.
    line += [f"{option}={given(name)}" for option, name in options.items() if given(name)]
    models = [given("MODEL")] + ([given("QUANTIZED")] if compared else [])
    if not models[0]:
        raise SystemExit(wrong("the input model is missing"))
    return [*line, "--", *models]


def wrong(text: str) -> int:
    """Marks the job with an error, and gives the code for wrong arguments."""
    print(f"::error::{escaped(text)}")
    return 2


def escaped(text: str) -> str:
    """`text` as a command of the runner takes it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def plain(value: Any) -> str:
    """`value` in a cell of a Markdown table."""
    text = " ".join(str(value).split())
    for sign in "\\`*_{}[]<>|#~":
        text = text.replace(sign, f"\\{sign}" if sign not in "<>" else {"<": "&lt;", ">": "&gt;"}[sign])
    return text


def number(value: Optional[float], digits: int, unit: str = "") -> str:
    return "" if value is None else f"{value:.{digits}f}{unit}"


def least(verdict: Dict[str, Any]) -> Optional[float]:
    """The least SQNR of all outputs."""
    found = [output.get("sqnr_db") for output in verdict.get("outputs") or []]
    numbers = [float(one) for one in found if one is not None]
    return min(numbers, default=None)


def rows(report: Dict[str, Any]) -> List[List[str]]:
    """The figures, for people."""
    verdict: Dict[str, Any] = report.get("verdict") or {}
    scores: Dict[str, Any] = verdict.get("scores") or {}
    sizes: Dict[str, Any] = report.get("sizes") or {}
    found = [["file", plain(report.get("output") or report.get("quantized") or "")]]
    if sizes:
        size = f"{sizes['before'] / 1e6:.2f} -> {sizes['after'] / 1e6:.2f} MB ({1 / sizes['ratio']:.1f}x smaller)"
        found.append(["size", size])
    if report.get("precision"):
        found.append(["precision", plain(report["precision"])])
    if scores:
        before, after = 100 * scores["float_top1"], 100 * scores["quantized_top1"]
        error = scores.get("standard_error")
        spread = "" if error is None else f" ± {error:.2f}"
        found.append(["top-1", f"{before:.2f} -> {after:.2f} % (drop of {scores['drop_points']:.2f}{spread} points)"])
    if verdict.get("agreement") is not None:
        found.append(["same answers", f"{100 * verdict['agreement']:.1f} %"])
    if least(verdict) is not None:
        found.append(["least SQNR", number(least(verdict), 1, " dB")])
    if verdict.get("samples") is not None:
        found.append(["samples", plain(f"{verdict['samples']}, {verdict.get('source') or 'made up'}")])
    if verdict.get("state") == "not_validated":
        found.append(["not validated", plain(verdict.get("reason", ""))])
    return found


def limits(report: Dict[str, Any]) -> List[str]:
    """What was found of each limit."""
    found = [f"{'✅' if one.get('met') else '❌'} {plain(one.get('text', ''))}" for one in report.get("limits") or []]
    budget: Dict[str, Any] = report.get("budget") or {}
    if budget:
        asked = ", ".join(
            f"{name.lower().replace('_', '-')} {plain(given(name))}" for name in ("MAX_DROP", "MIN_AGREEMENT", "MIN_SQNR") if given(name)
        )
        found.append(f"{'✅' if budget.get('met') else '❌'} {asked}")
    return found


def summary(report: Dict[str, Any], code: int) -> str:
    """The page that the job shows."""
    lines = [f"### fourbit: {plain(given('MODEL'))}", "", f"{'✅' if code == 0 else '❌'} {MEANINGS.get(code, f'exit code {code}')}", ""]
    if report:
        lines += ["| | |", "| --- | --- |"] + [f"| {name} | {value} |" for name, value in rows(report)] + [""]
        lines += [f"- {line}" for line in limits(report)]
        lines += [f"- ⚠️ {plain(warning)}" for warning in report.get("warnings") or []]
    return "\n".join(lines) + "\n"


def written(variable: str, text: str) -> None:
    """Appends to a file of the runner, if there is one."""
    if os.environ.get(variable):
        with open(os.environ[variable], "a", encoding="utf-8") as file:
            file.write(text)


def outputs(values: Dict[str, str]) -> str:
    """Outputs of the step, each between lines that no value has."""
    mark = uuid.uuid4().hex
    return "".join(f"{name}<<{mark}\n{value}\n{mark}\n" for name, value in values.items())


def main() -> int:
    line = command()
    print("+ " + " ".join(shlex.quote(word) for word in line), flush=True)
    done = subprocess.run(line, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
    try:
        report: Dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        report = {}
        print(done.stdout.decode(errors="replace"))
    place = given("REPORT")
    if report and place:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).write_bytes(done.stdout)
    verdict: Dict[str, Any] = report.get("verdict") or {}
    values = {
        "file": str(report.get("output") or given("QUANTIZED")),
        "report": place if report else "",
        "passed": "true" if done.returncode == 0 else "false",
        "drop": number((verdict.get("scores") or {}).get("drop_points"), 4),
        "agreement": number(verdict.get("agreement"), 6),
        "sqnr": number(least(verdict), 2),
        "ratio": number((report.get("sizes") or {}).get("ratio"), 4),
    }
    written("GITHUB_OUTPUT", outputs(values))
    text = summary(report, done.returncode)
    written("GITHUB_STEP_SUMMARY", text)
    print(text)
    if done.returncode != 0:
        print(f"::error::{escaped('fourbit: ' + MEANINGS.get(done.returncode, f'exit code {done.returncode}'))}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
