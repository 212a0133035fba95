//! Walks on small graphs against whole runs of the model.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::calibrate::walk::Network;
use crate::calibrate::{Stop, Walk};
use crate::error::Result;
use crate::onnx::build::{GraphBuilder, node, value};
use crate::onnx::proto::{GraphProto, TensorProto};
use crate::onnx::{Dtype, Index, Model, attr, floats, tensor_f32, tensor_i64};
use crate::plan::{Analysis, Float, Kernel, Operand, Read, Reader, Spatial, WeightSite};
use crate::progress::Progress;
use crate::runtime::Session;

const SAMPLES: usize = 5;

/// Counts steps.
#[derive(Default)]
struct Steps(AtomicUsize);

impl Progress for Steps {
    fn begin(&self, _: &str, _: Option<u64>) {}
    fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn end(&self) {}
    fn note(&self, _: &str) {}
}

/// The sites of a model whose weights are called `w...`.
fn analysis(model: &Model) -> Analysis {
    let index = Index::new(model.graph());
    let mut weights = Vec::new();
    for (at, node) in model.graph().node.iter().enumerate() {
        let Some(tensor) = node.input.get(1).filter(|name| name.starts_with('w')) else { continue };
        let dims = index.initializer(tensor).unwrap().dims.clone();
        let kernel = match node.op_type() {
            "Conv" => Kernel::Conv(Spatial {
                kernel: vec![3, 3],
                strides: vec![1, 1],
                dilations: vec![1, 1],
                begin: vec![1, 1],
                end: vec![1, 1],
                same_upper: None,
                output_padding: vec![0, 0],
                groups: 1,
            }),
            _ => Kernel::Matrix { transposed: false, input_transposed: false, alpha: 1.0, beta: 1.0 },
        };
        weights.push(WeightSite {
            tensor: tensor.clone(),
            dims,
            others: None,
            stored: Float::Float,
            wide_scales: false,
            float: Float::Float,
            by_kernel: None,
            input_axis: None,
            place: crate::plan::Place::default(),
            readers: vec![Reader {
                read: Read::new(node, at, 1),
                kernel,
                operand: Some(Operand { value: node.input[0].clone(), slot: 0 }),
                chain: Vec::new(),
                bias: None,
            }],
            macs: None,
        });
    }
    Analysis { weights, ..Analysis::default() }
}

fn sample(dims: &[i64], at: usize) -> TensorProto {
    let count = dims.iter().product::<i64>() as usize;
    let values: Vec<f32> =
        (0..count).map(|i| ((i * 31 + at * 17) % 53) as f32 / 26.0 - 1.0 + at as f32 * 0.1).collect();
    tensor_f32("x", dims, &values)
}

fn changed(model: &Model, tensor: &str) -> Vec<f32> {
    let initializer = model.graph().initializer.iter().find(|one| one.name() == tensor).unwrap();
    floats(initializer)
        .unwrap()
        .iter()
        .enumerate()
        .map(|(at, value)| value * 0.9 + (at % 7) as f32 * 0.01)
        .collect()
}

fn tapped(model: &Model, tap: &str, input: &TensorProto) -> Vec<f32> {
    let session = Session::new(model, "whole", &[tap.to_owned()]).unwrap();
    let mut seen = Vec::new();
    session.run_tapped(std::slice::from_ref(input), &mut |_, _, values| seen = values.to_vec()).unwrap();
    seen
}

fn near(one: &[f32], other: &[f32], what: &str) {
    assert_eq!(one.len(), other.len(), "{what}");
    for (one, other) in one.iter().zip(other) {
        assert!((one - other).abs() < 1e-4, "{what}: {one} and {other}");
    }
}

/// Walks through `model`, giving each weight other values, or none. What reaches each layer must be what whole runs give: the
/// float model's in the one network, those of the model with the weights settled so far in the other.
fn check(model: &Model, dims: &[i64], settle: bool) {
    let analysis = analysis(model);
    let feed = |at: usize| -> Result<Vec<TensorProto>> { Ok(vec![sample(dims, at)]) };
    let steps = Steps::default();
    let mut walk =
        Walk::new(model, &analysis, (0..analysis.weights.len()).collect(), SAMPLES, &feed, true, &steps)
            .unwrap();
    let mut own: Model = model.clone();
    let mut met = HashMap::new();
    loop {
        let Stop { activations, weights: sites } = walk.advance().unwrap();
        if sites.is_empty() && activations.is_empty() {
            break;
        }
        activations.into_iter().for_each(|at| walk.range(at, None));
        for &site in &sites {
            *met.entry(site).or_insert(0) += 1;
            let reader = &analysis.weights[site].readers[0];
            let (read, tensor) = (&reader.read, reader.input().unwrap());
            for at in 0..SAMPLES {
                let float = walk.input(read, tensor, at, Network::Float).unwrap().1;
                let quantized = walk.input(read, tensor, at, Network::Own).unwrap().1;
                near(&float, &tapped(model, tensor, &sample(dims, at)), tensor);
                near(&quantized, &tapped(&own, tensor, &sample(dims, at)), tensor);
                if !settle {
                    assert_eq!(float, quantized);
                }
            }
            assert!(walk.moments(site).unwrap().is_some());
        }
        for &site in &sites {
            let weights = &analysis.weights[site];
            let values = settle.then(|| changed(model, &weights.tensor));
            walk.settle(site, values.as_deref(), &[]);
            if let Some(values) = values {
                let mut proto = own.proto.clone();
                let graph = proto.graph.as_mut().unwrap();
                let tensor = graph.initializer.iter_mut().find(|one| one.name() == weights.tensor).unwrap();
                *tensor = tensor_f32(weights.tensor.as_str(), &weights.dims, &values);
                own = Model::new(proto).unwrap();
            }
        }
    }
    assert!(met.len() == analysis.weights.len() && met.values().all(|&times| times == 1), "{met:?}");
    assert!(steps.0.load(Ordering::Relaxed) <= model.graph().node.len(), "each node at most once");
}

fn pads() -> Vec<crate::onnx::proto::AttributeProto> {
    vec![attr::ints("pads", &[1, 1, 1, 1])]
}

#[test]
fn both_networks_advance_through_a_residual_graph() {
    let mut graph = GraphBuilder::new(17);
    let data = graph.input("x", &[1, 3, 6, 6]);
    let (one, two, three) = (
        graph.weights("w1", &[4, 3, 3, 3]),
        graph.weights("w2", &[4, 4, 3, 3]),
        graph.weights("w3", &[4, 5]),
    );
    let first = graph.node("Conv", &[&data, &one], &pads());
    let first = graph.node("Relu", &[&first], &[]);
    let second = graph.node("Conv", &[&first, &two], &pads());
    let sum = graph.node("Add", &[&second, &first], &[]);
    let sum = graph.node("Relu", &[&sum], &[]);
    let mean = graph.node("GlobalAveragePool", &[&sum], &[]);
    let flat = graph.node("Flatten", &[&mean], &[]);
    let scores = graph.node("Gemm", &[&flat, &three], &[]);
    graph.output(&scores);
    let model = graph.model();
    check(&model, &[1, 3, 6, 6], false);
    check(&model, &[1, 3, 6, 6], true);
}

#[test]
fn shapes_cross_a_cut() {
    let mut graph = GraphBuilder::new(17);
    let data = graph.input("x", &[2, 3, 4, 4]);
    let (one, two, three) = (
        graph.weights("w1", &[3, 3, 3, 3]),
        graph.weights("w2", &[3, 3, 3, 3]),
        graph.weights("w3", &[48, 4]),
    );
    let zero = graph.initializer(tensor_i64("zero", &[1], &[0]));
    let rest = graph.initializer(tensor_i64("rest", &[1], &[-1]));
    let first = graph.node("Conv", &[&data, &one], &pads());
    let shape = graph.node("Shape", &[&first], &[]);
    let batch = graph.node("Gather", &[&shape, &zero], &[]);
    let target = graph.node("Concat", &[&batch, &rest], &[attr::int("axis", 0)]);
    let second = graph.node("Conv", &[&first, &two], &pads());
    let flat = graph.node("Reshape", &[&second, &target], &[]);
    let scores = graph.node("MatMul", &[&flat, &three], &[]);
    graph.output(&scores);
    check(&graph.model(), &[2, 3, 4, 4], true);
}

#[test]
fn bodies_capture_what_crosses_a_cut() {
    let mut graph = GraphBuilder::new(17);
    let data = graph.input("x", &[2, 4]);
    let (one, two, three) =
        (graph.weights("w1", &[4, 4]), graph.weights("w2", &[4, 4]), graph.weights("w3", &[4, 3]));
    let first = graph.node("MatMul", &[&data, &one], &[]);
    let second = graph.node("MatMul", &[&first, &two], &[]);
    let body = |name: &str, operator: &str, inputs: &[&str]| GraphProto {
        name: Some(name.into()),
        node: vec![node(operator, name, inputs, &[name], &[])],
        output: vec![value(name, Dtype::Float, &[2, 4])],
        ..GraphProto::default()
    };
    let yes = graph.initializer(crate::onnx::tensor("yes", Dtype::Bool, &[], vec![1]));
    let branches = [
        attr::graph("then_branch", body("sum", "Add", &[&first, &second])),
        attr::graph("else_branch", body("positive", "Relu", &[&second])),
    ];
    let chosen = graph.node("If", &[&yes], &branches);
    let scores = graph.node("MatMul", &[&chosen, &three], &[]);
    graph.output(&scores);
    check(&graph.model(), &[2, 4], true);
}

#[test]
fn what_constants_reach_is_decided_as_well() {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 4]);
    let [w1, w2, w3] = ["w1", "w2", "w3"].map(|name| graph.weights(name, &[4, 4]));
    let first = graph.node("MatMul", &[&x, &w1], &[]);
    // A constant in front of a layer, behind another: and one that is computed, the same on every sample.
    let fixed = graph.initializer(tensor_f32("fixed", &[1, 4], &[0.5, -1.0, 2.0, 0.0]));
    let second = graph.node("MatMul", &[&fixed, &w2], &[]);
    let shape = graph.node("Shape", &[&first], &[]);
    let number = graph.node("Cast", &[&shape], &[attr::int("to", 1)]);
    let square = graph.initializer(tensor_i64("square", &[2], &[1, 2]));
    let row = graph.node("Reshape", &[&number, &square], &[]);
    let twice = graph.node("Concat", &[&row, &row], &[attr::int("axis", 1)]);
    let third = graph.node("MatMul", &[&twice, &w3], &[]);
    let sum = graph.node("Add", &[&first, &second], &[]);
    let y = graph.node("Add", &[&sum, &third], &[]);
    graph.output(&y);
    let model = graph.model();
    let analysis = analysis(&model);
    let feed = |at: usize| -> Result<Vec<TensorProto>> { Ok(vec![sample(&[1, 4], at)]) };
    let steps = Steps::default();
    let mut walk = Walk::new(&model, &analysis, (0..3).collect(), SAMPLES, &feed, true, &steps).unwrap();
    let mut met = Vec::new();
    loop {
        let Stop { weights: sites, .. } = walk.advance().unwrap();
        if sites.is_empty() {
            break;
        }
        for &site in &sites {
            assert!(walk.moments(site).unwrap().is_some());
            let values = changed(&model, &analysis.weights[site].tensor);
            walk.settle(site, Some(&values), &[]);
        }
        met.extend(sites);
    }
    met.sort_unstable();
    assert_eq!(met, [0, 1, 2]);
}
