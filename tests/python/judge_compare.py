"""Judges what the runtime found by what is expected.

A case is the same, refused with a reason, not decided since small changes of its inputs move everything, or wrong. Where it is not the same, the
reference evaluator of the onnx package is asked too, and OpenVINO where these two differ: the side that two take is right.
"""

import collections
import json
import re
import shutil

import numpy as np
import onnx

import judge_covered
import judge_oracles as oracles
import judge_shelf
import judge_verdict as verdict


def short(problem):
    """A refusal's kind: what it says, without numbers and names."""
    words = re.sub(r"\s+", " ", problem)
    words = re.sub(r"\[[^\]]*\]|\([^)]*\)|\{.*\}|<[^>]*>", "", words)
    return re.sub(r"\S*\d\S*", "#", words)[:110]


def alike(a, b, case):
    return a is not None and b is not None and verdict.differences(a, b, case["allowed"], case["rounded"], case.get("moved")) is None


def judge(path, case, found, outputs):
    """The verdict on one case: a word, and what there is to say."""
    if found["outcome"] == "refused":
        return "refused", short(found["problem"])
    if found["outcome"] != "ran":
        return "wrong", found["outcome"]
    expected, moved = case["outputs"], case.get("moved")
    if verdict.unsteady(expected, moved, case["allowed"]):
        return "not decided", "small changes of the inputs change the outputs"
    problem = verdict.differences(expected, outputs, case["allowed"], case["rounded"], moved)
    reference = case.get("reference")
    if problem is None:
        if case.get("source") == "onnxruntime" and reference is not None and not alike(expected, reference, case):
            return "same", "disputed"
        return "same", None
    heard = voices(path, case)
    ours = [name for name, values in heard.items() if alike(values, outputs, case)]
    theirs = [name for name, values in heard.items() if alike(expected, values, case)]
    others = [name for name, values in heard.items() if values is not None and name not in ours and name not in theirs]
    sides = ((ours, "with the judge"), (theirs, f"with {case['source']}"), (others, "other"))
    words = "; ".join(f"{', '.join(names)} {side}" for names, side in sides if names) or "no other voice"
    match case["source"]:
        case "onnxruntime":
            differ = heard["reference evaluator"] is not None and "reference evaluator" not in theirs
            right = differ and (len(ours) > len(theirs) or (len(others) > 1 and not theirs))
        case "reference evaluator":
            right = bool(ours) and not theirs
        case _:
            right = len(ours) == len(heard)
    return ("disputed", words) if right else ("wrong", f"{problem}  [{words}]")


def voices(path, case):
    """What the voices say that the expected outputs are not from.

    Where the evaluator differs from onnxruntime, the side that most take is right; where it says nothing, onnxruntime is. What the evaluator alone
    says gives way to OpenVINO, and the outputs that come with a case to two runtimes at once."""
    heard, model = {}, onnx.load(path)
    match case["source"]:
        case "onnxruntime":
            heard["reference evaluator"] = case.get("reference") or oracles.in_reference(model, case["feeds"])
        case "expected outputs":
            try:
                heard["onnxruntime"] = oracles.run_onnxruntime(oracles.session_of(model), case["feeds"])
            except oracles.Refusal:
                heard["onnxruntime"] = None
    heard["OpenVINO"] = oracles.in_openvino(path, case["feeds"])
    return heard


def compare(folder, keep=None):
    """Prints what is wrong and the counts; gives whether anything is."""
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    cases, dropped = judge_shelf.expectations(folder)
    counts, refused, disputed = collections.Counter(), collections.Counter(), collections.Counter()
    undecided, wrong = collections.Counter(), []
    for found in judge_shelf.results(folder):
        name = found["name"]
        case, path = cases[name], folder / f"{name}.onnx"
        outputs = judge_shelf.outputs(folder, found) if found["outcome"] == "ran" else None
        word, note = judge(path, case, found, outputs)
        counts[word] += 1
        about = case.get("about") or {}
        operator = about.get("operator", name)
        match word:
            case "refused":
                refused[note] += 1
            case "not decided":
                undecided[operator] += 1
            case "disputed":
                print(f"  disputed {name}: {note}  {about.get('call', '')}")
            case "wrong":
                wrong.append((name, note, about))
                print(f"{name}: {note}  {about.get('call', '')}")
                if keep:
                    kept(keep / name, path, case, outputs)
        if word == "disputed" or note == "disputed":
            disputed[f"{operator}: {note if word == 'disputed' else 'the reference evaluator differs'}"] += 1
    uncovered = []
    if (folder / "part.txt").read_text() == "operators":
        uncovered = judge_covered.missing([case["about"] for case in cases.values()])
        print(*uncovered, sep="\n")
    result = {"cases": len(cases), "dropped": len(dropped), "counts": counts, "refused": refused.most_common(), "disputed": disputed.most_common(), "undecided": undecided.most_common()}
    print(json.dumps(result))
    if keep:
        (keep / "wrong.json").write_text(json.dumps(wrong, indent=1))
    return bool(wrong or uncovered)


def kept(place, path, case, outputs):
    """Keeps all of a case for a look by hand."""
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, place / "model.onnx")
    np.savez(place / "x.npz", **{name: value for name, value in case["feeds"].items() if isinstance(value, np.ndarray)})
    for title, values in (("expected", case["outputs"]), ("found", outputs or []), ("reference", case.get("reference") or [])):
        plain = {f"y{at}": value for at, value in enumerate(values) if isinstance(value, np.ndarray)}
        np.savez(place / f"{title}.npz", **plain)
