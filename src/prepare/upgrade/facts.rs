//! What is known of the values of a graph without running it: types, ranks, small constants.
//! Enough to choose a conversion by, no more; what is not known is said to be not known.

use std::collections::{HashMap, HashSet};

use super::super::constants::constant;
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, type_proto};
use crate::onnx::{Dtype, bodies, element_count, floats, int, integers, value_shape};

/// Larger constants are no shapes, scales or axes, and are not kept.
const SMALL: usize = 64;

#[derive(Clone, Debug, Default)]
struct Fact {
    dtype: Option<i32>,
    rank: Option<usize>,
    /// As declared.
    dims: Vec<Option<i64>>,
    small: Option<TensorProto>,
}

/// The facts of one graph, with those of the graphs around it.
#[derive(Debug)]
pub(super) struct Facts<'o> {
    own: HashMap<String, Fact>,
    outer: Option<&'o Facts<'o>>,
    only_float: Option<i32>,
}

impl<'o> Facts<'o> {
    pub fn of(graph: &GraphProto, outer: Option<&'o Facts<'o>>, types: &FloatTypes) -> Self {
        let mut facts = Self { own: HashMap::new(), outer, only_float: types.only() };
        let declared = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
        for value in declared {
            let dims = value_shape(value).map(|(_, dims)| dims);
            let rank = dims.as_ref().map(Vec::len);
            let dims = dims.unwrap_or_default();
            facts
                .own
                .insert(value.name().into(), Fact { dtype: declared_type(value), rank, dims, small: None });
        }
        let defaults: HashSet<&str> = graph.input.iter().map(|input| input.name()).collect();
        for tensor in graph.initializer.iter().filter(|tensor| !defaults.contains(tensor.name())) {
            facts.learn(tensor);
        }
        for node in &graph.node {
            facts.infer(node);
        }
        facts
    }

    /// Takes a constant into account.
    pub fn learn(&mut self, tensor: &TensorProto) {
        let small = element_count(tensor).is_ok_and(|count| count <= SMALL).then(|| tensor.clone());
        let dims = tensor.dims.iter().map(|&dim| Some(dim)).collect();
        let fact = Fact { dtype: tensor.data_type, rank: Some(tensor.dims.len()), dims, small };
        self.own.insert(tensor.name().into(), fact);
    }

    fn get(&self, value: &str) -> Option<&Fact> {
        self.own.get(value).or_else(|| self.outer?.get(value))
    }

    /// The element type of a value known to be of some float type.
    pub fn float_type(&self, value: &str) -> Option<Dtype> {
        let code = self.get(value).and_then(|fact| fact.dtype).or(self.only_float)?;
        Dtype::try_from(code).ok()
    }

    /// The rank of a value.
    pub fn rank(&self, value: &str) -> Option<usize> {
        self.get(value)?.rank
    }

    /// One dimension of a value, where it is declared.
    pub fn dim(&self, value: &str, at: usize) -> Option<i64> {
        *self.get(value)?.dims.get(at)?
    }

    /// The values of a small integer constant.
    pub fn integers(&self, value: &str) -> Option<Vec<i64>> {
        integers(self.get(value)?.small.as_ref()?).ok()
    }

    /// The values of a small float constant.
    pub fn floats(&self, value: &str) -> Option<Vec<f32>> {
        floats(self.get(value)?.small.as_ref()?).ok()
    }

    fn infer(&mut self, node: &NodeProto) {
        if let Some(tensor) = constant(node) {
            return self.learn(&tensor);
        }
        let of =
            |at: usize| node.input.get(at).and_then(|input| self.get(input)).cloned().unwrap_or_default();
        let (first, second) = (of(0), of(1));
        let both = || Some((first.rank?, second.rank?));
        // Of operands that have one type in common.
        let either = first.dtype.or(second.dtype);
        let (dtype, rank) = match node.op_type() {
            "Relu"
            | "LeakyRelu"
            | "Sigmoid"
            | "Tanh"
            | "Elu"
            | "Selu"
            | "Clip"
            | "Softmax"
            | "LogSoftmax"
            | "Exp"
            | "Log"
            | "Sqrt"
            | "Abs"
            | "Neg"
            | "Erf"
            | "HardSigmoid"
            | "Softplus"
            | "Identity"
            | "Dropout"
            | "BatchNormalization"
            | "InstanceNormalization"
            | "LRN"
            | "Pad"
            | "Slice"
            | "Transpose"
            | "MaxPool"
            | "AveragePool"
            | "GlobalAveragePool"
            | "GlobalMaxPool"
            | "Resize"
            | "Upsample"
            | "PRelu" => (first.dtype, first.rank),
            "Conv" | "ConvTranspose" | "Concat" => (either, first.rank),
            "Add" | "Sub" | "Mul" | "Div" => (either, both().map(|(a, b)| a.max(b))),
            "Pow" => (first.dtype, both().map(|(a, b)| a.max(b))),
            "Gemm" => (either, Some(2)),
            "Flatten" => (first.dtype, Some(2)),
            "MatMul" => (either, both().filter(|&(a, b)| a >= 2 && b >= 2).map(|(a, b)| a.max(b))),
            "Reshape" => {
                let shape = second.small.as_ref().and_then(|shape| integers(shape).ok());
                (first.dtype, shape.map(|shape| shape.len()))
            }
            "Cast" => (int(node, "to").and_then(|to| i32::try_from(to).ok()), first.rank),
            "Einsum" => (either, None),
            "LSTM" | "GRU" | "RNN" | "Squeeze" | "Unsqueeze" | "Gather" | "Tile" | "Expand" | "Split"
            | "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "Sum" | "Max" | "Min" | "Mean" => {
                (first.dtype, None)
            }
            _ => (None, None),
        };
        if matches!(node.op_type(), "If" | "Loop" | "Scan") {
            return self.infer_body(node);
        }
        // Only the first output has the type of the first input, but for Split's, which all have.
        let outputs = if node.op_type() == "Split" { node.output.len() } else { 1 };
        for output in node.output.iter().take(outputs) {
            let fact = self.own.entry(output.clone()).or_default();
            fact.dtype = fact.dtype.or(dtype);
            fact.rank = fact.rank.or(rank);
        }
    }

    /// What bodies declare of their outputs, those of a Loop without its condition.
    fn infer_body(&mut self, node: &NodeProto) {
        let before = usize::from(node.op_type() == "Loop");
        for (at, output) in node.output.iter().enumerate().filter(|(_, output)| !output.is_empty()) {
            let declared = bodies(node).find_map(|body| declared_type(body.output.get(before + at)?));
            let fact = self.own.entry(output.clone()).or_default();
            fact.dtype = fact.dtype.or(declared);
        }
    }
}

fn declared_type(value: &ValueInfoProto) -> Option<i32> {
    match &value.r#type {
        Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) => tensor.elem_type,
        _ => None,
    }
}

/// The float types that a model mentions. Types come from inputs, constants, casts and `dtype`
/// attributes only: where one float type is mentioned, all floats in the model have it.
#[derive(Debug, Default)]
pub(super) struct FloatTypes(HashSet<i32>);

impl FloatTypes {
    pub fn of(graph: &GraphProto) -> Self {
        let mut types = Self::default();
        types.collect(graph);
        types
    }

    fn collect(&mut self, graph: &GraphProto) {
        let values = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
        values.filter_map(declared_type).for_each(|code| self.mention(code));
        graph.initializer.iter().for_each(|tensor| self.mention(tensor.data_type()));
        for node in &graph.node {
            for attribute in &node.attribute {
                attribute.t.iter().for_each(|tensor| self.mention(tensor.data_type()));
                if matches!(attribute.name(), "to" | "dtype") {
                    self.mention(attribute.i().try_into().unwrap_or_default());
                }
            }
            bodies(node).for_each(|body| self.collect(body));
        }
    }

    fn mention(&mut self, code: i32) {
        let floats = [Dtype::Float, Dtype::Float16, Dtype::Double, Dtype::Bfloat16];
        if floats.iter().any(|&float| float as i32 == code) {
            self.0.insert(code);
        }
    }

    fn only(&self) -> Option<i32> {
        self.0.iter().next().copied().filter(|_| self.0.len() == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{attr, tensor_i64};

    #[test]
    fn ranks_and_types_follow_the_graph() {
        let mut graph = GraphBuilder::new(11);
        let x = graph.input("x", &[1, 2, 3, 4]);
        let relu = graph.node("Relu", &[&x], &[]);
        let shape = graph.initializer(tensor_i64("shape", &[3], &[1, 6, 4]));
        let reshaped = graph.node("Reshape", &[&relu, &shape], &[]);
        let half = graph.node("Cast", &[&reshaped], &[attr::int("to", Dtype::Float16 as i64)]);
        let odd = graph.node("Unsqueeze", &[&half], &[attr::ints("axes", &[0])]);
        let unknown = graph.node("Selu2", &[&odd], &[]);
        graph.output(&unknown);
        let model = graph.model();
        let types = FloatTypes::of(model.graph());
        let facts = Facts::of(model.graph(), None, &types);
        assert_eq!((facts.rank(&relu), facts.rank(&half)), (Some(4), Some(3)));
        assert_eq!((facts.rank(&odd), facts.float_type(&odd)), (None, Some(Dtype::Float16)));
        // Two float types are about, so nothing is assumed of an unknown value.
        assert_eq!(facts.float_type("other"), None);
    }
}
