//! Models that follow from a seed: a few inputs, each with a row of layers behind it, and what exporters put around them.

use fourbit::onnx::build::{GraphBuilder, node, value};
use fourbit::onnx::proto::{
    AttributeProto, FunctionProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
};
use fourbit::onnx::{Dtype, Model, attr, bodies_mut, tensor, tensor_f32, tensor_i64, tensor_of};

use super::chance::Chance;

/// A model, and of each input its type and the dimensions of one sample.
pub struct Made {
    pub model: Model,
    pub inputs: Vec<(String, Dtype, Vec<i64>)>,
}

/// A value of the graph; its first dimension is the batch, negative where that is open.
#[derive(Clone)]
pub struct Value {
    pub name: String,
    pub dims: Vec<i64>,
}

/// A model in the making.
pub struct Grower {
    pub graph: GraphBuilder,
    pub chance: Chance,
    pub opset: i64,
    pub batch: i64,
    pub functions: Vec<FunctionProto>,
    /// A table of embeddings that later layers may read again, and its dimensions.
    pub table: Option<(String, [i64; 2])>,
    /// An input that says which branch of an If is taken.
    pub condition: Option<String>,
    /// Whether nodes may hold graphs, and the model functions.
    pub nested: bool,
    prefix: &'static str,
    names: usize,
    inputs: Vec<(String, Dtype, Vec<i64>)>,
}

/// The model of `seed`.
pub fn grow(seed: u64) -> Made {
    let mut chance = Chance::new(seed);
    let opset = 9 + chance.below(19);
    let batch = chance.pick(&[1, 2, 3, -1, -1]);
    let mut graph = GraphBuilder::new(opset);
    let bare = opset == 9 && chance.one_in(2);
    if bare {
        // At this version of the format every initializer is an input, too.
        graph = graph.ir_version(3);
    }
    let prefix = chance.pick(&["", "", "/model/layers.0/", "onnx::W_", "a b:"]);
    let mut grower = Grower {
        graph,
        chance,
        opset,
        batch,
        functions: Vec::new(),
        table: None,
        condition: None,
        nested: !bare,
        prefix,
        names: 0,
        inputs: Vec::new(),
    };
    let mut ends: Vec<Value> = Vec::new();
    for _ in 0..grower.chance.pick(&[1, 1, 1, 2, 2, 3]) {
        let steps = 2 + grower.chance.below(3);
        let x = grower.start();
        let mut row = vec![x];
        for _ in 0..steps {
            let last = row[row.len() - 1].clone();
            row.push(grower.layer(&last));
        }
        // Whatever comes last holds weights.
        let last = row[row.len() - 1].clone();
        let end = grower.heavy(&last);
        if grower.chance.one_in(4) && row.len() > 2 {
            let early = row[row.len() - 2].clone();
            ends.push(early);
        }
        ends.push(end);
    }
    ends = grower.joined(ends);
    let mut given: Vec<&str> = Vec::new();
    for end in &ends {
        if !given.contains(&end.name.as_str()) && grower.inputs.iter().all(|(name, ..)| *name != end.name) {
            grower.graph.output(&end.name);
            given.push(&end.name);
        }
    }
    grower.finish()
}

impl Grower {
    pub fn name(&mut self, what: &str) -> String {
        self.names += 1;
        format!("{}{what}_{}", self.prefix, self.names)
    }

    pub fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[AttributeProto]) -> String {
        self.graph.node(operator, inputs, attributes)
    }

    /// A node with several outputs, of which `slot` is taken.
    pub fn output_of(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[AttributeProto],
        slot: usize,
    ) -> String {
        let names = [(); 2].map(|()| self.name("result"));
        let outputs: Vec<&str> = names.iter().map(String::as_str).collect();
        let label = format!("{operator}_{}", self.names);
        self.graph.push(node(operator, &label, inputs, &outputs, attributes));
        names[slot].clone()
    }

    /// A constant, as an initializer or in a node.
    pub fn constant(&mut self, tensor: TensorProto) -> String {
        match self.chance.one_in(4) {
            true => self.node("Constant", &[], &[attr::tensor("value", tensor)]),
            false => self.graph.initializer(tensor),
        }
    }

    pub fn numbers(&mut self, values: &[i64]) -> String {
        let name = self.name("numbers");
        self.constant(tensor_i64(name, &[values.len() as i64], values))
    }

    pub fn scalar(&mut self, value: f32) -> String {
        let name = self.name("scalar");
        self.constant(tensor_f32(name, &[], &[value]))
    }

    /// `operator` along `axes`, which became an input with opset `since`.
    pub fn along(
        &mut self,
        operator: &str,
        x: &str,
        axes: &[i64],
        since: i64,
        more: &[AttributeProto],
    ) -> String {
        match self.opset < since {
            true => self.node(operator, &[x], &[&[attr::ints("axes", axes)], more].concat()),
            false => {
                let axes = self.numbers(axes);
                self.node(operator, &[x, &axes], more)
            }
        }
    }

    pub fn reshape(&mut self, x: &str, dims: &[i64]) -> String {
        let dims = self.numbers(dims);
        self.node("Reshape", &[x, &dims], &[])
    }

    pub fn transpose(&mut self, x: &str, perm: &[i64]) -> String {
        self.node("Transpose", &[x], &[attr::ints("perm", perm)])
    }

    /// Weights as a tensor: their products with inputs of variance 1 over `fan` summands have variance 1 again.
    pub fn tensor(&mut self, dtype: Dtype, dims: &[i64], fan: i64) -> TensorProto {
        let name = self.name("weight");
        let count = dims.iter().product::<i64>();
        let gain = 1.0 / (fan.max(1) as f32).sqrt();
        let values: Vec<f32> = (0..count).map(|_| gain * self.chance.normal()).collect();
        let made = tensor_of(name, dtype, dims, &values);
        match dtype == Dtype::Float && self.chance.one_in(6) {
            true => TensorProto { raw_data: None, float_data: values, ..made },
            false => made,
        }
    }

    pub fn plain(&mut self, dims: &[i64], fan: i64) -> String {
        let tensor = self.tensor(Dtype::Float, dims, fan);
        self.constant(tensor)
    }

    /// A bias of `dims`.
    pub fn bias(&mut self, dims: &[i64]) -> String {
        self.plain(dims, 16)
    }

    /// Weights as layers meet them: a constant, or what nodes make of others.
    pub fn weights(&mut self, dims: &[i64], fan: i64) -> String {
        match self.chance.below(12) {
            0 => {
                let order: Vec<i64> = (0..dims.len() as i64).rev().collect();
                let stored: Vec<i64> = dims.iter().rev().copied().collect();
                let w = self.plain(&stored, fan);
                self.transpose(&w, &order)
            }
            1 => {
                let w = self.plain(&[dims[0] * dims[1], dims[2..].iter().product()], fan);
                self.reshape(&w, dims)
            }
            2 => {
                let w = self.plain(&[&[1], dims].concat(), fan);
                self.along("Squeeze", &w, &[0], 13, &[])
            }
            3 if dims[0] > 1 => {
                let upper = self.plain(&[&[dims[0] / 2], &dims[1..]].concat(), fan);
                let lower = self.plain(&[&[dims[0] - dims[0] / 2], &dims[1..]].concat(), fan);
                self.node("Concat", &[&upper, &lower], &[attr::int("axis", 0)])
            }
            4 => {
                let w = self.plain(&[&[dims[0] + 3], &dims[1..]].concat(), fan);
                let [a, b, c] = [0, dims[0] / 2, dims[0]];
                let parts = [(a + 1, b + 1), (b + 2, c + 2)].map(|(from, to)| self.slice(&w, from, to));
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                self.node("Concat", &parts, &[attr::int("axis", 0)])
            }
            5 => {
                let w = self.plain(dims, fan);
                let operator = self.chance.pick(&["Identity", "Identity", "Dropout"]);
                self.node(operator, &[&w], &[])
            }
            6 | 7 => {
                let brain = if self.opset < 13 { Dtype::Float16 } else { Dtype::Bfloat16 };
                let dtype = self.chance.pick(&[Dtype::Float16, brain, Dtype::Double]);
                let w = self.tensor(dtype, dims, fan);
                let w = self.constant(w);
                self.node("Cast", &[&w], &[attr::int("to", Dtype::Float as i64)])
            }
            _ => self.plain(dims, fan),
        }
    }

    fn slice(&mut self, x: &str, from: i64, to: i64) -> String {
        if self.opset < 10 {
            let attributes =
                [attr::ints("starts", &[from]), attr::ints("ends", &[to]), attr::ints("axes", &[0])];
            return self.node("Slice", &[x], &attributes);
        }
        let [from, to, axes] = [from, to, 0].map(|number| self.numbers(&[number]));
        self.node("Slice", &[x, &from, &to, &axes], &[])
    }

    /// One more input of the model.
    pub fn input(&mut self, dtype: Dtype, dims: &[i64]) -> String {
        let name = format!("{}_{}", self.chance.pick(&["x", "input.", "in/put"]), self.inputs.len());
        let sample = dims.iter().map(|&dim| if dim < 0 { 2 } else { dim }).collect();
        self.inputs.push((name.clone(), dtype, sample));
        self.graph.typed_input(&name, dtype, dims)
    }

    /// What a row of layers begins with.
    fn start(&mut self) -> Value {
        let batch = self.batch;
        let dims = match self.chance.below(10) {
            0..4 => {
                let (channels, size) = (self.chance.pick(&[3, 4, 6, 8]), 5 + self.chance.below(4));
                vec![batch, channels, size, 5 + self.chance.below(3)]
            }
            4..6 => vec![batch, 3 + self.chance.below(4), self.chance.pick(&[8, 12, 16])],
            6..8 => vec![batch, self.chance.pick(&[8, 16, 24])],
            _ => return self.embedding(),
        };
        Value { name: self.input(Dtype::Float, &dims), dims }
    }

    /// Values of two axes that have nothing else in common, together.
    fn joined(&mut self, mut ends: Vec<Value>) -> Vec<Value> {
        let flat = |ends: &[Value]| ends.iter().position(|end| end.dims.len() == 2);
        if ends.len() < 2 || self.chance.one_in(3) {
            return ends;
        }
        let Some(one) = flat(&ends).map(|at| ends.remove(at)) else { return ends };
        let Some(other) = flat(&ends).map(|at| ends.remove(at)) else {
            ends.push(one);
            return ends;
        };
        let name = self.node("Concat", &[&one.name, &other.name], &[attr::int("axis", 1)]);
        let whole = Value { name, dims: vec![self.batch, one.dims[1] + other.dims[1]] };
        let end = self.heavy(&whole);
        ends.push(end);
        ends
    }

    /// What exporters put around a graph.
    fn finish(mut self) -> Made {
        if self.chance.one_in(3) {
            let dims = [5, 7];
            let unused = self.tensor(Dtype::Float, &dims, 1);
            self.graph.initializer(unused);
        }
        let nameless = self.chance.one_in(4);
        let described = self.chance.one_in(2);
        let mut model = self.graph.model();
        let entry = |key: &str| StringStringEntryProto { key: Some(key.into()), value: Some("1".into()) };
        if !self.functions.is_empty() {
            let own = OperatorSetIdProto { domain: Some("own".into()), version: Some(1) };
            model.proto.opset_import.push(own);
            model.proto.functions = self.functions;
        }
        if described {
            model.proto.metadata_props.push(entry("trained on"));
            model.proto.doc_string = Some("A model.".into());
            model.proto.producer_version = Some("0".into());
            let graph = model.graph_mut();
            graph.doc_string = Some("A graph.".into());
            graph.node.iter_mut().for_each(|node| node.metadata_props.push(entry("layer")));
            graph.initializer.iter_mut().for_each(|tensor| tensor.doc_string = Some("A tensor.".into()));
        }
        let graph = model.graph_mut();
        if nameless {
            graph.node.iter_mut().for_each(|node| node.name = None);
            graph.node.iter_mut().flat_map(bodies_mut).for_each(|body| {
                body.node.iter_mut().for_each(|node| node.name = None);
            });
        }
        if !self.nested {
            let inputs = graph.initializer.iter().map(|tensor| {
                let dtype = Dtype::try_from(tensor.data_type()).expect("a type");
                value(tensor.name(), dtype, &tensor.dims)
            });
            graph.input.extend(inputs.collect::<Vec<_>>());
        }
        Made { model, inputs: self.inputs }
    }
}

/// A scalar of truth.
pub fn truth(name: &str) -> TensorProto {
    tensor(name, Dtype::Bool, &[], vec![1u8])
}
