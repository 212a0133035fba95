"""Random chains of operators, by seed: a layer, then up to five links, with branches and at times a second output."""

import numpy as np
import onnx

import judge_links as links
from judge_build import Graph

OPSETS = [7, 8, 9, 10, 11, 12, 13, 13, 13, 15, 17, 17, 17, 18, 19, 20, 21, 21, 21, 22, 23]
LONGEST = 6
# Of how many links one is tried until one fits.
TRIES = 12


class Chain:
    """A graph whose newest value has a known shape."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.opset = int(self.rng.choice(OPSETS))
        self.graph = Graph(self.opset, self.rng)
        self.values = []  # (name, shape) of all that was made
        self.words = []

    @property
    def name(self):
        return self.values[-1][0]

    @property
    def shape(self):
        return self.values[-1][1]

    def pick(self, *choices):
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, probability):
        return self.rng.random() < probability

    def normal(self, *shape):
        return self.rng.standard_normal(shape).astype(np.float32)

    def constant(self, value):
        return self.graph.constant(value)

    def ints(self, *numbers):
        return self.graph.constant(np.array(numbers, np.int64))

    def node(self, operator, inputs, outputs=1, **attributes):
        return self.graph.node(operator, inputs, outputs, **attributes)

    def settle(self, name):
        """Takes a new value on, if shape inference says that it is one of floats and neither empty nor large."""
        model = self.graph.model([name])
        try:
            inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        except onnx.shape_inference.InferenceError:
            return False
        kind = inferred.graph.output[0].type.tensor_type
        shape = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in kind.shape.dim]
        if kind.elem_type != onnx.TensorProto.FLOAT or not kind.HasField("shape") or min(shape, default=1) < 1 or np.prod(shape, dtype=float) > 20000:
            return False
        self.values.append((name, shape))
        return True

    def link(self, make):
        """Tries a link; all that it added goes away if it does not fit."""
        nodes, constants = len(self.graph.nodes), len(self.graph.constants)
        name = make(self)
        if name is not None and self.settle(name):
            self.words.append(make.__name__)
            return True
        del self.graph.nodes[nodes:], self.graph.constants[constants:]
        return False


def grown(seed):
    """The chain of a seed."""
    chain = Chain(seed)
    rows = chain.chance(0.2)
    front = [chain.pick(1, 2), chain.pick(5, 7), chain.pick(6, 9)] if rows else [chain.pick(1, 2), chain.pick(2, 3, 4), chain.pick(8, 9, 11), chain.pick(8, 10, 13)]
    chain.values.append((chain.graph.fed(chain.normal(*front), True), front))
    chain.link(links.product if rows else links.convolution)
    wanted = int(chain.rng.integers(2, LONGEST + 1))
    while len(chain.words) < wanted:
        if not any(chain.link(chain.pick(*links.LINKS)) for _ in range(TRIES)):
            break
    return chain


def outputs_of(chain):
    """The last value; at times one from inside as well, that other nodes read."""
    names = [chain.name]
    if len(chain.values) > 3 and chain.chance(0.25):
        names.append(chain.values[int(chain.rng.integers(1, len(chain.values) - 1))][0])
    return names


def write(shelf, seed):
    chain = grown(seed)
    names = outputs_of(chain)
    shapes = dict(chain.values)
    model = chain.graph.model(names, [np.zeros(shapes[name], np.float32) for name in names])
    words = [node.op_type for node in model.graph.node]
    about = {"operator": chain.words[-1], "version": chain.opset, "attributes": [], "call": f"opset {chain.opset}: {' > '.join(words)}"}
    shelf.put(f"chain-{seed}", model, chain.graph.feeds, chain.graph.moved, about)
