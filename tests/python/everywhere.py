"""Runs files in many runtimes and holds each against a float model that says the same: everywhere.py MANIFEST RUNTIMES.

MANIFEST is a JSON list of {name, file, reference, original, inputs, tolerance, runtimes}: `file` is run in every runtime; `reference`
is the float model, run in onnxruntime without optimizations; `inputs` is an archive of NumPy's, one array an input, or is left out for
random ones; outputs may differ by `tolerance` of the largest value, or with `least_db` in its place by so much noise; `runtimes` are
those that must agree, the others may do what they like. Where `original` is given, a runtime that does not take that float model,
or computes something else of it, need not agree.

RUNTIMES is a JSON object from the name of a runtime to the command that runs files in it, or to a text that says why it is not there.

A command is given the folders of its jobs as arguments. In each it finds `model.txt`, the path of the file, and `inputs.tsv`, lines of
name, type by NumPy's name, sizes with commas, and the file in that folder that holds the values, little-endian and as they lie in
memory. It writes `refused.txt`, what the runtime said, or `outputs.tsv`, first a line of the seconds to load and to run and then
lines as those of the inputs. A command that dies without either is started again with what is left.

Prints a line for each file and runtime, and at last how many agree of those that must; exits with 1 where not all do.
"""

import json
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
from compare_models import distance, random, ratio
from runtimes import SAME, onnxruntime_session

PATIENCE = 600  # seconds that a runtime may take for all its files


def references(entries):
    """For each entry what its inputs are and what its outputs should be; the same of original models, by their path."""
    known, originals = [], {}
    for entry in entries:
        session = onnxruntime_session(entry["reference"], optimize=False)
        rng = np.random.default_rng(zlib.crc32(entry["name"].encode()))
        archive = np.load(entry["inputs"]) if entry.get("inputs") else {}
        inputs = {
            value.name: np.asarray(archive[value.name] if value.name in archive else random(value, rng))
            for value in session.get_inputs()
        }
        known.append((entry["file"], inputs, outputs_of(session, inputs)))
        original = entry.get("original")
        if original and original not in originals:
            session = onnxruntime_session(original, optimize=False)
            originals[original] = (original, inputs, outputs_of(session, inputs))
    return known, originals


def outputs_of(session, inputs):
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def make_job(folder, file, inputs):
    folder.mkdir(parents=True)
    (folder / "model.txt").write_text(file, encoding="utf-8")
    lines = []
    for at, (name, value) in enumerate(inputs.items()):
        np.ascontiguousarray(value).tofile(folder / f"input-{at}")
        lines.append(f"{name}\t{value.dtype}\t{','.join(map(str, value.shape))}\tinput-{at}")
    (folder / "inputs.tsv").write_text("\n".join(lines), encoding="utf-8")


def run_jobs(command, jobs):
    """Every job has its answer afterwards, whatever becomes of the program."""
    left = list(jobs)
    while left:
        try:
            ended = subprocess.run([*command, *left], capture_output=True, timeout=PATIENCE, check=False)
            problem = f"the program ended with {ended.returncode}: {ended.stderr.decode(errors='replace')[-500:]}"
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = str(error)
        left = [job for job in left if not any((job / to).exists() for to in ("outputs.tsv", "refused.txt"))]
        if left:
            (left.pop(0) / "refused.txt").write_text(" ".join(problem.split()), encoding="utf-8")


def outputs(job):
    times, *lines = (job / "outputs.tsv").read_text(encoding="utf-8").splitlines()
    found = {}
    for line in lines:
        name, dtype, dims, file = line.split("\t")
        found[name] = np.fromfile(job / file, dtype).reshape([int(dim) for dim in dims.split(",") if dim])
    return [float(seconds) for seconds in times.split("\t")], found


def verdict(entry, wanted, job):
    """Whether a job went as it should, and in which words."""
    if (job / "refused.txt").exists():
        said = (job / "refused.txt").read_text(encoding="utf-8").strip() or "without a word"
        lines = [line for line in said.splitlines() if not line.startswith("Exception from ")]  # a place in OpenVINO's source
        return False, f"refused  {(lines or said.splitlines())[0][:200]}"
    (load, run), found = outputs(job)
    worst = 0.0
    for at, (name, a) in enumerate(wanted.items()):
        # Some runtimes have names of their own for outputs, and keep the order.
        b = found[name] if name in found else list(found.values())[at]
        if a.dtype.kind != "f":
            b = b.astype(a.dtype)  # some have no INT64
        far = distance(a, b)
        if isinstance(far, str):
            return False, f"differs  {name}: {far}"
        if "least_db" in entry and far:
            far = ratio(a, b)
            if far < entry["least_db"]:
                return False, f"differs  {name}: {far:.1f} dB"
            worst = max(worst, distance(a, b))
        else:
            worst = max(worst, far)
            if far > entry.get("tolerance", 0):
                return False, f"differs  {name}: {far:.1e}"
    return True, f"agrees   {worst:.1e}, loads in {load * 1e3:.0f} ms, runs in {run * 1e3:.2f} ms"


def main(manifest, runtimes):
    entries, runtimes = (json.loads(Path(path).read_text(encoding="utf-8")) for path in (manifest, runtimes))
    known, originals = references(entries)
    agree, demanded = 0, 0
    with tempfile.TemporaryDirectory() as kept:
        for runtime, command in runtimes.items():
            if isinstance(command, str):
                print(f"every file\t{runtime}\tabsent   {command}")
                continue
            jobs = [Path(kept) / runtime / str(at) for at in range(len(known) + len(originals))]
            for job, (file, inputs, _) in zip(jobs, [*known, *originals.values()], strict=True):
                make_job(job, file, inputs)
            run_jobs(command, jobs)
            taken = {}
            for job, (file, _, wanted) in zip(jobs[len(known) :], originals.values(), strict=True):
                taken[file], words = verdict({"tolerance": SAME}, wanted, job)
                if not taken[file]:
                    print(f"{Path(file).name}\t{runtime}\t{words}")
            for job, entry, (_, _, wanted) in zip(jobs, entries, known, strict=False):
                must = runtime in entry["runtimes"] and taken.get(entry.get("original"), True)
                fine, words = verdict(entry, wanted, job)
                demanded, agree = demanded + must, agree + (must and fine)
                print(f"{entry['name']}\t{runtime}\t{words}{'' if fine or not must else ', and must agree'}")
    print(f"{agree} of {demanded} agree")
    return agree != demanded


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
