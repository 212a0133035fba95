"""The section of `docs/zoo.md` that `benches/exports.py` writes."""

# SQNR beyond this is float rounding, which runtimes do differently.
ROUNDING_DB = 70.0
TITLE = "## What exporters write today"
HEAD = ["model", "written by", "opset", "kB", "kB at w4", "w4: fourbit", "onnxruntime"]
HEAD += ["w4a8: fourbit", "onnxruntime", "w4, no samples", "s"]
# Files whose metadata name no producer, or the last tool that wrote them and not the exporter: it is known from their forms.
EXPORTERS = {"PaddlePaddle": "paddle2onnx", "": "paddle2onnx"}


def producer(entry, model):
    """Exporter and version as the file names them."""
    name, version = model.producer_name, model.producer_version.split("+")[0]
    if hasattr(entry, "exporter"):
        pinned = next((package for package in entry.packages if package.startswith(entry.exporter)), entry.packages[0])
        return pinned.replace("==", " ")
    if any(node.name.startswith("node_") for node in nodes(model.graph)):
        name = f"{name} (dynamo)"
    return f"{EXPORTERS.get(name, name)} {version.split(' ')[0]}".strip()


def nodes(graph):
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from nodes(attribute.g)


def decibels(line, form):
    value = line.get(f"{form}_db")
    return "-" if value is None or value != value else "exact" if value == float("inf") else f"{value:.1f}"


def cells(entry, model, runs):
    w4, w4a8, blind = (runs.get(run, {}) for run in ("w4", "w4a8", "blind"))
    sizes = [f"{w4[key] / 1000:.0f}" if key in w4 else "-" for key in ("before", "size")]
    row = [entry.name, producer(entry, model), str(w4.get("opset", "-")), *sizes]
    for line in (w4, w4a8):
        row += [decibels(line, "told"), f"{decibels(line, 'plain')} / {decibels(line, 'default')}"]
    judged = not blind.get("wrong", ["-"])
    row.append(("" if judged else "not judged, ") + decibels(blind, "plain"))
    return [*row, " / ".join(f"{line['seconds']:.0f}" if line else "-" for line in (w4, w4a8))]


def write(document, lines, runtime):
    """Puts the section in the place of the one there was, at the document's end."""
    rows = [cells(entry, model, runs) for entry, model, _, runs in lines]
    table = ["| " + " | ".join(row) + " |" for row in [HEAD, ["---"] * len(HEAD), *rows]]
    wrong = [f"* {entry.name}, {run}: {text}." for entry, _, _, runs in lines for run, line in runs.items() for text in line["wrong"]]
    bare = [entry.name for entry, _, _, runs in lines if runs.get("w4a8", {}).get("activations") == 0]
    exporters = sorted({row[1].rpartition(" ")[0].partition(" ")[0] or row[1] for row in rows})
    count, parted = len(lines), max(difference(line) for _, _, _, runs in lines for line in runs.values())
    text = f"""{TITLE}

{count} models that packages of the Python package index ship, or that exporters from there wrote
({", ".join(exporters)}).
This command makes all of it again. It fails if a model is not judged, or if the SQNR in onnxruntime differs by more than 1 dB from fourbit's:

```sh
python benches/exports.py FOLDER --fourbit target/release/fourbit --table docs/zoo.md
```

It fetches the packages, whose versions are pinned, and makes up samples of the kind that each model takes: 32 for calibration and
32 others to judge by (8 or 16 where that takes long, 64 or 256 where it takes no time). Text and sound have several lengths;
states are those that the model gave for the frame before. Each model is converted at w4 and w4a8 with these samples, and at w4
without any. Without samples, `--sample-shape` gives the frame length of voice detectors whose graphs run on no other.

Figures are the SQNR of the float outputs in dB, by the mean of their noise: first fourbit's, then that of the written file in
onnxruntime {runtime} on the same samples, with optimizations off / on, as by default. onnxruntime measured "w4, no samples" on
the validation samples. "written by" is the producer that the file names (paddle2onnx often leaves its name out; dynamo is
PyTorch's newer exporter). "s" are the seconds of w4 / w4a8, on two processors that had other work.

{chr(10).join(table)}

"""
    if wrong:
        text += "Not as it should be:\n\n" + "\n".join(wrong) + "\n\n"
    else:
        text += f"Each of the {sum(len(runs) for *_, runs in lines)} conversions ended with exit code 0 and was judged. "
        text += f"fourbit and onnxruntime differ by {parted:.1f} dB at most.\n\n"
    text += """A small SQNR here is no verdict on a model: 8 to 32 made-up samples are few. Where the two differ by more than 0.1 dB at w4a8,
changing the file's float constants in their seventh digit moves onnxruntime's own figure by as much or more (ppocr4_rec: 11.4 to
11.9 dB): activations fall on the neighbouring code, and a softmax behind them answers otherwise. At w4 onnxruntime's default
optimizations fuse 4-bit products and round their float inputs to 8 bits. That costs up to 0.7 dB.
"""
    if bare:
        text += f"\nIn {', '.join(bare)} w4a8 quantizes no activation: the layers lie inside an `If`, where only weights are quantized.\n"
    before = document.read_text().split(f"\n{TITLE}")[0].rstrip("\n")
    document.write_text(f"{before}\n\n{text}")


def difference(line):
    """How far onnxruntime's figures are from fourbit's at most, over outputs."""
    told = line.get("told", {}) if line["seen"] else {}
    forms = [line[form] for form in ("plain", "default") if form in line]
    pairs = [(told[name], found[name]) for found in forms for name in told]
    return max([abs(one - other) for one, other in pairs if max(one, other) < ROUNDING_DB], default=0.0)
