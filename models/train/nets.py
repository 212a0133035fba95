"""The five networks, each written once, and the TensorFlow side that trains them.

A network is a function of a builder `b` and an input. `Tensors` below computes;
`export.Onnx` has the same methods and writes ONNX nodes instead, so that the
exported graph cannot drift from the trained one. In training pictures are NHWC
and signals NLC; the ONNX side is NCHW and NCL.
"""

import zlib

import numpy as np
import tensorflow as tf

EPSILON = 1e-5
# The decoder: blocks, heads of queries and of keys and values, values a head, characters, positions.
LAYERS, QUERIES, KEYS, HEAD, VOCABULARY, LONGEST = 2, 6, 2, 16, 32, 256


def rotary():
    """Cosines and sines [LONGEST, HEAD / 2] of the decoder's positions."""
    angle = np.arange(LONGEST)[:, None] * 10_000.0 ** (-np.arange(0, HEAD, 2) / HEAD)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def resnet(b, x):
    """ResNet-14 with 16, 32, 64 channels; projection shortcuts."""
    x = b.relu(b.conv_bn(x, "stem", 16, 3))
    for stage, width in enumerate((16, 32, 64), 1):
        for block in range(2):
            name = f"stage{stage}.block{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = b.relu(b.conv_bn(x, f"{name}.conv1", width, 3, stride))
            y = b.conv_bn(y, f"{name}.conv2", width, 3)
            if stride == 2:
                x = b.conv_bn(x, f"{name}.shortcut", width, 1, stride)
            x = b.relu(b.add(y, x))
    return b.gemm(b.flatten(b.global_pool(x)), "classifier", 10)


def mobile(b, x):
    """Inverted residuals with depthwise convolutions and Clip(0, 6)."""
    x = b.relu6(b.conv_bn(x, "stem", 24, 3, 2))
    have, index = 24, 0
    for expand, width, repeat, first in ((1, 16, 1, 1), (4, 24, 2, 1), (4, 40, 3, 2), (4, 64, 2, 2)):
        for i in range(repeat):
            name, stride, y = f"block{index}", first if i == 0 else 1, x
            if expand > 1:
                y = b.relu6(b.conv_bn(y, f"{name}.expand", have * expand, 1))
            y = b.relu6(b.conv_bn(y, f"{name}.depthwise", have * expand, 3, stride, depthwise=True))
            y = b.conv_bn(y, f"{name}.project", width, 1)
            x = b.add(x, y) if stride == 1 and have == width else y
            have, index = width, index + 1
    x = b.relu6(b.conv_bn(x, "head", 192, 1))
    return b.gemm(b.flatten(b.global_pool(x)), "classifier", 10)


def attention(b, x):
    """Two pre-norm transformer blocks over the 49 patches of a 28x28 picture."""
    x = b.position(b.dense(b.patches(x, 28, 4), "patch_embed", 64), "position", 49)
    for i in range(2):
        name = f"block{i}"
        y = b.layer_norm(x, f"{name}.norm1")
        q, k, v = (b.dense(y, f"{name}.attention.{part}", 64) for part in ("query", "key", "value"))
        y = b.dense(b.attend(q, k, v, 49, 4, 16, f"{name}.attention"), f"{name}.attention.output", 64)
        x = b.add(x, y)
        y = b.gelu(b.dense(b.layer_norm(x, f"{name}.norm2"), f"{name}.mlp.up", 128), f"{name}.mlp")
        x = b.add(x, b.dense(y, f"{name}.mlp.down", 64))
    return b.gemm(b.mean_tokens(b.layer_norm(x, "norm")), "classifier", 10)


def recurrent(b, x):
    """Conv down twice, ConvTranspose up once with a skip, LSTM, Gemm."""
    fine = b.relu(b.conv_bn(x, "conv1", 24, 7, 2))
    coarse = b.relu(b.conv_bn(fine, "conv2", 48, 5, 2))
    coarse = b.relu(b.conv_bn(coarse, "conv3", 48, 3))
    up = b.conv_transpose_bn(coarse, "up", 24, 4, 2)
    x = b.relu(b.add(up, fine))
    return b.gemm(b.lstm(x, "lstm", 48), "classifier", 10)


def decoder(b, x):
    """Two blocks of a decoder: root mean square norms, rotary positions, keys and values shared by query heads, SwiGLU."""
    x = b.embed(x, "model.embed_tokens", VOCABULARY, 96)
    x, y = x, b.rms_norm(x, "model.layers.0.input_layernorm")
    for i in range(LAYERS):
        name = f"model.layers.{i}"
        q, k, v = (b.project(y, f"{name}.attn.{part}_proj", heads * HEAD)
                   for part, heads in (("q", QUERIES), ("k", KEYS), ("v", KEYS)))
        y = b.project(b.attend_cached(q, k, v, i, f"{name}.attn"), f"{name}.attn.o_proj", 96)
        x, y = b.skip_rms_norm(x, y, f"{name}.post_attention_layernorm")
        y = b.gated(b.project(y, f"{name}.mlp.gate_proj", 256), b.project(y, f"{name}.mlp.up_proj", 256), f"{name}.mlp")
        y = b.project(y, f"{name}.mlp.down_proj", 96)
        x, y = b.skip_rms_norm(x, y, f"model.layers.{i + 1}.input_layernorm" if i + 1 < LAYERS else "model.norm")
    return b.project(y, "lm_head", VOCABULARY)


class Tensors:
    """Computes a network.

    `params` are trained, `state` is running statistics: dicts of tf.Variable.
    What is missing is made on first use.
    """

    def __init__(self, params, state, training):
        self.params, self.state, self.training = params, state, training

    def param(self, name, shape, spread=None, fill=0.0):
        """Normal values of standard deviation `spread`, or all `fill`."""
        if name not in self.params:
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            value = np.full(shape, fill) if spread is None else rng.standard_normal(shape) * spread
            self.params[name] = tf.Variable(value.astype(np.float32))
        return self.params[name]

    def batch_norm(self, x, name):
        width, rank = x.shape[-1], len(x.shape)
        scale = self.param(f"{name}.scale", (width,), fill=1)
        bias = self.param(f"{name}.bias", (width,))
        for key, fill in ((f"{name}.mean", tf.zeros), (f"{name}.var", tf.ones)):
            if key not in self.state:
                self.state[key] = tf.Variable(fill(width))
        mean, var = self.state[f"{name}.mean"], self.state[f"{name}.var"]
        if not self.training:
            return tf.nn.batch_normalization(x, mean, var, bias, scale, EPSILON)
        x = x[:, None] if rank == 3 else x
        x, new_mean, new_var = tf.compat.v1.nn.fused_batch_norm(x, scale, bias, epsilon=EPSILON)
        mean.assign_add(0.05 * (new_mean - mean))
        var.assign_add(0.05 * (new_var - var))
        return x[:, 0] if rank == 3 else x

    def conv_bn(self, x, name, out, size, stride=1, depthwise=False):
        rank, have = len(x.shape) - 2, x.shape[-1]
        fan_in = size**rank * (1 if depthwise else have)
        shape = (size,) * rank + ((have, 1) if depthwise else (have, out))
        w = self.param(f"{name}.weight", shape, (2 / fan_in) ** 0.5)
        pads = [[0, 0]] + [[size // 2] * 2] * rank + [[0, 0]]
        if depthwise:
            x = tf.nn.depthwise_conv2d(tf.pad(x, pads), w, (1, stride, stride, 1), "VALID")
        elif rank == 2:
            x = tf.nn.conv2d(x, w, stride, pads)
        else:
            x = tf.nn.conv1d(tf.pad(x, pads), w, stride, "VALID")
        return self.batch_norm(x, f"{name}.bn")

    def conv_transpose_bn(self, x, name, out, size, stride):
        have, shape = x.shape[-1], tf.shape(x)
        w = self.param(f"{name}.weight", (size, out, have), (2 * stride / (size * have)) ** 0.5)
        target = (shape[0], x.shape[1] * stride, out)
        x = tf.nn.conv1d_transpose(x, w, target, stride, "SAME")
        return self.batch_norm(tf.ensure_shape(x, (None,) + target[1:]), f"{name}.bn")

    def relu(self, x):
        return tf.nn.relu(x)

    def relu6(self, x):
        return tf.nn.relu6(x)

    def add(self, x, y):
        return x + y

    def global_pool(self, x):
        return tf.reduce_mean(x, (1, 2))

    def flatten(self, x):
        return x

    def gemm(self, x, name, out):
        return self.dense(x, name, out)

    def dense(self, x, name, out):
        w = self.param(f"{name}.weight", (x.shape[-1], out), x.shape[-1] ** -0.5)
        return x @ w + self.param(f"{name}.bias", (out,))

    def patches(self, x, size, patch):
        side = size // patch
        x = tf.transpose(tf.reshape(x, (-1, side, patch, side, patch)), (0, 1, 3, 2, 4))
        return tf.reshape(x, (-1, side * side, patch * patch))

    def position(self, x, name, tokens):
        return x + self.param(name, (tokens, x.shape[-1]), 0.3)

    def layer_norm(self, x, name):
        scale = self.param(f"{name}.scale", (x.shape[-1],), fill=1)
        bias = self.param(f"{name}.bias", (x.shape[-1],))
        mean, var = tf.nn.moments(x, -1, keepdims=True)
        return (x - mean) * tf.math.rsqrt(var + EPSILON) * scale + bias

    def attend(self, q, k, v, tokens, heads, width, name):
        q, k, v = (tf.transpose(tf.reshape(t, (-1, tokens, heads, width)), (0, 2, 1, 3))
                   for t in (q, k, v))
        weights = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) * width**-0.5)
        return tf.reshape(tf.transpose(weights @ v, (0, 2, 1, 3)), (-1, tokens, heads * width))

    def gelu(self, x, name):
        return tf.nn.gelu(x)

    def mean_tokens(self, x):
        return tf.reduce_mean(x, 1)

    def lstm(self, x, name, hidden):
        """Gates in ONNX order: input, output, forget, cell. The last hidden state."""
        have = x.shape[-1]
        w = self.param(f"{name}.W", (4 * hidden, have), have**-0.5)
        r = self.param(f"{name}.R", (4 * hidden, hidden), hidden**-0.5)
        bias = self.param(f"{name}.B", (4 * hidden,))
        one = np.repeat(np.float32([0, 0, 1, 0]), hidden)  # remember by default
        h = c = tf.zeros_like(x[:, 0, :1]) * tf.zeros((1, hidden))
        for gates in tf.unstack(tf.matmul(x, w, transpose_b=True) + bias + one, axis=1):
            i, o, f, g = tf.split(gates + tf.matmul(h, r, transpose_b=True), 4, -1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
        return h

    def embed(self, x, name, rows, width):
        return tf.one_hot(x, rows) @ self.param(f"{name}.weight", (rows, width), 1.0)

    def project(self, x, name, out):
        return x @ self.param(f"{name}.weight", (x.shape[-1], out), x.shape[-1] ** -0.5)

    def rms_norm(self, x, name):
        scale = self.param(f"{name}.scale", (x.shape[-1],), fill=1)
        return x * tf.math.rsqrt(tf.reduce_mean(x * x, -1, keepdims=True) + EPSILON) * scale

    def skip_rms_norm(self, x, y, name):
        return x + y, self.rms_norm(x + y, name)

    def gated(self, gate, up, name):
        return tf.nn.silu(gate) * up

    def attend_cached(self, q, k, v, layer, name):
        """Causal attention over a whole text; the ONNX side has a cache instead."""
        tokens = q.shape[1]
        cos, sin = (tf.constant(table[:tokens])[None, None] for table in rotary())

        def split(x, heads):
            return tf.transpose(tf.reshape(x, (-1, tokens, heads, HEAD)), (0, 2, 1, 3))

        def turned(x):
            a, b = tf.split(x, 2, -1)
            return tf.concat([a * cos - b * sin, b * cos + a * sin], -1)

        q, k, v = turned(split(q, QUERIES)), turned(split(k, KEYS)), split(v, KEYS)
        k, v = (tf.repeat(x, QUERIES // KEYS, 1) for x in (k, v))
        hidden = tf.constant(np.triu(np.full((tokens, tokens), -1e9, np.float32), 1))
        weights = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) * HEAD**-0.5 + hidden)
        return tf.reshape(tf.transpose(weights @ v, (0, 2, 1, 3)), (-1, tokens, QUERIES * HEAD))
