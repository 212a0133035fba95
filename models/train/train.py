"""Draws the data, trains the networks and writes the folders of models/.

    python train.py                        all five, about 30 minutes on two idle cores
    python train.py --only shapes_mobile   one of them
    python train.py --only NAME --rewrite  export again from the kept parameters
"""

import argparse
import math
import pathlib
import time

import numpy as np
import tensorflow as tf

import calls
import data
import export
import nets

MODELS = pathlib.Path(__file__).resolve().parent.parent
SEED_TRAIN, SEED_CALIBRATION, SEED_VALIDATION, SEED_PICTURES = 1000, 11, 12, 13

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def _standardise(x):
    return (x.astype(np.float32) / np.float32(255) - MEAN) / STD


def _symmetric(x):
    return x.astype(np.float32) / np.float32(127.5) - np.float32(1)


def _unit(x):
    return x.astype(np.float32)[..., None] / np.float32(255)


def _signal(x):
    return x.astype(np.float32)[..., None] / np.float32(16)


class Task:
    """A network, its data and how it is trained."""

    def __init__(self, net, draw, ready, channels_first, input_name, **settings):
        self.net, self.draw, self.ready = net, draw, ready
        self.channels_first, self.input_name = channels_first, input_name
        self.calibration = 256
        self.__dict__.update(settings)

    def inputs(self, x):
        """Stored samples as the ONNX model takes them."""
        return np.ascontiguousarray(np.transpose(self.ready(x), self.channels_first))


TASKS = {
    "shapes_resnet": Task(
        nets.resnet, data.shapes, _standardise, (0, 3, 1, 2), "input",
        optimiser="sgd", clip=5.0, rate=0.15, decay=5e-4, batch=128, drawn=12_800, rounds=12, turns=True,
        validation=1500, opset=13, fold=False),
    "shapes_mobile": Task(
        nets.mobile, data.shapes, _symmetric, (0, 3, 1, 2), "image",
        optimiser="sgd", clip=5.0, rate=0.15, decay=2e-4, batch=128, drawn=12_800, rounds=16, turns=True,
        validation=1500, opset=17, fold=True),
    "digits_attention": Task(
        nets.attention, data.digits, _unit, (0, 3, 1, 2), "image",
        optimiser="adamw", clip=1.0, rate=2e-3, decay=0.05, batch=128, drawn=12_800, rounds=24, turns=False,
        validation=2000, opset=17, fold=True),
    "waves_recurrent": Task(
        nets.recurrent, data.waves, _signal, (0, 2, 1), "signal",
        optimiser="adamw", clip=1.0, rate=3e-3, decay=0.05, batch=128, drawn=25_600, rounds=12, turns=False,
        validation=2000, opset=17, fold=True),
    "stories_decoder": Task(
        nets.decoder, data.stories, lambda x: x.astype(np.int64), (0, 1), "input_ids",
        optimiser="adamw", clip=1.0, rate=4e-3, decay=0.05, batch=64, drawn=6_400, rounds=14, turns=False,
        calibration=16, validation=16, opset=21, fold=True),
}


def train(name, task):
    """Trains on fresh draws each round; returns (params, state) as numpy dicts."""
    params, state = {}, {}
    builder = nets.Tensors(params, state, training=True)
    task.net(builder, tf.constant(task.ready(task.draw(2, SEED_TRAIN)[0])))
    names, steps = list(params), task.rounds * (task.drawn // task.batch)
    # Weights decay; biases, normalisation and the position table do not.
    decays = [task.decay * name.endswith((".weight", ".W", ".R")) for name in names]
    first = [tf.Variable(tf.zeros_like(params[name])) for name in names]
    second = [tf.Variable(tf.zeros_like(params[name])) for name in names]

    def sgd(slope, p, m, v, decay, rate, count):
        """Nesterov momentum, decay coupled."""
        slope = slope + decay * p
        m.assign(0.9 * m + slope)
        p.assign_sub(rate * (slope + 0.9 * m))

    def adamw(slope, p, m, v, decay, rate, count):
        m.assign(0.9 * m + 0.1 * slope)
        v.assign(0.99 * v + 0.01 * slope * slope)
        step = (m / (1 - 0.9**count)) / (tf.sqrt(v / (1 - 0.99**count)) + 1e-8)
        p.assign_sub(rate * (step + decay * p))

    update = {"sgd": sgd, "adamw": adamw}[task.optimiser]

    @tf.function(reduce_retracing=True)
    def step(x, y, rate, count):
        with tf.GradientTape() as tape:
            logits = task.net(builder, x)
            fit = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
        slopes = tape.gradient(fit, [params[name] for name in names])
        slopes, _ = tf.clip_by_global_norm(slopes, task.clip)
        for parts in zip(slopes, [params[name] for name in names], first, second, decays):
            update(*parts, rate, count)
        return fit, tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, -1), y), tf.float32))

    begun, count = time.time(), 0
    rng = np.random.default_rng(SEED_TRAIN)
    for number in range(task.rounds):
        x, y = task.draw(task.drawn, SEED_TRAIN + number)
        found = []
        for i in range(0, task.drawn, task.batch):
            part, count = x[i:i + task.batch], count + 1
            if task.turns:
                part = np.rot90(part, rng.integers(4), (1, 2))
            warm = min(1, count / (steps / 12))
            rate = task.rate * warm * (0.501 + 0.499 * math.cos(math.pi * count / steps))
            found.append(step(tf.constant(task.ready(part)), tf.constant(y[i:i + task.batch]),
                              tf.constant(rate, tf.float32), tf.constant(count, tf.float32)))
        fit, right = np.mean(np.array(found), 0)
        print(f"{name} round {number + 1}/{task.rounds}: loss {fit:.3f} top-1 {right:.4f}"
              f" ({time.time() - begun:.0f} s)", flush=True)
    return tuple({k: v.numpy() for k, v in d.items()} for d in (params, state))


def logits_in_training(task, params, state, x):
    """What the trained network says of stored samples, without ONNX."""
    builder = nets.Tensors(params, state, training=False)
    return np.concatenate([task.net(builder, tf.constant(task.ready(x[i:i + 100]))).numpy()
                           for i in range(0, len(x), 100)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=TASKS, help="train this network alone")
    parser.add_argument("--rewrite", action="store_true", help="do not train, export again")
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path("kept"),
                        help="folder for the trained parameters (not part of the repository)")
    options = parser.parse_args()
    tf.random.set_seed(0)
    options.keep.mkdir(parents=True, exist_ok=True)
    for name in [options.only] if options.only else TASKS:
        task, kept = TASKS[name], options.keep / f"{name}.npz"
        if not options.rewrite:
            params, state = train(name, task)
            np.savez(kept, **{f"p:{k}": v for k, v in params.items()},
                     **{f"s:{k}": v for k, v in state.items()})
        stored = np.load(kept)
        params, state = ({k[2:]: stored[k] for k in stored if k.startswith(p)} for p in ("p:", "s:"))
        calibration = task.draw(task.calibration, SEED_CALIBRATION)
        validation = task.draw(task.validation, SEED_VALIDATION)
        trained = logits_in_training(task, params, state, validation[0])
        pictures = task.draw(100, SEED_PICTURES) if name == "shapes_resnet" else None
        if name == "stories_decoder":
            calls.write(MODELS / name, params, calibration, validation, trained)
            continue
        export.write(MODELS, name, task, params, state, calibration, validation, pictures,
                     trained, (MEAN, STD))


if __name__ == "__main__":
    main()
