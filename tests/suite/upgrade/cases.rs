//! One small model for each operator whose way to newer opsets is claimed to be known.

use super::{experiments, shapes, spatial};
use fourbit::onnx::build::{GraphBuilder, node};
use fourbit::onnx::proto::{AttributeProto, GraphProto, TensorProto};
use fourbit::onnx::{Dtype, attr, tensor, tensor_f32, tensor_i64};

/// Fills a graph and names its outputs.
pub type Build = Box<dyn Fn(&mut GraphBuilder) -> Vec<String>>;

/// A model at an old opset.
pub struct Case {
    pub name: String,
    pub opset: i64,
    pub build: Build,
}

/// Operators from one tensor to another, at the oldest opset that onnxruntime takes them.
const UNARY: &[(i64, &str)] = &[
    (7, "Abs Ceil Exp Floor Neg Reciprocal Relu LeakyRelu Sigmoid Tanh Elu Selu HardSigmoid"),
    (7, "Softplus Softsign Sin Cos Tan Atan Identity Dropout Flatten Transpose SpaceToDepth1"),
    (7, "GlobalAveragePool GlobalMaxPool GlobalLpPool LpNormalization Clip Squeeze0 Not0"),
    (9, "Erf Sign Sinh Cosh Asinh Shrink"),
    (10, "ThresholdedRelu"),
    (11, "Round"),
    (12, "Celu"),
    (14, "HardSwish Trilu"),
    (18, "Mish"),
    (20, "Gelu"),
];
/// The same, of arguments between -1 and 1, or above 0, or above 1.
const UNIT: &[(i64, &str)] = &[(7, "Asin Acos"), (9, "Atanh")];
const POSITIVE: &[(i64, &str)] = &[(7, "Log Sqrt")];
const BINARY: &[(i64, &str)] =
    &[(7, "Add Sub Mul Div Min Max Mean Sum PRelu"), (8, "Min Max Mean Sum"), (9, "PRelu")];
const COMPARE: &[(i64, &str)] = &[(7, "Greater Less"), (12, "GreaterOrEqual LessOrEqual")];
const LOGIC: &[(i64, &str)] = &[(7, "And Or Xor")];
const REDUCE: &str = "ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd \
                      ReduceSum ReduceSumSquare";
const COERCED: &str = "Softmax LogSoftmax Hardmax";

/// All cases.
pub fn cases() -> Vec<Case> {
    let mut cases = Cases(Vec::new());
    families(&mut cases);
    softmax(&mut cases);
    shapes::shapes(&mut cases);
    shapes::selection(&mut cases);
    spatial::layers(&mut cases);
    spatial::resampling(&mut cases);
    others(&mut cases);
    experiments::experiments(&mut cases);
    experiments::recurrence(&mut cases);
    cases.0
}

/// The cases so far.
pub(super) struct Cases(Vec<Case>);

impl Cases {
    pub(super) fn add(
        &mut self,
        name: &str,
        opset: i64,
        build: impl Fn(&mut GraphBuilder) -> Vec<String> + 'static,
    ) {
        self.0.push(Case { name: format!("{name} at {opset}"), opset, build: Box::new(build) });
    }

    /// One node on an input of the given size and the given constants.
    pub(super) fn one(
        &mut self,
        operator: &str,
        opset: i64,
        dims: &[i64],
        rest: &[TensorProto],
        attributes: &[AttributeProto],
    ) {
        let (dims, rest, attributes) = (dims.to_vec(), rest.to_vec(), attributes.to_vec());
        let names: Vec<&str> = attributes.iter().map(|attribute| attribute.name()).collect();
        let name = format!("{operator} {}", names.join(" "));
        let operator = operator.to_owned();
        self.add(&name, opset, move |graph| {
            let mut inputs = vec![graph.input("x", &dims)];
            for tensor in &rest {
                // An empty name is an input that is left out.
                inputs.push(if tensor.name().is_empty() {
                    String::new()
                } else {
                    graph.initializer(tensor.clone())
                });
            }
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            vec![graph.node(&operator, &inputs, &attributes)]
        });
    }
}

fn each(table: &[(i64, &'static str)], mut visit: impl FnMut(i64, &'static str)) {
    for (opset, operators) in table {
        operators.split_whitespace().for_each(|operator| visit(*opset, operator));
    }
}

pub(super) fn as_float(graph: &mut GraphBuilder, value: &str) -> String {
    graph.node("Cast", &[value], &[attr::int("to", 1)])
}

pub(super) fn floats(name: &str, values: &[f32]) -> TensorProto {
    tensor_f32(name, &[values.len() as i64], values)
}

pub(super) fn integers(name: &str, values: &[i64]) -> TensorProto {
    tensor_i64(name, &[values.len() as i64], values)
}

pub(super) fn left_out() -> TensorProto {
    floats("", &[])
}

fn families(cases: &mut Cases) {
    each(UNARY, |opset, operator| match operator {
        "SpaceToDepth1" => cases.one("SpaceToDepth", opset, &[1, 2, 4, 4], &[], &[attr::int("blocksize", 2)]),
        "Squeeze0" => cases.one("Squeeze", opset, &[1, 2, 1, 3], &[], &[]),
        "Not0" => cases.add("Not", opset, |graph| {
            let x = graph.typed_input("x", Dtype::Bool, &[4]);
            let y = graph.node("Not", &[&x], &[]);
            vec![as_float(graph, &y)]
        }),
        "Trilu" => cases.one(operator, opset, &[4, 4], &[], &[]),
        _ => cases.one(operator, opset, &[2, 3, 4, 5], &[], &[]),
    });
    for (table, before) in [(UNIT, "Sin"), (POSITIVE, "Exp")] {
        each(table, |opset, operator| {
            cases.add(operator, opset, move |graph| {
                let x = graph.input("x", &[3, 4]);
                let argument = graph.node(before, &[&x], &[]);
                vec![graph.node(operator, &[&argument], &[])]
            });
        });
    }
    each(BINARY, |opset, operator| {
        let rest = tensor_f32("b", &[2, 3], &[0.5, -1.0, 2.0, 3.0, -0.25, 1.0]);
        cases.one(operator, opset, &[2, 3], &[rest], &[]);
    });
    each(COMPARE, |opset, operator| {
        cases.add(operator, opset, move |graph| {
            let (x, zero) = (graph.input("x", &[2, 3]), graph.initializer(floats("zero", &[0.0])));
            let y = graph.node(operator, &[&x, &zero], &[]);
            vec![as_float(graph, &y)]
        });
    });
    each(LOGIC, |opset, operator| {
        cases.add(operator, opset, move |graph| {
            let (a, b) =
                (graph.typed_input("a", Dtype::Bool, &[8]), graph.typed_input("b", Dtype::Bool, &[8]));
            let y = graph.node(operator, &[&a, &b], &[]);
            vec![as_float(graph, &y)]
        });
    });
    for opset in [7, 11, 13] {
        for operator in REDUCE.split_whitespace() {
            if operator != "ReduceSum" || opset < 13 {
                cases.one(
                    operator,
                    opset,
                    &[2, 3, 4],
                    &[],
                    &[attr::ints("axes", &[1, 2]), attr::int("keepdims", 0)],
                );
            }
            cases.one(operator, opset, &[2, 3, 4], &[], &[]);
        }
    }
    cases.add("ReduceLogSum", 13, |graph| {
        let x = graph.input("x", &[2, 3]);
        let positive = graph.node("Exp", &[&x], &[]);
        vec![graph.node("ReduceLogSum", &[&positive], &[attr::ints("axes", &[-1])])]
    });
}

fn softmax(cases: &mut Cases) {
    for operator in COERCED.split_whitespace() {
        for opset in [7, 12] {
            cases.one(operator, opset, &[2, 3, 4, 5], &[], &[]);
            for axis in [0, 1, 2, 3] {
                cases.one(operator, opset, &[2, 3, 4, 5], &[], &[attr::int("axis", axis)]);
            }
            cases.add(&format!("{operator} unknown rank"), opset, move |graph| {
                let x = graph.input("x", &[3, 4, 5]);
                let hidden = graph.node("Unsqueeze", &[&x], &[attr::ints("axes", &[0])]);
                vec![graph.node(operator, &[&hidden], &[attr::int("axis", 2)])]
            });
        }
        for axis in [-1, -2, -4] {
            cases.one(operator, 11, &[2, 3, 4, 5], &[], &[attr::int("axis", axis)]);
        }
    }
}

fn others(cases: &mut Cases) {
    for bounds in [&["min"][..], &["max"], &["min", "max"]] {
        let bounds: Vec<_> =
            bounds.iter().map(|&name| attr::float(name, if name == "min" { -0.5 } else { 0.5 })).collect();
        cases.one("Clip", 7, &[3, 4], &[], &bounds);
    }
    cases.one("Clip", 12, &[3, 4], &[left_out(), tensor_f32("max", &[], &[0.5])], &[]);
    cases.one("MeanVarianceNormalization", 9, &[2, 3, 4, 5], &[], &[attr::ints("axes", &[0, 2, 3])]);
    cases.one("Dropout", 10, &[3, 4], &[], &[attr::float("ratio", 0.9)]);
    cases.add("Pow", 7, |graph| {
        let (x, two) = (graph.input("x", &[3]), graph.initializer(floats("two", &[2.0])));
        vec![graph.node("Pow", &[&x, &two], &[])]
    });
    cases.one("Mod", 10, &[4], &[floats("b", &[0.3])], &[attr::int("fmod", 1)]);
    cases.one(
        "Einsum",
        12,
        &[2, 3],
        &[tensor_f32("b", &[3, 1], &[1.0, 2.0, 3.0])],
        &[attr::string("equation", "ij,jk->ki")],
    );
    for shape in [[1, 4, 1], [2, 4, 1]] {
        cases.one("DFT", 17, &shape, &[], &[]);
        cases.one("DFT", 17, &shape, &[], &[attr::int("axis", 1), attr::int("onesided", 1)]);
    }
    for opset in [10, 13] {
        cases.add("QuantizeLinear DequantizeLinear", opset, |graph| {
            let x = graph.input("x", &[3, 4]);
            let scale = graph.initializer(tensor_f32("scale", &[], &[0.05]));
            let zero = graph.initializer(tensor("zero", Dtype::Int8, &[], vec![3]));
            let codes = graph.node("QuantizeLinear", &[&x, &scale, &zero], &[]);
            vec![graph.node("DequantizeLinear", &[&codes, &scale, &zero], &[])]
        });
    }
    for opset in [7, 11] {
        cases.add("If", opset, move |graph| {
            let (x, on) = (graph.input("x", &[2, 3]), graph.typed_input("on", Dtype::Bool, &[]));
            let body = |output: &str, axis: i64| GraphProto {
                name: Some("body".into()),
                node: vec![node("Unsqueeze", "", &[&x], &[output], &[attr::ints("axes", &[axis])])],
                output: vec![fourbit::onnx::build::value(output, Dtype::Float, &[-1, -1, -1])],
                ..Default::default()
            };
            // Both branches had to agree in shape before 11.
            let other = if opset < 11 { 0 } else { 2 };
            let branches =
                [attr::graph("then_branch", body("a", 0)), attr::graph("else_branch", body("b", other))];
            vec![graph.node("If", &[&on], &branches)]
        });
    }
}
