//! Models that stay at their own opset, quantized by onnxruntime's own operators below 21, and models raised further than they
//! must: they say the same there as the view that is judged.

use std::path::Path;

use fourbit::Apply;
use fourbit::onnx::build::GraphBuilder;
use fourbit::onnx::{Model, attr, read, tensor_f32, tensor_i64, write};
use fourbit::options::{
    CodeType, Edges, Granularity, Keys, LayerRule, NEWEST_OPSET, Opset, Options, Precision, Spelling,
};
use fourbit::pipeline::{Job, quantize};
use fourbit::plan::Verdict;
use fourbit::progress::Silent;
use fourbit::rewrite::{Dialect, lower};

use super::oracle::{Pair, assert_same};

/// Relative to the largest output: codes are the same, only the order of float additions differs.
const SAME: f64 = 1e-4;
const INPUT: [usize; 4] = [1, 5, 8, 8];

/// One of each operator that has weights, behind a BatchNormalization, a MaxPool and a Clip, in the forms of `opset`.
fn model(opset: i64) -> Model {
    let mut graph = GraphBuilder::new(opset).ir_version(if opset < 9 { 3 } else { 4 });
    let x = graph.input("x", &INPUT.map(|dim| dim as i64));
    let w = ["a", "b", "c", "d", "e", "f", "bias", "last"];
    let dims: [&[i64]; 8] =
        [&[6, 5, 3, 3], &[6, 1, 3, 3], &[4, 3, 2, 2], &[4, 3, 2, 2], &[7, 96], &[7, 9], &[6], &[7]];
    let [a, b, c, d, e, f, bias, last] = std::array::from_fn(|at| graph.weights(w[at], dims[at]));
    let pads = attr::ints("pads", &[1, 1, 1, 1]);
    let y = graph.node("Conv", &[&x, &a, &bias], std::slice::from_ref(&pads));
    let parameters = ["scale", "shift", "mean", "variance"]
        .map(|name| graph.initializer(tensor_f32(name, &[6], &[0.5, 1.5, 2.0, 0.75, 1.0, 1.25])));
    let [scale, shift, mean, variance] = &parameters;
    let y = graph.node("BatchNormalization", &[&y, scale, shift, mean, variance], &[]);
    let y = graph.node("Relu", &[&y], &[]);
    let y = graph.node("Conv", &[&y, &b], &[pads, attr::int("group", 6)]);
    let pool = [attr::ints("kernel_shape", &[2, 2]), attr::ints("strides", &[2, 2])];
    let y = graph.node("MaxPool", &[&y], &pool);
    let y = graph.node("Conv", &[&y, &c], &[attr::int("group", 2), attr::ints("strides", &[2, 2])]);
    let y = match opset < 11 {
        true => graph.node("Clip", &[&y], &[attr::float("min", -1.0), attr::float("max", 6.0)]),
        false => {
            let [lo, hi] = [("lo", -1.0), ("hi", 6.0)]
                .map(|(name, value)| graph.initializer(tensor_f32(name, &[], &[value])));
            graph.node("Clip", &[&y, &lo, &hi], &[])
        }
    };
    let y = graph.node("ConvTranspose", &[&y, &d], &[attr::int("group", 2), attr::ints("strides", &[2, 2])]);
    let shape = graph.initializer(tensor_i64("shape", &[2], &[-1, 96]));
    let y = graph.node("Reshape", &[&y, &shape], &[]);
    let y = graph.node("Gemm", &[&y, &e, &last], &[attr::int("transB", 1), attr::float("alpha", 0.5)]);
    let y = graph.node("MatMul", &[&y, &f], &[]);
    graph.output(&y);
    graph.model()
}

/// Samples of the input, between -2 and 2, as an array of NumPy's.
fn samples(path: &Path) {
    let count = 3 * INPUT.iter().product::<usize>();
    let mut header = format!(
        "{{'descr': '<f4', 'fortran_order': False, 'shape': (3, {}, {}, {}), }}",
        INPUT[1], INPUT[2], INPUT[3]
    );
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend((0..count).flat_map(|at| (2.0 * (at as f32 * 1.7).sin()).to_le_bytes()));
    std::fs::write(path, bytes).expect("it can be written");
}

fn forms(opset: Opset) -> Vec<(&'static str, Options)> {
    let of = |precision: &str| Options {
        opset,
        ..Options::new(precision.parse::<Precision>().expect("a precision"))
    };
    let dual = |spelling: Spelling| {
        let mut options = of("w4a8");
        options.dual.keys = Keys::All;
        options.dual.spelling = spelling;
        options
    };
    let twice = LayerRule { matching: "*".into(), activation_terms: Some(2), ..LayerRule::default() };
    vec![
        ("one scale a tensor", Options { granularity: Granularity::Tensor, ..of("w4") }),
        ("one scale a channel", of("w4")),
        ("unsigned", Options { weights: Some(CodeType::Uint4), ..of("w4") }),
        ("8 bits", of("w8a8")),
        ("sums", dual(Spelling::Sum)),
        ("branches", dual(Spelling::Branches)),
        ("4-bit activations", Options { edges: Some(Edges::Four), ..of("w4a4") }),
        ("16-bit activations", Options { activations: Some(CodeType::Int16), ..of("w4a8") }),
        ("two terms of activations", Options { layers: vec![twice], ..of("w4a4") }),
    ]
}

#[test]
fn a_model_of_any_opset_says_the_same_in_onnxruntime_and_in_its_view() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let calibration = folder.path().join("samples.npy");
    samples(&calibration);
    let mut pairs = Vec::new();
    let kept = [7, 9, 11, 13, 20, 23].map(|own| (own, Opset::Keep, own));
    let raised = [(7, Opset::AtLeast(NEWEST_OPSET), NEWEST_OPSET), (13, Opset::AtLeast(23), 23)];
    for (own, wanted, opset) in kept.into_iter().chain(raised) {
        let input = folder.path().join(format!("{own}-{wanted}.onnx"));
        write(&model(own), &input, false).expect("it can be written");
        for (at, (form, options)) in forms(wanted).into_iter().enumerate() {
            let name = format!("{form} of {own} at {opset}");
            let path = |end: &str| folder.path().join(format!("{own}-{wanted}-{at}-{end}"));
            let job = Job {
                output: Some(path("q.onnx")),
                calibration: Some(calibration.clone().into()),
                ..Job::new(&input, options)
            };
            let outcome = quantize(&job, &Silent).unwrap_or_else(|error| panic!("{name}: {error}"));
            // tract ran the view, and the proof held.
            let Verdict::Validated(validation) = &outcome.verdict else {
                panic!("{name}: {:?}", outcome.verdict)
            };
            assert_eq!(validation.weights_proven, 6, "{name}");
            let after = read(&path("q.onnx")).expect("the file");
            assert_eq!(after.opset(), opset, "{name}");
            let linear = |domain: &str| {
                let nodes =
                    after.graph().node.iter().filter(|node| node.op_type().ends_with("QuantizeLinear"));
                nodes
                    .chain(after.graph().node.iter().filter(|node| node.op_type() == "DequantizeLinear"))
                    .filter(|node| node.domain() == domain)
                    .count()
            };
            let (standard, contrib) = (linear(""), linear("com.microsoft"));
            // The standard's own know eight bits on an axis since 13.
            let known = opset >= 21 || opset >= 13 && form == "8 bits";
            assert!(if known { contrib == 0 } else { standard == 0 && contrib > 5 }, "{name}");
            let before = lower(&after, Dialect::Folded).expect("a view");
            let left = |node: &&fourbit::onnx::proto::NodeProto| node.op_type().ends_with("eLinear");
            assert_eq!(before.graph().node.iter().filter(left).count(), 0, "{name}");
            pairs.push(Pair { name: name.clone(), before, after, tolerance: SAME });

            fourbit::plan::write(&outcome.plan, &path("plan.json"), false).expect("a plan");
            Apply::new(&input, path("plan.json"))
                .output(path("later.onnx"))
                .run()
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let bytes = |end: &str| std::fs::read(path(end)).expect("a file");
            assert_eq!(bytes("q.onnx"), bytes("later.onnx"), "{name}");
        }
    }
    assert_same(&pairs);
}
