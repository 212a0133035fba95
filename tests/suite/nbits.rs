//! Weights written as onnxruntime's MatMulNBits: the file says the same there as in its view and as with DequantizeLinear,
//! at any opset; and the report says of every layer whether it was written so.

use std::path::{Path, PathBuf};

use fourbit::Apply;
use fourbit::error::Error;
use fourbit::onnx::build::{GraphBuilder, value};
use fourbit::onnx::proto::TensorProto;
use fourbit::onnx::{Dtype, Model, attr, floats, read, tensor_of, write};
use fourbit::options::{CodeType, Granularity, Keys, Opset, Options, Precision, Spelling};
use fourbit::pipeline::{Job, quantize};
use fourbit::plan::{Decision, Outcome, Verdict};
use fourbit::progress::Silent;
use fourbit::rewrite::{self, Dialect, lower};
use fourbit::validate::prove;

use super::forms::weights;
use super::oracle::{Pair, assert_same};
use super::targets::agree;

/// Relative to the largest output: codes are the same, only the order of float additions differs.
const SAME: f64 = 1e-4;
/// The same in half precision, where each form rounds at other places.
const HALF: f64 = 4e-3;

/// Weight tensors of [`model`], and products among which MatMulNBits can stand: one tensor is read twice, one not so.
const WEIGHTS: usize = 8;
const PRODUCTS: usize = 8;

/// Matrix products in a row, of every form that MatMulNBits can stand for, and one of which it cannot.
fn model(opset: i64, dtype: Dtype) -> Model {
    let mut graph = GraphBuilder::new(opset);
    let x = graph.typed_input("x", dtype, &[3, 40]);
    let held = |graph: &mut GraphBuilder, name: &str, dims: &[i64]| {
        graph.initializer(tensor_of(name, dtype, dims, &values(name, dims)))
    };
    let a = held(&mut graph, "a", &[40, 24]);
    let y = graph.node("MatMul", &[&x, &a], &[]);
    let row = held(&mut graph, "row", &[24]);
    let y = graph.node("Add", &[&y, &row], &[]);
    let y = graph.node("Relu", &[&y], &[]);
    let (b, bias) = (held(&mut graph, "b", &[24, 50]), held(&mut graph, "b_bias", &[50]));
    let y = graph.node("Gemm", &[&y, &b, &bias], &[]);
    let (c, bias) = (held(&mut graph, "c", &[33, 50]), held(&mut graph, "c_bias", &[1, 33]));
    let transposed = [attr::int("transB", 1)];
    let y = graph.node("Gemm", &[&y, &c, &bias], &transposed);
    let d = held(&mut graph, "d", &[33, 33]);
    let y = graph.node("Gemm", &[&y, &d], &transposed);
    let (e, bias) = (held(&mut graph, "e", &[33, 300]), held(&mut graph, "e_bias", &[3, 1]));
    let y = graph.node("Gemm", &[&y, &e, &bias], &[]);
    let y = graph.node("Relu", &[&y], &[]);
    let f = held(&mut graph, "f", &[300, 64]);
    let y = graph.node("MatMul", &[&y, &f], &[]);
    // Twice the same weights.
    let g = held(&mut graph, "g", &[64, 64]);
    let y = graph.node("MatMul", &[&y, &g], &[]);
    let y = graph.node("MatMul", &[&y, &g], &[]);
    // OpenVINO takes blocks behind DequantizeLinear only where they divide the inputs.
    let h = held(&mut graph, "h", &[64, 9]);
    let y = graph.node("Gemm", &[&y, &h], &[attr::float("alpha", 0.5)]);
    graph.output(&y);
    let mut model = graph.model();
    model.graph_mut().output[0] = value(&y, dtype, &[3, 9]);
    model
}

/// Bell-shaped values about zero, other ones for each name.
fn values(name: &str, dims: &[i64]) -> Vec<f32> {
    let mut graph = GraphBuilder::new(17);
    graph.weights(name, dims);
    let found: Option<TensorProto> =
        graph.proto().graph.and_then(|graph| graph.initializer.into_iter().next());
    floats(&found.expect("weights")).expect("floats")
}

fn options(granularity: Granularity, weights: CodeType, opset: Opset) -> Options {
    let base = Options::new("w4".parse::<Precision>().expect("a precision"));
    Options { granularity, weights: Some(weights), opset, matmul_nbits: true, strict_bits: true, ..base }
}

fn products(model: &Model) -> usize {
    model.graph().node.iter().filter(|node| node.op_type() == "MatMulNBits").count()
}

fn converted(input: &Path, output: PathBuf, options: Options) -> Outcome {
    let job = Job { output: Some(output), ..Job::new(input, options) };
    quantize(&job, &Silent).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn matmulnbits_says_the_same_at_any_opset() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut pairs, mut entries) = (Vec::new(), Vec::<serde_json::Value>::new());
    let granularities =
        [Granularity::Channel, Granularity::Tensor, Granularity::Block(16), Granularity::Block(64)];
    for (own, opset, dtype) in [
        (13, Opset::Keep, Dtype::Float),
        (17, Opset::Keep, Dtype::Float),
        (17, Opset::AtLeast(21), Dtype::Float),
        (21, Opset::Keep, Dtype::Float16),
        (13, Opset::Keep, Dtype::Float16),
    ] {
        let input = folder.path().join(format!("{own}-{}.onnx", dtype.as_str_name()));
        let before = model(own, dtype);
        write(&before, &input, true).expect("it can be written");
        for granularity in granularities {
            for code_type in [CodeType::Int4, CodeType::Uint4] {
                let name = format!("{own}-{opset}-{}-{granularity}-{code_type}", dtype.as_str_name());
                let path = |end: &str| folder.path().join(format!("{}.{end}", name.replace(':', "")));
                let output = path("onnx");
                let outcome = converted(&input, output.clone(), options(granularity, code_type, opset));
                let Verdict::Validated(validation) = &outcome.verdict else {
                    panic!("{name}: {:?}", outcome.verdict)
                };
                let found = weights(&outcome.plan);
                assert_eq!((found.len(), validation.weights_proven), (WEIGHTS, WEIGHTS), "{name}");
                assert!(
                    validation.outputs[0].sqnr_db.is_none_or(|ratio| ratio > 5.0),
                    "{name}: {:?}",
                    validation.outputs
                );
                for weight in &found {
                    let expected = match weight.tensor.as_str() {
                        "h" => ", not as MatMulNBits: Gemm with alpha 0.5",
                        _ => ", as MatMulNBits",
                    };
                    assert!(
                        weight.reason.to_string().ends_with(expected),
                        "{name} {}: {}",
                        weight.tensor,
                        weight.reason
                    );
                }
                let after = read(&output).expect("the file");
                assert_eq!(products(&after), PRODUCTS, "{name}");
                let written = if opset == Opset::Keep { own } else { 21 };
                assert_eq!(after.opset(), written, "{name}");
                // The view says the same, and so does the plan with every MatMulNBits as DequantizeLinear.
                let tolerance = if dtype == Dtype::Float { SAME } else { HALF };
                entries.push(serde_json::json!({
                    "name": name, "runtime": "openvino", "view": output, "file": output, "rounded": false,
                    "tolerance": tolerance, "fused": {},
                }));
                let view = lower(&after, Dialect::Folded).expect("a view");
                assert_eq!(products(&view), 0, "{name}");
                pairs.push(Pair { name: name.clone(), before: view, after: after.clone(), tolerance });
                if written >= 21 {
                    let prepared = fourbit::prepare::prepare(before.clone(), 21).expect("prepared").0;
                    let mut plain = outcome.plan.clone();
                    for decision in &mut plain.decisions {
                        if let Decision::Weight(weight) = decision {
                            weight.spelling = Spelling::Sum;
                        }
                    }
                    let plain = rewrite::apply(&prepared, &plain, None).expect("it applies");
                    assert_eq!(products(&plain), 0, "{name}");
                    pairs.push(Pair { name: format!("{name} plain"), before: plain, after, tolerance });
                }
                let [plans, later] = [path("json"), path("later.onnx")];
                fourbit::plan::write(&outcome.plan, &plans, false).expect("a plan");
                Apply::new(&input, &plans).output(&later).run().unwrap_or_else(|error| panic!("{error}"));
                let bytes = [&output, &later].map(|path| std::fs::read(path).expect("a file"));
                assert!(bytes[0] == bytes[1], "through a file and back, the plan gives the same bytes");
            }
        }
    }
    assert_same(&pairs);
    agree(&entries, folder.path());
}

#[test]
fn a_model_that_needs_no_4_bit_types_keeps_its_versions() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut graph = GraphBuilder::new(13).ir_version(7);
    let x = graph.input("x", &[2, 64]);
    let w = graph.weights("w", &[64, 32]);
    let y = graph.node("MatMul", &[&x, &w], &[]);
    graph.output(&y);
    let input = folder.path().join("m.onnx");
    write(&graph.model(), &input, false).expect("it can be written");
    let blocks = options(Granularity::Block(32), CodeType::Int4, Opset::Keep);
    let outcome = converted(&input, folder.path().join("q.onnx"), blocks.clone());
    let after = read(&outcome.output).expect("the file");
    assert_eq!((after.opset(), after.proto.ir_version(), products(&after)), (13, 7, 1));
    // Four bits a weight, and for each block of 32 a scale of 32 bits and a zero point: so the plan says, and so the file.
    assert_eq!(outcome.sizes.quantized_bits, Some(5.125));
    assert_eq!(outcome.sizes.effective_bits, 5.125);

    let error = |options: Options| {
        let job = Job { output: Some(folder.path().join("none.onnx")), ..Job::new(&input, options) };
        let error = quantize(&job, &Silent).expect_err("it cannot be");
        assert!(matches!(error, Error::Options { .. }), "{error}");
        error.to_string()
    };
    let odd = Options { granularity: Granularity::Block(24), ..blocks.clone() };
    assert!(error(odd).contains("block:24"));
    let plain = Options { matmul_nbits: false, ..blocks };
    assert!(error(plain).contains("`.matmul_nbits`"), "the way out is named");
}

#[test]
fn what_does_not_fit_is_written_as_ever_and_says_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[1, 32, 4, 4]);
    let k = graph.weights("kernel", &[32, 32, 1, 1]);
    let y = graph.node("Conv", &[&x, &k], &[]);
    let l = graph.weights("left", &[4, 4]);
    let y = graph.node("MatMul", &[&l, &y], &[]);
    let w = graph.weights("two", &[4, 32]);
    let y = graph.node("MatMul", &[&y, &w], &[]);
    let s = graph.weights("stack", &[32, 32, 4]);
    let y = graph.node("MatMul", &[&y, &s], &[]);
    let r = graph.weights("right", &[4, 16]);
    let y = graph.node("MatMul", &[&y, &r], &[]);
    graph.output(&y);
    let input = folder.path().join("m.onnx");
    write(&graph.model(), &input, false).expect("it can be written");
    for opset in [Opset::Keep, Opset::AtLeast(21)] {
        let mut options = options(Granularity::Block(16), CodeType::Int4, opset);
        options.dual.layers = vec!["two".into()];
        options.dual.keys = Keys::None;
        let outcome = converted(&input, folder.path().join(format!("{opset}.onnx")), options);
        assert!(matches!(outcome.verdict, Verdict::Validated(_)), "{:?}", outcome.verdict);
        let found = weights(&outcome.plan);
        for (tensor, words) in [
            ("kernel", "not as MatMulNBits: read by Conv"),
            ("left", "not as MatMulNBits: a left factor"),
            ("two", "not as MatMulNBits: two tensors"),
            ("stack", "not as MatMulNBits: weights of 3 axes"),
            ("right", ", as MatMulNBits"),
        ] {
            let weight = found.iter().find(|weight| weight.tensor == tensor).expect("a decision");
            assert!(weight.reason.to_string().ends_with(words), "{tensor}: {}", weight.reason);
            let blocks = weight.reason.to_string().contains("per-block");
            assert_eq!(blocks, opset != Opset::Keep || tensor == "right", "{tensor}: {}", weight.reason);
        }
        assert_eq!(products(&read(&outcome.output).expect("the file")), 1);
    }
}

#[test]
fn a_file_with_other_codes_is_found_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = folder.path().join("m.onnx");
    write(&model(17, Dtype::Float), &input, false).expect("it can be written");
    let blocks = options(Granularity::Block(16), CodeType::Uint4, Opset::Keep);
    let outcome = converted(&input, folder.path().join("q.onnx"), blocks);
    let written = read(&outcome.output).expect("the file");
    assert_eq!(prove(&outcome.plan, None, &written).expect("a proof"), WEIGHTS);
    let changed = |change: &dyn Fn(&mut Model)| {
        let mut other = written.clone();
        change(&mut other);
        prove(&outcome.plan, None, &other).expect_err("a difference").to_string()
    };
    for name in ["d_quantized", "d_scale", "d_zero_point"] {
        let found = changed(&|other| {
            let all = &mut other.graph_mut().initializer;
            let tensor = all.iter_mut().find(|tensor| tensor.name() == name).expect("a tensor");
            let mut bytes = tensor.raw_data.clone().expect("data").to_vec();
            bytes[3] ^= 1;
            tensor.raw_data = Some(bytes.into());
        });
        assert!(found.contains('d') && found.contains("planned"), "{name}: {found}");
    }
    let found = changed(&|other| {
        let nodes = &mut other.graph_mut().node;
        let node = nodes.iter_mut().rfind(|node| node.input.iter().any(|input| input == "g_quantized"));
        node.expect("a reader").name = Some("another".into());
    });
    assert!(found.contains("is no MatMulNBits"), "{found}");
}
