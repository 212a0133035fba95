//! Every form of every target that is said to be tested: for each operator the target's own runtime loads the file and says what
//! the view of it says.

mod tract;

use std::collections::BTreeMap;
use std::path::Path;

use fourbit::analyse::analyse;
use fourbit::check::check;
use fourbit::mmse::Histogram;
use fourbit::onnx::build::GraphBuilder;
use fourbit::onnx::{Dtype, Model, attr, tensor_f32, write};
use fourbit::options::{
    CodeType, Contrib, Dual, Form, Granularity, Keys, LayerRule, Opset, Options, Placement, Standing,
    Storage, TARGETS, Target, Wishes,
};
use fourbit::plan::{Decision, Expected, Observations, Plan, Subject};
use fourbit::progress::Silent;
use fourbit::rewrite::{self, Dialect, lower};
use fourbit::runtime::Session;
use fourbit::solve::{Measurements, Shared, solve};

use super::fused_layers;
use super::oracle::run_script;

/// Length of the axis that is summed over: blocks of up to 128 divide it.
const DEPTH: i64 = 128;

/// A model whose layers are of one operator, where that can be.
pub fn model(operator: &str, opset: i64) -> Model {
    let mut graph = GraphBuilder::new(opset);
    let pads = || attr::ints("pads", &[1, 1, 1, 1]);
    let y = match operator {
        "Conv" => {
            let x = graph.input("x", &[1, DEPTH, 5, 5]);
            let [a, b, c] = [("a", [6, DEPTH, 3, 3]), ("b", [6, 1, 3, 3]), ("c", [4, 3, 2, 2])]
                .map(|(name, dims)| graph.weights(name, &dims));
            let bias = graph.weights("bias", &[6]);
            let y = graph.node("Conv", &[&x, &a, &bias], &[pads()]);
            let y = graph.node("Relu", &[&y], &[]);
            let z = graph.node("Conv", &[&y, &b], &[pads(), attr::int("group", 6)]);
            let y = graph.node("Add", &[&z, &y], &[]);
            let y = graph.node("Relu", &[&y], &[]);
            let y = graph.node("Conv", &[&y, &c], &[attr::int("group", 2), attr::ints("strides", &[2, 2])]);
            graph.node("GlobalAveragePool", &[&y], &[])
        }
        "ConvTranspose" => {
            let x = graph.input("x", &[1, DEPTH, 3, 3]);
            let (a, bias) = (graph.weights("a", &[DEPTH, 3, 2, 2]), graph.weights("bias", &[6]));
            let strided = [attr::int("group", 2), attr::ints("strides", &[2, 2])];
            graph.node("ConvTranspose", &[&x, &a, &bias], &strided)
        }
        "Gemm" => {
            let x = graph.input("x", &[3, DEPTH]);
            let (a, b) = (graph.weights("a", &[DEPTH, DEPTH]), graph.weights("b", &[DEPTH, 5]));
            let bias = graph.weights("bias", &[DEPTH]);
            let y = graph.node("Gemm", &[&x, &a, &bias], &[attr::int("transB", 1)]);
            let y = graph.node("Relu", &[&y], &[]);
            graph.node("Gemm", &[&y, &b], &[])
        }
        "MatMul" => {
            let x = graph.input("x", &[2, 3, DEPTH]);
            let (a, b) = (graph.weights("a", &[DEPTH, DEPTH]), graph.weights("b", &[DEPTH, 5]));
            let y = graph.node("MatMul", &[&x, &a], &[]);
            let y = graph.node("Relu", &[&y], &[]);
            graph.node("MatMul", &[&y, &b], &[])
        }
        "Gather" => {
            let ids = graph.typed_input("ids", Dtype::Int64, &[2, 5]);
            let table = graph.weights("table", &[24, DEPTH]);
            graph.node("Gather", &[&table, &ids], &[])
        }
        "LSTM" | "GRU" | "RNN" => {
            let gates = BTreeMap::from([("LSTM", 4), ("GRU", 3), ("RNN", 1)])[operator];
            let x = graph.input("x", &[5, 2, DEPTH]);
            let (w, r) =
                (graph.weights("w", &[1, gates * 128, DEPTH]), graph.weights("r", &[1, gates * 128, 128]));
            graph.node(operator, &[&x, &w, &r], &[attr::int("hidden_size", 128)])
        }
        "Einsum" => {
            let x = graph.input("x", &[2, 3, DEPTH]);
            let w = graph.weights("w", &[DEPTH, 5]);
            graph.node("Einsum", &[&x, &w], &[attr::string("equation", "bik,kj->bij")])
        }
        "DeformConv" => {
            let x = graph.input("x", &[1, DEPTH, 5, 5]);
            let w = graph.weights("w", &[4, DEPTH, 2, 2]);
            let offsets = graph.initializer(tensor_f32("offsets", &[1, 8, 4, 4], &[0.25; 128]));
            graph.node("DeformConv", &[&x, &w, &offsets], &[])
        }
        other => fused_layers::add(&mut graph, other),
    };
    graph.output(&y);
    fused_layers::imported(graph.model())
}

/// A plan by made-up ranges, and what comes of it.
pub fn converted(model: &Model, options: &Options) -> (Plan, Model) {
    let analysis = analyse(model, options).expect("sites");
    let mut histogram = Histogram::new();
    let values: Vec<f32> = (0..=1000).map(|at| -4.0 + 8.0 * at as f32 / 1000.0).collect();
    histogram.add_slice(&values);
    let mut histograms: BTreeMap<String, Histogram> = BTreeMap::new();
    for site in &analysis.activations {
        histograms.insert(site.tensor.clone(), ranged(model, &site.tensor, &histogram));
    }
    let observations = Observations { samples: 1, histograms, ..Observations::default() };
    let subject = Subject { file: "m.onnx".into(), sha256: String::new() };
    let plan = solve(
        model,
        &analysis,
        Some(&observations),
        options,
        &Expected::new(),
        subject,
        Shared { measurements: &Measurements::default(), progress: &Silent, notes: None },
    )
    .expect("a plan");
    let shipped = rewrite::apply(model, &plan, None).expect("it applies");
    (plan, shipped)
}

/// What a value of the model is on one input of bell-shaped numbers.
fn ranged(model: &Model, name: &str, otherwise: &Histogram) -> Histogram {
    let input = model.inputs().next().expect("an input");
    let (_, dims) = fourbit::onnx::value_shape(input).expect("a shape");
    let dims: Vec<i64> = dims.into_iter().map(|dim| dim.unwrap_or(1)).collect();
    let count = dims.iter().product::<i64>() as usize;
    let value = |at: usize| {
        let uniform =
            |seed: usize| f64::from((seed as u32).wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
        let sum: f64 = (0..12).map(|part| uniform(at * 12 + part + 1)).sum();
        (sum - 6.0) as f32
    };
    let values: Vec<f32> = (0..count).map(value).collect();
    let mut histogram = Histogram::new();
    if input.name() == name {
        histogram.add_slice(&values);
        return histogram;
    }
    let feed = [tensor_f32(input.name(), &dims, &values)];
    let Ok(session) = Session::new(model, "float", &[name.to_owned()]) else { return otherwise.clone() };
    session.run_tapped(&feed, &mut |_, _, values| histogram.add_slice(values)).expect("it runs");
    histogram
}

/// One form of one operator as options, for a model of an opset.
struct Try {
    name: String,
    opset: i64,
    options: Options,
    rounded: bool,
}

/// What a target takes besides forms: 4-bit codes at an old opset, weights of two terms, INT32 biases.
fn others(target: &'static Target, form: &Form, operator: &str) -> Vec<Try> {
    let mut found = Vec::new();
    let mut add = |what: String, opset: i64, wishes: Wishes| {
        let rounded = !matches!(wishes.activations, Some(None));
        let options = wishes.options(target).unwrap_or_else(|error| panic!("{what}: {error}"));
        found.push(Try { name: format!("{} {operator} {what}", target.name), opset, options, rounded });
    };
    let float = Wishes { activations: Some(None), matmul_nbits: Some(false), ..Wishes::default() };
    let packed = target.usual.storages.0 == Storage::Packed && form.activations.contains(&None);
    let bytes = target.usual.storages.0 == Storage::Bytes && form.activations.contains(&None);
    // Einsum came with opset 12, DeformConv with 19.
    if bytes && !["Einsum", "DeformConv"].contains(&operator) {
        let kept = Wishes { opset: Some(Opset::Keep), ..float.clone() };
        add("4 bits at opset 11".into(), 11, kept);
    }
    // DeformConv came with opset 19, QuantizeLinear of com.microsoft is for those below 21.
    if target.contrib != Contrib::No && packed && operator != "DeformConv" {
        let kept = Wishes { opset: Some(Opset::Keep), ..float.clone() };
        add("4 bits at opset 17".into(), 17, kept.clone());
        if form.activations.contains(&Some(CodeType::Uint8)) {
            let wishes = Wishes { activations: Some(Some(CodeType::Uint8)), ..kept };
            add("4 bits and rounded at opset 17".into(), 17, wishes);
        }
    }
    if form.activations.contains(&None) && ["Conv", "ConvTranspose", "Gemm", "MatMul"].contains(&operator) {
        for &spelling in target.dual {
            let dual = Dual { keys: Keys::All, spelling, ..Dual::default() };
            add(format!("dual as {}", spelling.name()), 21, Wishes { dual, ..float.clone() });
        }
    }
    if ["Conv", "ConvTranspose", "Gemm"].contains(&operator)
        && form.activations.contains(&Some(CodeType::Uint8))
    {
        for &bias in target.biases {
            add(format!("{} bias", bias.name()), 21, Wishes { bias: Some(bias), ..Wishes::default() });
        }
    }
    found
}

fn tries(target: &'static Target, form: &Form, operator: &str) -> Vec<Try> {
    let mut granularities = Vec::new();
    granularities.extend(form.scales.tensor.then_some(Granularity::Tensor));
    granularities.extend(form.scales.channel.then_some(Granularity::Channel));
    if let Some(blocks) = &form.scales.blocks {
        let odd = if blocks.divides || blocks.powers_of_two { None } else { Some(24) };
        granularities.extend([Some(32), odd].into_iter().flatten().map(Granularity::Block));
    }
    let mut found = Vec::new();
    let mut add = |stored: CodeType, granularity: Granularity, activation: Option<CodeType>| {
        // Only codes of fewer than eight bits are stored as other than what they are.
        let (int4, uint4, uint3) = (CodeType::Int4, CodeType::Uint4, CodeType::Uint3);
        let usual = target.usual.storages.0;
        let forms: Vec<(Storage, CodeType)> = match (stored, usual) {
            (CodeType::Int8, Storage::Int8) => vec![(Storage::Int8, int4)],
            (CodeType::Int8, Storage::Packed) => vec![(Storage::Packed, stored), (Storage::Int8, int4)],
            (CodeType::Int8, Storage::Cast) => vec![
                (Storage::Packed, stored),
                (usual, int4),
                (usual, uint4),
                (usual, uint3),
                (usual, stored),
            ],
            (CodeType::Int8, Storage::Bytes) => {
                vec![(usual, int4), (usual, uint4), (usual, uint3), (usual, stored)]
            }
            (CodeType::Uint8, Storage::Int8) => return,
            (CodeType::Uint8, Storage::Bytes) => vec![(usual, stored)],
            _ => vec![(Storage::Packed, stored)],
        };
        for (storage, four) in forms {
            let wishes = Wishes {
                weights: Some(Some(if stored == CodeType::Uint8 { CodeType::Int8 } else { four })),
                activations: Some(activation),
                granularity: Some(granularity),
                storage: Some(storage),
                ..Wishes::default()
            };
            let name = format!(
                "{} {operator} {four} for {stored} by {granularity} in {} with {}",
                target.name,
                storage.name(),
                activation.map_or("float", CodeType::name)
            );
            let mut options = match wishes.options(target) {
                Ok(options) => options,
                Err(error) => panic!("{name}: {error}"),
            };
            if stored == CodeType::Uint8 {
                let rule =
                    LayerRule { matching: "*".into(), weights: Some(Some(stored)), ..LayerRule::default() };
                options.layers.push(rule);
            }
            // DeformConv came with opset 19.
            let opset = match storage {
                Storage::Bytes if operator == "DeformConv" => 19,
                Storage::Bytes => 13,
                _ => 21,
            };
            found.push(Try { name, opset, options, rounded: activation.is_some() });
        }
    };
    for &activation in form.activations {
        for &stored in form.weights {
            for &granularity in &granularities {
                // One of each kind, and everything together once.
                let plain =
                    stored == form.weights[0] && granularity == granularities[granularities.len().min(2) - 1];
                if activation == form.activations[0] || plain {
                    add(stored, granularity, activation);
                }
            }
        }
    }
    found
}

/// What onnxruntime's optimized graph has where integer kernels are meant.
fn fused(target: &Target, operator: &str) -> serde_json::Value {
    match (target.name, operator) {
        ("ort-cpu-int8", "Conv") => serde_json::json!({
            "QLinearConv": 3, "QLinearAdd": 1, "QLinearGlobalAveragePool": 0, "Conv": 0, "FusedConv": 0, "Add": 0,
        }),
        ("ort-cpu-int8", "Gemm") => serde_json::json!({"QGemm": 2, "Gemm": 0}),
        ("ort-cpu-int8", "MatMul") => {
            serde_json::json!({"QLinearMatMul": 1, "MatMulIntegerToFloat": 1, "MatMul": 0})
        }
        _ => serde_json::json!({}),
    }
}

#[test]
fn every_form_of_a_tested_target_runs_there_and_says_what_its_view_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut entries = Vec::new();
    for target in TARGETS.iter().copied().filter(|target| target.standing == Standing::Tested) {
        for form in target.forms {
            for &operator in form.operators {
                let all = tries(target, form, operator).into_iter().chain(others(target, form, operator));
                for Try { name, opset, options, rounded } in all {
                    let model = model(operator, opset);
                    let (plan, shipped) = converted(&model, &options);
                    assert!(
                        plan.decisions.iter().any(|it| matches!(it, Decision::Weight(_))),
                        "{name}: {:?}",
                        plan.skips
                    );
                    let refused: Vec<_> =
                        check(&shipped, target).0.into_iter().filter(|finding| finding.refused).collect();
                    assert!(refused.is_empty(), "{name}: {refused:?}");
                    if ["tract", "portable"].contains(&target.name) {
                        tract::agrees(&name, &model, &shipped, rounded);
                    }
                    let runtimes = match target.name {
                        "tract" => vec![],
                        "portable" => vec!["onnxruntime", "openvino"],
                        _ => vec![runtime_of(target)],
                    };
                    for runtime in runtimes {
                        let number = entries.len();
                        let fused = fused(target, operator);
                        entries.push(entry(&name, runtime, &shipped, rounded, fused, folder.path(), number));
                    }
                }
            }
        }
    }
    agree(&entries, folder.path());
}

/// The runtime of a target, of those that the script knows.
pub fn runtime_of(target: &Target) -> &'static str {
    if target.name == "openvino" { "openvino" } else { "onnxruntime" }
}

pub fn entry(
    name: &str,
    runtime: &str,
    shipped: &Model,
    rounded: bool,
    fused: serde_json::Value,
    folder: &Path,
    number: usize,
) -> serde_json::Value {
    let (view, file) = (folder.join(format!("{number}.view.onnx")), folder.join(format!("{number}.onnx")));
    write(&lower(shipped, Dialect::Folded).expect("a view"), &view, false).expect("it can be written");
    write(shipped, &file, false).expect("it can be written");
    serde_json::json!({
        "name": name, "runtime": runtime, "view": view, "file": file, "rounded": rounded, "fused": fused,
    })
}

pub fn agree(entries: &[serde_json::Value], folder: &Path) {
    let manifest = folder.join("manifest.json");
    std::fs::write(&manifest, serde_json::Value::from(entries).to_string())
        .expect("the manifest can be written");
    let Some(output) = run_script("runtimes.py", &[&manifest.to_string_lossy()]) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("{} files agree", entries.len())), "{said}");
}

#[test]
fn what_a_target_does_not_take_is_an_error_before_the_work() {
    let refused = |target: &str, wishes: Wishes, words: &str| {
        let target = Target::named(target).expect("a target");
        let error = wishes.options(target).expect_err(words).to_string();
        assert!(error.contains(words) && error.contains(target.name), "{words}: {error}");
    };
    let with = |change: fn(&mut Wishes)| {
        let mut wishes = Wishes::default();
        change(&mut wishes);
        wishes
    };
    refused("tensorrt", with(|it| it.activations = Some(Some(CodeType::Uint8))), "uint8 activations");
    refused("tensorrt", with(|it| it.granularity = Some(Granularity::Block(32))), "scales by block:32");
    refused("qnn-htp", with(|it| it.activations = Some(None)), "float activations");
    refused("webgpu", with(|it| it.precision = "w4a8".parse().ok()), "uint8 activations");
    refused("webgpu", with(|it| it.precision = "w4a8".parse().ok()), "choose `.precision` w4");
    refused("webgpu", with(|it| it.activations = Some(Some(CodeType::Int8))), "choose `.activations` float");
    refused("tract", with(|it| it.storage = Some(Storage::Packed)), "int4 weights");
    refused("portable", with(|it| it.storage = Some(Storage::Packed)), "int4 weights");
    refused("portable", with(|it| it.storage = Some(Storage::Cast)), "int4 tensors");
    refused("tensorrt", with(|it| it.precision = "w3".parse().ok()), "int3 weights");
    let kept = with(|it| (it.opset, it.precision) = (Some(Opset::Keep), "w4a8".parse().ok()));
    refused("portable", kept, "`.opset` keep");
    refused("qnn-htp", with(|it| it.symmetric_weights = Some(false)), "zero points of weights");
    let usual =
        |name: &str| Wishes::default().options(Target::named(name).expect("a target")).expect("options");
    assert_eq!(usual("generic"), Options::default());
    assert_eq!((usual("webgpu").activations, usual("webgpu").matmul_nbits), (None, true));
    assert_eq!(usual("ort-cpu-int8").placement, Placement::Outputs);
    assert_eq!(
        (usual("tensorrt").activations, usual("tensorrt").storage),
        (Some(CodeType::Int8), Storage::Int8)
    );
}
