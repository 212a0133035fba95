"""Two forms of a decoder on stories, each with caches of its own: decoder.py FLOAT QUANTIZED STORIES.

STORIES is a folder of calls, `NAME-1.npz`, `NAME-2.npz` ... for each story. Prints a JSON object: how many characters there were, on
how many both forms find the same next one most likely, and how often each was right.
"""
import json
import pathlib
import re
import sys

import numpy as np
import onnxruntime as ort


def decoder(path):
    """Gives the scores of a story's calls, one row a character."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    empty = {given.name: np.zeros([1, given.shape[1], 0, given.shape[3]], np.float32)
             for given in session.get_inputs() if given.name.startswith("past_key_values.")}

    def run(calls):
        cache, rows = empty, []
        for call in calls:
            feed = {key: call[key] for key in ("input_ids", "attention_mask")}
            found = dict(zip(names, session.run(None, feed | cache)))
            rows.append(found.pop("logits")[0])
            cache = {name.replace("present.", "past_key_values."): value for name, value in found.items()}
        return np.concatenate(rows)

    return run


stories = {}
for path in sorted(pathlib.Path(sys.argv[3]).glob("*.npz")):
    name, number = re.fullmatch(r"(.*)-(\d+)", path.stem).groups()
    stories.setdefault(name, {})[int(number)] = dict(np.load(path))
forms = [decoder(path) for path in sys.argv[1:3]]
count = same = 0
right = [0, 0]
for story in stories.values():
    calls = [story[number] for number in sorted(story)]
    labels = np.concatenate([call["labels"][0] for call in calls])
    chosen = [form(calls).argmax(-1) for form in forms]
    count += len(labels)
    same += int((chosen[0] == chosen[1]).sum())
    right = [old + int((one == labels).sum()) for old, one in zip(right, chosen)]
print(json.dumps({"characters": count, "agreement": same / count, "top1": [one / count for one in right]}))
