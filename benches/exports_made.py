"""Models that exporters write here, each run in an environment with its own packages.

    python benches/exports_made.py NAME OUTPUT [SOURCE]

`benches/exports.py` calls it so. Versions are pinned. Networks are small; those of scikit-learn and Keras are trained, the
others have their first random weights, spread as such networks start.
"""

import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Made(NamedTuple):
    """A model that an exporter writes."""

    name: str
    # Those of one exporter share an environment.
    exporter: str
    packages: list
    samples: Callable
    # The catalogue's model that it starts from.
    source: str | None = None
    count: int = 32
    shapes: tuple = ()


# scikit-learn, by skl2onnx.


def sklearn_mlp(output):
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    inputs, labels = load_digits(return_X_y=True)
    network = MLPClassifier((64, 32), max_iter=300, random_state=0).fit(inputs, labels)
    save(to_onnx(network, inputs[:1].astype(np.float32), options={"zipmap": False}), output)


def sklearn_pipeline(output):
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits
    from sklearn.decomposition import PCA
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inputs, labels = load_digits(return_X_y=True)
    wanted = np.eye(10)[labels]
    network = MLPRegressor(hidden_layer_sizes=(48,), activation="tanh", max_iter=300, random_state=0)
    steps = StandardScaler(), PCA(24, random_state=0), network
    save(to_onnx(make_pipeline(*steps).fit(inputs, wanted), inputs[:1].astype(np.float32)), output)


# A transformer written as functions, by onnxscript.


def onnxscript_encoder(output):
    import exports_onnxscript

    save(exports_onnxscript.encoder.to_model_proto(), output)


# JAX networks, by jax2onnx.


def jax_vit(output):
    import jax2onnx
    from flax import nnx

    class Block(nnx.Module):
        def __init__(self, width, rngs):
            self.before, self.between = nnx.LayerNorm(width, rngs=rngs), nnx.LayerNorm(width, rngs=rngs)
            self.attention = nnx.MultiHeadAttention(num_heads=4, in_features=width, decode=False, rngs=rngs)
            self.wide, self.narrow = nnx.Linear(width, 4 * width, rngs=rngs), nnx.Linear(4 * width, width, rngs=rngs)

        def __call__(self, x):
            x = x + self.attention(self.before(x))
            return x + self.narrow(nnx.gelu(self.wide(self.between(x))))

    class Vit(nnx.Module):
        def __init__(self, width=96, rngs=None):
            self.patches = nnx.Conv(3, width, (8, 8), strides=(8, 8), padding="VALID", rngs=rngs)
            self.places = nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), (1, 36, width)))
            self.blocks = nnx.List([Block(width, rngs) for _ in range(3)])
            self.after, self.head = nnx.LayerNorm(width, rngs=rngs), nnx.Linear(width, 20, rngs=rngs)

        def __call__(self, x):
            x = self.patches(x)
            x = x.reshape(x.shape[0], -1, x.shape[-1]) + self.places[...]
            for block in self.blocks:
                x = block(x)
            return self.head(self.after(x).mean(axis=1))

    save(jax2onnx.to_onnx(Vit(rngs=nnx.Rngs(0)), [("B", 48, 48, 3)], input_names=["picture"]), output)


def jax_convolutions(output):
    import jax2onnx
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, rngs):
            sizes = [(3, 24, 2), (24, 32, 1), (32, 48, 2), (48, 48, 1)]
            self.layers = nnx.List([nnx.Conv(i, o, (3, 3), strides=s, rngs=rngs) for i, o, s in sizes])
            self.norms = nnx.List([nnx.BatchNorm(o, use_running_average=True, rngs=rngs) for _, o, _ in sizes])
            self.depthwise = nnx.Conv(48, 48, (3, 3), feature_group_count=48, rngs=rngs)
            self.head = nnx.Linear(48, 10, rngs=rngs)

        def __call__(self, x):
            for layer, norm in zip(self.layers, self.norms):
                x = nnx.silu(norm(layer(x)))
            x = nnx.relu(self.depthwise(x)) + x
            return self.head(x.mean(axis=(1, 2)))

    save(jax2onnx.to_onnx(Net(nnx.Rngs(1)), [("B", 48, 48, 3)], input_names=["picture"]), output)


# Keras networks, by tf2onnx.


def keras_convolutions(output):
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    layer = tf.keras.layers
    picture = x = tf.keras.Input((48, 48, 3), name="picture")
    for filters in (16, 32, 48):
        x = layer.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layer.ReLU(6.0)(layer.BatchNormalization()(x))
        x = layer.Add()([layer.SeparableConv2D(filters, 3, padding="same", activation="swish")(x), x])
    network = tf.keras.Model(picture, layer.Dense(10)(layer.GlobalAveragePooling2D()(x)))
    keras(network, [tf.TensorSpec((None, 48, 48, 3), tf.float32, "picture")], output)


def keras_recurrent(output):
    import tensorflow as tf

    tf.keras.utils.set_random_seed(1)
    layer = tf.keras.layers
    ids = tf.keras.Input((None,), dtype="int32", name="ids")
    x = layer.Embedding(400, 64)(ids)
    x = layer.Bidirectional(layer.LSTM(48, return_sequences=True))(x)
    x = layer.GRU(64)(x)
    network = tf.keras.Model(ids, layer.Dense(6)(x))
    keras(network, [tf.TensorSpec((None, None), tf.int32, "ids")], output)


def keras(network, signature, output):
    import tensorflow as tf
    import tf2onnx

    run = tf.function(lambda given: network(given, training=False), input_signature=signature)
    save(tf2onnx.convert.from_function(run, input_signature=signature, opset=18)[0], output)


# onnxruntime, which writes down what its optimizer makes of a shipped model.


def ort_fused(output, source):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = output
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def save(model, output):
    import onnx

    onnx.save(model, output)


def recipes():
    """What `benches/exports.py` takes; the samples need packages that the exporters' environments lack."""
    import exports_samples as make
    from exports_catalogue import direction, each, sentence

    def digit(generator):
        return {"X": make.scene(generator, 8, 8)[None, ..., 0].reshape(1, 64).astype(np.float32) / 16}

    def picture(generator):
        return {"picture": make.scene(generator, 48, 48)[None].astype(np.float32) / 127.5 - 1}

    def ids(rows, dtype):
        return lambda generator: {"ids": make.tokens(generator, int(generator.choice([6, 12, 20, 32])), rows, dtype=dtype)}

    sklearn = "sklearn", ["skl2onnx==1.20.0", "scikit-learn==1.9.1"]
    script = "onnxscript", ["onnxscript==0.7.2", "onnx==1.23.2"]
    jax = "jax2onnx", ["jax2onnx==0.17.1", "jax==0.10.2", "flax==0.12.8"]
    tensorflow = "tf2onnx", ["tf2onnx==1.17.0", "tensorflow-cpu==2.21.0"]
    runtime = "onnxruntime", ["onnxruntime==1.32.0", "onnx==1.23.2"]
    return [
        Made("sklearn_mlp", *sklearn, each(digit)),
        Made("sklearn_pipeline", *sklearn, each(digit)),
        Made("onnxscript_encoder", *script, each(ids(500, np.int64))),
        Made("jax_vit", *jax, each(picture)),
        Made("jax_convolutions", *jax, each(picture)),
        Made("keras_convolutions", *tensorflow, each(picture)),
        Made("keras_recurrent", *tensorflow, each(ids(400, np.int32))),
        Made("ort_fused_minilm", *runtime, each(sentence), "minilm_l3", 16),
        Made("ort_fused_cls", *runtime, each(direction), "ppocr2_cls"),
    ]


if __name__ == "__main__":
    ort_fused(*sys.argv[2:4]) if sys.argv[3:] else globals()[sys.argv[1]](sys.argv[2])
