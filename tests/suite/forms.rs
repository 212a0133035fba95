//! Every form that weights and activations may take: it loads in onnxruntime, and says the same there as the view that
//! is judged.

use std::path::Path;

use fourbit::Apply;
use fourbit::analyse::analyse;
use fourbit::error::Error;
use fourbit::mmse::Histogram;
use fourbit::onnx::build::GraphBuilder;
use fourbit::onnx::{Model, attr, read, tensor_f32, write};
use fourbit::options::{
    CodeType, Edges, Granularity, Keys, LayerRule, Options, Precision, Spelling, Storage,
};
use fourbit::pipeline::{Job, plan, quantize};
use fourbit::plan::{Decision, Expected, Observations, Partition, Plan, Subject, Verdict, WeightDecision};
use fourbit::progress::Silent;
use fourbit::rewrite::{self, Dialect, lower};
use fourbit::solve::{Measurements, Shared, solve};
use fourbit::validate::prove;

use super::oracle::{Pair, assert_same};

/// Relative to the largest output: codes are the same, only the order of float additions differs.
const SAME: f64 = 1e-4;

/// One of each operator, all in a row: grouped and depthwise Conv, grouped ConvTranspose, Gemm both ways, MatMul.
fn model() -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 5, 4, 4]);
    let w = ["a", "b", "c", "d", "e", "f"];
    let dims: [&[i64]; 6] = [&[6, 5, 3, 3], &[6, 1, 3, 3], &[4, 3, 2, 2], &[4, 3, 2, 2], &[7, 12], &[7, 9]];
    let [a, b, c, d, e, f] = std::array::from_fn(|at| graph.weights(w[at], dims[at]));
    let bias = graph.weights("bias", &[6]);
    let pads = attr::ints("pads", &[1, 1, 1, 1]);
    let y = graph.node("Conv", &[&x, &a, &bias], std::slice::from_ref(&pads));
    let y = graph.node("Relu", &[&y], &[]);
    let y = graph.node("Conv", &[&y, &b], &[pads, attr::int("group", 6)]);
    let y = graph.node("Conv", &[&y, &c], &[attr::int("group", 2), attr::ints("strides", &[2, 2])]);
    let y = graph.node("Relu", &[&y], &[]);
    let y = graph.node("ConvTranspose", &[&y, &d], &[attr::int("group", 2), attr::ints("strides", &[2, 2])]);
    let shape = graph.initializer(fourbit::onnx::tensor(
        "shape",
        fourbit::onnx::Dtype::Int64,
        &[2],
        [-1i64, 12].iter().flat_map(|dim| dim.to_le_bytes()).collect::<Vec<u8>>(),
    ));
    let y = graph.node("Reshape", &[&y, &shape], &[]);
    let y = graph.node("Gemm", &[&y, &e], &[attr::int("transB", 1), attr::float("alpha", 0.5)]);
    let y = graph.node("MatMul", &[&y, &f], &[]);
    graph.output(&y);
    graph.model()
}

/// Layers behind a MaxPool, one of them with a Transpose between, and behind a Clip.
fn pooled() -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 3, 8, 8]);
    let [a, d] = [("a", [4, 3, 1, 1]), ("d", [4, 4, 1, 1])].map(|(name, dims)| graph.weights(name, &dims));
    let (b, c) = (graph.weights("b", &[4, 4, 3, 3]), graph.weights("c", &[4, 5]));
    let pool = [attr::ints("kernel_shape", &[2, 2]), attr::ints("strides", &[2, 2])];
    let y = graph.node("Conv", &[&x, &a], &[]);
    let y = graph.node("MaxPool", &[&y], &pool);
    let y = graph.node("Conv", &[&y, &d], &[]);
    let [lo, hi] =
        [("lo", -1.0), ("hi", 6.0)].map(|(name, value)| graph.initializer(tensor_f32(name, &[], &[value])));
    let y = graph.node("Clip", &[&y, &lo, &hi], &[]);
    let y = graph.node("Conv", &[&y, &b], &[attr::ints("pads", &[1, 1, 1, 1])]);
    let y = graph.node("MaxPool", &[&y], &pool);
    let y = graph.node("Transpose", &[&y], &[attr::ints("perm", &[0, 2, 3, 1])]);
    let y = graph.node("MatMul", &[&y, &c], &[]);
    graph.output(&y);
    graph.model()
}

fn options(change: impl FnOnce(&mut Options)) -> Options {
    let strict = Options::new("w4".parse::<Precision>().expect("a precision"));
    let mut options = Options { strict_bits: true, ..strict };
    change(&mut options);
    options
}

fn forms() -> Vec<(&'static str, Options)> {
    let block = |size: usize| options(|it| it.granularity = Granularity::Block(size));
    let dual = |keys: Keys, spelling: Spelling| {
        options(|it| {
            it.dual.keys = keys;
            it.dual.spelling = spelling;
        })
    };
    vec![
        ("one scale a tensor", options(|it| it.granularity = Granularity::Tensor)),
        ("blocks of one", block(1)),
        ("blocks that do not divide", block(4)),
        ("blocks as large as all", block(512)),
        ("blocks of unsigned codes", Options { weights: Some(CodeType::Uint4), ..block(2) }),
        ("blocks of 8 bits", Options { weights: Some(CodeType::Int8), ..block(3) }),
        ("sums", dual(Keys::All, Spelling::Sum)),
        ("branches", dual(Keys::All, Spelling::Branches)),
        ("some sums", dual(Keys::Share(0.5), Spelling::Sum)),
        ("sums of blocks", Options { granularity: Granularity::Block(2), ..dual(Keys::All, Spelling::Sum) }),
        (
            "branches of unsigned blocks",
            Options {
                granularity: Granularity::Block(3),
                weights: Some(CodeType::Uint4),
                ..dual(Keys::All, Spelling::Branches)
            },
        ),
        ("8-bit storage", options(|it| it.storage = Storage::Int8)),
        (
            "unsigned codes in 8-bit storage",
            options(|it| {
                it.storage = Storage::Int8;
                it.weights = Some(CodeType::Uint4);
            }),
        ),
        (
            "branches in 8-bit storage",
            Options { storage: Storage::Int8, ..dual(Keys::All, Spelling::Branches) },
        ),
        ("8-bit ends", options(|it| it.edges = Some(Edges::Eight))),
        ("float ends", options(|it| it.edges = Some(Edges::Float))),
    ]
}

fn job(input: &Path, output: &Path, options: Options) -> Job {
    Job { output: Some(output.to_owned()), ..Job::new(input, options) }
}

pub fn weights(plan: &Plan) -> Vec<&WeightDecision> {
    let mut weights = Vec::new();
    for decision in &plan.decisions {
        if let Decision::Weight(weight) = decision {
            weights.push(weight);
        }
    }
    weights
}

#[test]
fn every_form_of_weights_says_the_same_in_onnxruntime_and_in_its_view() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = folder.path().join("m.onnx");
    write(&model(), &input, false).expect("it can be written");
    let mut pairs = Vec::new();
    for (at, (name, options)) in forms().into_iter().enumerate() {
        let output = folder.path().join(format!("{at}.onnx"));
        let outcome = quantize(&job(&input, &output, options), &Silent)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        // tract ran the view, and the proof held.
        let Verdict::Validated(validation) = &outcome.verdict else {
            panic!("{name}: {:?}", outcome.verdict)
        };
        assert_eq!(validation.weights_proven, weights(&outcome.plan).len(), "{name}");
        assert!(
            validation.outputs[0].sqnr_db.is_none_or(|ratio| ratio > 5.0),
            "{name}: {:?}",
            validation.outputs
        );
        let after = read(&output).expect("the file");
        let before = lower(&after, Dialect::Folded).expect("a view");
        pairs.push(Pair { name: name.into(), before, after, tolerance: SAME });

        // Through a file and back, the plan gives the same bytes.
        let [plans, later] = ["json", "later.onnx"].map(|end| folder.path().join(format!("{at}.{end}")));
        fourbit::plan::write(&outcome.plan, &plans, false).expect("a plan");
        Apply::new(&input, &plans).output(&later).run().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(std::fs::read(&output).expect("a file"), std::fs::read(&later).expect("a file"), "{name}");
    }
    assert_same(&pairs);
}

#[test]
fn two_terms_lose_far_less_and_blocks_less_than_kernels() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = folder.path().join("m.onnx");
    write(&model(), &input, false).expect("it can be written");
    let planned = |name: &str, options: Options| {
        plan(&job(&input, &folder.path().join(name), options), &Silent).expect("a plan").plan
    };
    let dual = planned("d.json", options(|it| it.dual.keys = Keys::All));
    for weight in weights(&dual) {
        let residuals = weight.residuals.expect("figures");
        assert_eq!(weight.terms.len(), 2);
        let (one, two) = (residuals.single, residuals.dual.expect("asked"));
        assert!(two < one / 20.0, "{}: {one} {two}", weight.tensor);
    }
    let blocks = planned("b.json", options(|it| it.granularity = Granularity::Block(2)));
    for weight in weights(&blocks) {
        let residuals = weight.residuals.expect("figures");
        let depthwise = weight.tensor == "b";
        assert_eq!(residuals.block.is_none(), depthwise);
        assert_eq!(weight.reason.to_string().contains("one input channel"), depthwise, "{}", weight.reason);
        let channel = residuals.channel.expect("an axis");
        assert!(depthwise || residuals.single < channel && channel <= residuals.tensor, "{residuals:?}");
        let axis = match weight.tensor.as_str() {
            "a" | "c" | "e" => 1,
            _ => 0,
        };
        assert!(depthwise || weight.terms[0].partition == Partition::Block { axis, size: 2 });
    }
}

#[test]
fn key_layers_are_those_that_lose_most() {
    let found = |keys: Keys| {
        let plan = with_activations(&model(), &options(|it| it.dual.keys = keys), -1.0, 1.0);
        let row = |weight: &WeightDecision| {
            let lost = weight.residuals.expect("figures").single;
            (weight.terms.len() > 1, lost, weight.dims.iter().product::<i64>() as f64)
        };
        weights(&plan).into_iter().map(row).collect::<Vec<_>>()
    };
    let count = |rows: &[(bool, f64, f64)]| rows.iter().filter(|(dual, ..)| *dual).count();
    let mut lost: Vec<f64> = found(Keys::None).iter().map(|&(_, lost, _)| lost).collect();
    lost.sort_by(f64::total_cmp);
    let threshold = (lost[2] + lost[3]) / 2.0;
    let above = found(Keys::Above(threshold));
    assert!(
        above.iter().all(|&(dual, lost, _)| dual == (lost > threshold)) && count(&above) == 3,
        "{above:?}"
    );
    for share in [0.0, 0.2, 0.5, 1.0] {
        let rows = found(Keys::Share(share));
        let whole: f64 = rows.iter().map(|(_, _, size)| size).sum();
        let taken = |least: f64| rows.iter().filter(|it| it.0 && it.1 >= least).map(|it| it.2).sum::<f64>();
        assert!(taken(0.0) <= share * whole, "{rows:?}");
        // Whoever was left had no room behind those that lose more.
        let room = |lost: f64, size: f64| taken(lost) + size <= share * whole;
        assert!(rows.iter().all(|&(dual, lost, size)| dual || !room(lost, size)), "{share}: {rows:?}");
    }
    assert_eq!(count(&found(Keys::Share(1.0))), 6);
}

/// A plan for `model` whose activations all lie between `low` and `high`.
fn with_activations(model: &Model, options: &Options, low: f32, high: f32) -> Plan {
    let analysis = analyse(model, options).expect("sites");
    let mut histogram = Histogram::new();
    let values: Vec<f32> = (0..=1000).map(|at| low + (high - low) * at as f32 / 1000.0).collect();
    histogram.add_slice(&values);
    let histograms =
        analysis.activations.iter().map(|site| (site.tensor.clone(), histogram.clone())).collect();
    let observations = Observations { samples: 1, histograms, ..Observations::default() };
    solved(model, Some(&observations), options).expect("a plan")
}

fn solved(model: &Model, seen: Option<&Observations>, options: &Options) -> Result<Plan, Error> {
    let analysis = analyse(model, options)?;
    let subject = Subject { file: "m.onnx".into(), sha256: String::new() };
    let (measurements, expected) = (Measurements::default(), Expected::new());
    let shared = Shared { measurements: &measurements, progress: &Silent, notes: None };
    solve(model, &analysis, seen, options, &expected, subject, shared)
}

#[test]
fn every_form_of_activations_says_the_same_in_onnxruntime_and_in_its_view() {
    let model = model();
    let rule = LayerRule { matching: "*".into(), activation_terms: Some(2), ..LayerRule::default() };
    let base = options(|it| it.activations = Some(CodeType::Uint4));
    let cases = [
        ("uint4", base.clone()),
        ("int4", Options { activations: Some(CodeType::Int4), edges: Some(Edges::Four), ..base.clone() }),
        ("int16", Options { activations: Some(CodeType::Int16), ..base.clone() }),
        ("two terms", Options { layers: vec![rule], ..base.clone() }),
    ];
    let cases = cases.into_iter().map(|(name, options)| (name, &model, options));
    let pooled = pooled();
    let four = |code_type| Options {
        activations: Some(code_type),
        edges: Some(Edges::Four),
        ..options(|it| it.dual.keys = Keys::None)
    };
    let twice = LayerRule { matching: "*".into(), activation_terms: Some(2), ..LayerRule::default() };
    let two = Options { layers: vec![twice], ..four(CodeType::Uint4) };
    let behind_pools = [
        ("pooled uint4", four(CodeType::Uint4)),
        ("pooled int4", four(CodeType::Int4)),
        ("pooled twice", two),
    ];
    let behind_pools = behind_pools.into_iter().map(|(name, options)| (name, &pooled, options));
    let mut pairs = Vec::new();
    for (name, model, options) in cases.chain(behind_pools) {
        let plan = with_activations(model, &options, -2.0, 3.0);
        let shipped = rewrite::apply(model, &plan, None).expect("it applies");
        assert!(shipped.graph().node.iter().any(|node| node.op_type() == "QuantizeLinear"), "{name}");
        let before = lower(&shipped, Dialect::Folded).expect("a view");
        pairs.push(Pair { name: name.into(), before, after: shipped, tolerance: SAME });
    }
    assert_same(&pairs);
}

#[test]
fn the_ends_keep_eight_bits_where_activations_have_four() {
    let model = model();
    let plan = with_activations(&model, &Options::new("w4a4".parse().expect("a precision")), 0.0, 3.0);
    let ends = |tensor: &str| matches!(tensor, "a" | "f");
    for decision in &plan.decisions {
        match decision {
            Decision::Weight(weight) => {
                let expected = if ends(&weight.tensor) { CodeType::Int8 } else { CodeType::Int4 };
                assert_eq!(weight.terms[0].code_type, expected, "{}", weight.tensor);
            }
            Decision::Activation(activation) => {
                let first = activation.reads[0].at == 0;
                let last = activation.tensor.starts_with("gemm");
                let expected = if first || last { CodeType::Uint8 } else { CodeType::Uint4 };
                assert_eq!(activation.terms[0].code_type, expected, "{}", activation.tensor);
                assert_eq!(activation.terms[0].zero_point, 0, "no value is negative");
            }
        }
    }
    assert_eq!(plan.decisions.len(), 12);
}

#[test]
fn rules_change_single_layers() {
    let rule = |matching: &str| LayerRule { matching: matching.into(), ..LayerRule::default() };
    let options = options(|it| {
        it.activations = Some(CodeType::Uint8);
        it.layers = vec![
            LayerRule { weights: Some(None), ..rule("a") },
            LayerRule { granularity: Some(Granularity::Tensor), activations: Some(None), ..rule("c") },
            LayerRule { dual: Some(true), spelling: Some(Spelling::Branches), ..rule("[ef]") },
            LayerRule { dual: Some(false), weights: Some(Some(CodeType::Int8)), ..rule("f") },
        ];
    });
    let plan = with_activations(&model(), &options, -1.0, 1.0);
    let found: Vec<_> = weights(&plan)
        .into_iter()
        .map(|weight| (weight.tensor.as_str(), weight.terms.len(), weight.terms[0].code_type))
        .collect();
    let expected = [
        ("b", 1, CodeType::Int4),
        ("c", 1, CodeType::Int4),
        ("d", 1, CodeType::Int4),
        ("e", 2, CodeType::Int4),
        ("f", 1, CodeType::Int8),
    ];
    assert_eq!(found, expected);
    let c = weights(&plan).into_iter().find(|weight| weight.tensor == "c").expect("c").terms[0].partition;
    assert_eq!(c, Partition::Tensor);
    let activations = plan.decisions.iter().filter(|decision| matches!(decision, Decision::Activation(_)));
    assert_eq!(activations.count(), 4, "not before a, not before c");
}

#[test]
fn wishes_that_cannot_be_are_named() {
    let model = model();
    let refused = |change: &dyn Fn(&mut Options)| {
        let options = options(|it| change(it));
        let error = solved(&model, None, &options).expect_err("a contradiction");
        assert!(matches!(error, Error::Options { .. }), "{error}");
        error.to_string()
    };
    let rule = |matching: &str| LayerRule { matching: matching.into(), ..LayerRule::default() };
    assert!(refused(&|it| it.layers = vec![rule("*"), rule("nowhere*")]).contains("\"nowhere*\""));
    assert!(refused(&|it| it.dual.layers = vec!["bias".into()]).contains("\"bias\""));
    assert!(refused(&|it| it.dual.layers = vec!["[".into()]).contains("no glob"));
    let wide = LayerRule { dual: Some(true), weights: Some(Some(CodeType::Int8)), ..rule("c") };
    assert!(refused(&|it| it.layers = vec![wide.clone()]).contains("c is to be dual, but its weights int8"));
}

#[test]
fn a_file_that_says_something_else_is_found_out() {
    let model = model();
    for spelling in [Spelling::Sum, Spelling::Branches] {
        let options = options(|it| {
            it.dual.layers = vec!["e".into()];
            it.dual.spelling = spelling;
        });
        let plan = with_activations(&model, &options, -1.0, 1.0);
        let written = rewrite::apply(&model, &plan, None).expect("it applies");
        assert_eq!(prove(&plan, None, &written).expect("a proof"), 6);

        let mut other = plan.clone();
        for decision in &mut other.decisions {
            if let Decision::Weight(weight) = decision
                && weight.tensor == "e"
            {
                let scale = &mut weight.terms[1].scales[6];
                *scale = scale.next_up();
            }
        }
        let error = prove(&other, None, &written).expect_err("a difference").to_string();
        assert!(error.contains("e") && error.contains("planned"), "{error}");

        if spelling == Spelling::Branches {
            let mut short = written.clone();
            let graph = short.graph_mut();
            graph.node.retain(|node| !node.input.iter().any(|input| input == "e_term_2"));
            let error = prove(&plan, None, &short).expect_err("a branch is missing").to_string();
            assert!(error.contains("e_term_2") && error.contains("0 nodes read it"), "{error}");
        }
    }
}
