//! Small graphs, plans written by hand, and what becomes of them.

mod apply;
mod dump;
mod forms;
mod lower;
mod nbits;
mod refusals;
mod unpacked;

use crate::onnx::build::{GraphBuilder, node};
use crate::onnx::{Dtype, Model, attr, tensor_f32};
use crate::options::{CodeType, Opset, Spelling};
use crate::plan::{
    ActivationDecision, ActivationTerm, BiasChange, Codes, Decision, Float, Partition, Plan, Read, Reason,
    Reasons, Subject, VERSION, WeightDecision, WeightTerm,
};

fn plan(decisions: Vec<Decision>) -> Plan {
    Plan {
        version: VERSION,
        tool: "test".into(),
        subject: Subject { file: "m.onnx".into(), sha256: "00ff".into() },
        precision: "w4a8".into(),
        opset: Opset::default(),
        storage: crate::options::Storage::Packed,
        bias: crate::options::Bias::Float,
        explicit_zero_points: false,
        shapes: Vec::new(),
        calibrated: None,
        generated: None,
        decisions,
        skips: Vec::new(),
    }
}

fn read(model: &Model, at: usize, slot: usize) -> Read {
    let node = &model.graph().node[at];
    Read::new(node, at, slot)
}

/// Codes that run through all values of `code_type`, with scales 0.5, 1, 1.5 ...
fn weight(
    model: &Model,
    tensor: &str,
    code_type: CodeType,
    axis: Option<usize>,
    reads: &[(usize, usize)],
) -> WeightDecision {
    let old = model.graph().initializer.iter().find(|old| old.name() == tensor).unwrap();
    let dims = old.dims.clone();
    let (lowest, highest) = code_type.range();
    let scales = axis.map_or(1, |axis| dims[axis]);
    let codes = (0..dims.iter().product::<i64>() as i32).map(|at| lowest + at * 3 % (highest - lowest + 1));
    WeightDecision {
        tensor: tensor.into(),
        reads: reads.iter().map(|&(at, slot)| read(model, at, slot)).collect(),
        terms: vec![WeightTerm {
            code_type,
            partition: axis.map_or(Partition::Tensor, |axis| Partition::Channel { axis }),
            scales: (1..=scales).map(|at| at as f32 * 0.5).collect(),
            zero_points: vec![0; scales as usize],
            codes: Codes::new(code_type, &codes.map(|code| code as i16).collect::<Vec<_>>()),
        }],
        spelling: Spelling::Sum,
        saturation: None,
        sqnr_db: None,
        reason: Reasons::from_iter([Reason::Told("test".into())]),
        residuals: None,
        macs: None,
        biases: Vec::new(),
        dims,
        float: Float::Float,
        wide_scales: false,
    }
}

fn activation(model: &Model, tensor: &str, reads: &[(usize, usize)]) -> ActivationDecision {
    ActivationDecision {
        returned: false,
        tensor: tensor.into(),
        float: Float::Float,
        wide_scales: false,
        reads: reads.iter().map(|&(at, slot)| read(model, at, slot)).collect(),
        terms: vec![ActivationTerm { code_type: CodeType::Uint8, scale: 0.25, zero_point: 128 }],
        range: (-1.0, 1.0),
        sqnr_db: None,
        reason: Reasons::from_iter([Reason::Told("test".into())]),
    }
}

fn bias(model: &Model, at: usize, slot: usize, tensor: Option<&str>, values: &[f32]) -> BiasChange {
    BiasChange { read: read(model, at, slot), tensor: tensor.map(Into::into), values: values.to_vec() }
}

/// x -> MatMul(w), and MatMul again with the same weights.
fn shared() -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[-1, 4]);
    let w = graph.weights("w", &[4, 4]);
    let first = graph.node("MatMul", &[&x, &w], &[]);
    let second = graph.node("MatMul", &[&first, &w], &[]);
    graph.output(&second);
    graph.model()
}

/// A Conv whose weights are 2 x 1 x 1 x 2, with a bias.
fn conv() -> Model {
    let mut graph = GraphBuilder::new(21).ir_version(9);
    let x = graph.input("x", &[1, 1, 4, 4]);
    let w = graph.weights("w", &[2, 1, 1, 2]);
    let b = graph.initializer(tensor_f32("b", &[2], &[1.0, 2.0]));
    let y = graph.node("Conv", &[&x, &w, &b], &[attr::ints("kernel_shape", &[1, 2])]);
    let z = graph.node("Relu", &[&y], &[]);
    graph.output(&z);
    graph.model()
}

/// An If whose first branch reads the weights of a later MatMul.
fn captured() -> Model {
    let branch = |operator: &str, input: &str, output: &str| {
        let mut graph = GraphBuilder::new(21);
        graph.push(node(operator, output, &[input], &[output], &[]));
        graph.output(output);
        graph.proto().graph
    };
    let body = |name: &str, graph| crate::onnx::proto::AttributeProto { g: graph, ..attr_graph(name) };
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[2, 2]);
    let c = graph.initializer(crate::onnx::tensor("c", Dtype::Bool, &[], vec![1]));
    let w = graph.weights("w", &[2, 2]);
    let relu = graph.node("Relu", &[&x], &[]);
    let chosen = graph.node(
        "If",
        &[&c],
        &[
            body("then_branch", branch("Neg", &w, "w_scale")),
            body("else_branch", branch("Neg", &relu, "other")),
        ],
    );
    let y = graph.node("MatMul", &[&chosen, &w], &[]);
    graph.output(&y);
    graph.model()
}

fn attr_graph(name: &str) -> crate::onnx::proto::AttributeProto {
    use crate::onnx::proto::attribute_proto::AttributeType;
    crate::onnx::proto::AttributeProto {
        r#type: Some(AttributeType::Graph as i32),
        i: None,
        ..attr::int(name, 0)
    }
}
