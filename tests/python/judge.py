"""What fourbit's runtime computes, against onnxruntime, the reference evaluator, and OpenVINO where these differ.

    judge.py write FOLDER --what operators|fused|nodes|chains [--seeds A..B]    writes models with inputs and what is expected
    judge.py write FOLDER --what models --models FOLDER                   the same of given models, each model.onnx with x.npz beside it
    judge.py compare FOLDER [--keep FOLDER]                               judges what found.json says was found

Writing lists the cases in FOLDER/cases.json; see judge_shelf.py. Comparing prints a line for each case that is wrong, and at last the
counts as JSON. With --keep, cases that are wrong are kept there with all their data.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import sys

import judge_compare
import judge_shelf

WORKERS = 2
SHARES = 8
SEEDS = (0, 300)


def job(task):
    """Runs in a process of its own: one share of the models."""
    folder, what, at, share = task
    shelf = judge_shelf.Shelf(folder, f"{what}-{at}", second=what not in ("chains", "fused"))
    match what:
        case "operators":
            import judge_operators

            for position, version in enumerate(judge_operators.versions()):
                if position % SHARES == at:
                    judge_operators.write(shelf, *version)
            judge_operators.write_foreign(shelf, at, SHARES)
        case "fused":
            import judge_operators

            judge_operators.write_fused(shelf, at, SHARES)
        case "nodes":
            import judge_nodes

            judge_nodes.write(shelf, at, SHARES)
        case "chains":
            import judge_chains

            for seed in share:
                judge_chains.write(shelf, seed)
        case "models":
            for path in share:
                judge_shelf.given(shelf, path)
    return shelf.close()


def write(folder, what, seeds, models):
    given = sorted(models.glob("**/model.onnx")) if models else range(*seeds)
    shares = [given[at::SHARES] for at in range(SHARES)]
    tasks = [(folder, what, at, share) for at, share in enumerate(shares)]
    with multiprocessing.Pool(WORKERS, maxtasksperchild=4) as pool:
        cases = [case for part in pool.imap_unordered(job, tasks, chunksize=1) for case in part]
    cases.sort(key=lambda case: case["name"])
    (folder / "part.txt").write_text(what)
    (folder / "cases.json").write_text(json.dumps(cases))
    print(f"{len(cases)} cases")


def parsed():
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=["write", "compare"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--what", choices=["operators", "fused", "nodes", "chains", "models"], default="operators")
    parser.add_argument("--seeds", default="..".join(map(str, SEEDS)))
    parser.add_argument("--models", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path)
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    arguments = parsed()
    if arguments.action == "write":
        write(arguments.folder, arguments.what, tuple(int(end) for end in arguments.seeds.split("..")), arguments.models)
    else:
        sys.exit(judge_compare.compare(arguments.folder, arguments.keep))
