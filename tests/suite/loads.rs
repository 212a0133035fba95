//! Every written file loads in the runtime that it is meant for, and gives there what it says: half precision in all its places,
//! weights that others read too, tables that two operators share. What would not load is named, and what is not written too.

use std::path::Path;
use std::process::{Command, Output};

use fourbit::onnx::build::GraphBuilder;
use fourbit::onnx::{Dtype, Model, attr, breaches, tensor, tensor_f32, tensor_of, write};
use fourbit::options::{Options, Precision, TARGETS, Target, Wishes};
use fourbit::plan::{Decision, Plan};

use super::targets::{agree, converted, entry, runtime_of};

/// Numbers about zero, times `scale`.
fn values(count: usize, scale: f32) -> Vec<f32> {
    let value = |at: usize| ((at as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
    (0..count).map(|at| value(at + 1) * scale).collect()
}

fn half(graph: &mut GraphBuilder, name: &str, dims: &[i64], scale: f32) -> String {
    let count = dims.iter().product::<i64>() as usize;
    graph.initializer(tensor_of(name, Dtype::Float16, dims, &values(count, scale)))
}

/// FLOAT layers whose weights are stored as FLOAT16, one of them turned before it is cast.
fn cast(opset: i64) -> Model {
    let mut graph = GraphBuilder::new(opset);
    let to = [attr::int("to", 1)];
    let x = graph.input("x", &[1, 3, 8, 8]);
    let (w, b) = (half(&mut graph, "wh", &[8, 3, 3, 3], 0.3), half(&mut graph, "bh", &[8], 0.1));
    let (w, b) = (graph.node("Cast", &[&w], &to), graph.node("Cast", &[&b], &to));
    let h = graph.node("Conv", &[&x, &w, &b], &[attr::ints("pads", &[1, 1, 1, 1])]);
    let r = graph.node("Relu", &[&h], &[]);
    let f = graph.node("Flatten", &[&r], &[]);
    let v = half(&mut graph, "vh", &[6, 512], 0.1);
    let v = graph.node("Transpose", &[&v], &[attr::ints("perm", &[1, 0])]);
    let v = graph.node("Cast", &[&v], &to);
    let y = graph.node("MatMul", &[&f, &v], &[]);
    graph.output(&y);
    graph.ir_version(10).model()
}

/// FLOAT16 layers between Casts, with weights times `scale`, and what comes out divided by it.
fn halves(opset: i64, scale: f32) -> Model {
    let mut graph = GraphBuilder::new(opset);
    let x = graph.input("x", &[1, 3, 8, 8]);
    let x = graph.node("Cast", &[&x], &[attr::int("to", 10)]);
    let (w, b) = (half(&mut graph, "w", &[8, 3, 3, 3], scale), half(&mut graph, "b", &[8], scale * 0.1));
    let h = graph.node("Conv", &[&x, &w, &b], &[]);
    let h = graph.node("Relu", &[&h], &[]);
    let by = half(&mut graph, "by", &[1], 1.0);
    let h = graph.node("Div", &[&h, &by], &[]);
    let v = half(&mut graph, "v", &[4, 8, 1, 1], 1.0);
    let y = graph.node("Conv", &[&h, &v], &[]);
    let y = graph.node("Cast", &[&y], &[attr::int("to", 1)]);
    graph.output(&y);
    graph.ir_version(10).model()
}

/// Weights that a ReduceMax reads too, and the caller.
fn also_data(opset: i64) -> Model {
    let mut graph = GraphBuilder::new(opset);
    let x = graph.input("x", &[4, 32]);
    let w = graph.weights("w", &[32, 16]);
    let h = graph.node("MatMul", &[&x, &w], &[]);
    let most = graph.node("ReduceMean", &[&w], &[]);
    let y = graph.node("Add", &[&h, &most], &[]);
    let given = graph.node("Identity", &[&w], &[]);
    graph.output(&y);
    graph.output(&given);
    graph.ir_version(10).model()
}

/// A layer that reads its weights as they are, and one that reads them reshaped.
fn reshaped(opset: i64) -> Model {
    let mut graph = GraphBuilder::new(opset);
    let x = graph.input("x", &[4, 32]);
    let w = graph.weights("w", &[32, 16]);
    let shape = graph.initializer(fourbit::onnx::tensor_i64("shape", &[2], &[16, 32]));
    let h = graph.node("MatMul", &[&x, &w], &[]);
    let r = graph.node("Reshape", &[&w, &shape], &[]);
    let y = graph.node("MatMul", &[&h, &r], &[]);
    graph.output(&y);
    graph.ir_version(10).model()
}

/// A table of embeddings that is the last layer's weights too, turned before that or not.
fn tied(opset: i64, turned: bool) -> Model {
    let mut graph = GraphBuilder::new(opset);
    let x = graph.input("x", &[3, 16]);
    let w = graph.weights("w", &[24, 16]);
    let places = graph.initializer(fourbit::onnx::tensor_i64("places", &[3], &[1, 20, 7]));
    let e = graph.node("Gather", &[&w, &places], &[]);
    let h = graph.node("Add", &[&e, &x], &[]);
    let y = match turned {
        true => {
            let t = graph.node("Transpose", &[&w], &[attr::ints("perm", &[1, 0])]);
            graph.node("MatMul", &[&h, &t], &[])
        }
        false => graph.node("Gemm", &[&h, &w], &[attr::int("transB", 1)]),
    };
    graph.output(&y);
    graph.ir_version(10).model()
}

fn options(target: &'static Target, precision: &str) -> Options {
    some_options(target, precision).unwrap_or_else(|| panic!("{} takes {precision}", target.name))
}

/// What a target makes of a precision, where it takes it.
fn some_options(target: &'static Target, precision: &str) -> Option<Options> {
    let precision: Precision = precision.parse().expect("a precision");
    let wishes = Wishes { precision: Some(precision), ..Wishes::default() };
    let options = wishes.options(target).ok()?;
    let granularity = fourbit::options::Granularity::Channel;
    Some(Options { min_elements: 1, granularity, ..options })
}

fn quantized<'p>(plan: &'p Plan, tensor: &str) -> Option<&'p fourbit::plan::WeightDecision> {
    plan.decisions.iter().find_map(|decision| match decision {
        Decision::Weight(weight) if weight.tensor == tensor => Some(weight),
        _ => None,
    })
}

#[test]
fn awkward_weights_load_and_give_what_the_file_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut entries = Vec::new();
    for (name, target, precision) in [
        ("generic", "generic", "w8a8"),
        ("four bits", "generic", "w4a8"),
        ("int8", "ort-cpu-int8", "w8a8"),
        ("onnxruntime", "ort-cpu", "w8a8"),
        ("weights", "ort-cpu", "w8"),
    ] {
        let options = options(Target::named(target).expect("a target"), precision);
        for opset in [13, 17, 19, 21] {
            if opset < 21 && options.target.opsets.0 > opset {
                continue;
            }
            for (which, model) in [
                ("cast", cast(opset)),
                ("halves", halves(opset, 0.3)),
                ("tiny halves", halves(opset, 1e-5)),
                ("also data", also_data(opset)),
                ("reshaped", reshaped(opset)),
                ("tied", tied(opset, true)),
                ("tied by Gemm", tied(opset, false)),
            ] {
                let name = format!("{which} of opset {opset}, {name}");
                let (plan, shipped) = converted(&model, &options);
                assert_eq!(breaches(&shipped), [], "{name}");
                assert!(plan.decisions.iter().any(|it| matches!(it, Decision::Weight(_))), "{name}");
                let number = entries.len();
                let nothing = serde_json::json!({});
                entries.push(entry(
                    &name,
                    runtime_of(options.target),
                    &shipped,
                    true,
                    nothing,
                    folder.path(),
                    number,
                ));
            }
        }
    }
    agree(&entries, folder.path());
}

#[test]
fn stored_halves_of_float_layers_get_float_scales_and_no_cast() {
    let options = options(Target::named("ort-cpu-int8").expect("a target"), "w8a8");
    let (plan, shipped) = converted(&cast(17), &options);
    for tensor in ["wh", "vh"] {
        let weight = quantized(&plan, tensor).expect("quantized");
        assert_eq!((weight.float, weight.wide_scales), (fourbit::plan::Float::Float, false), "{tensor}");
    }
    let casts = shipped.graph().node.iter().filter(|node| node.op_type() == "Cast").count();
    assert_eq!(casts, 1, "that of the bias stays");
}

#[test]
fn scales_that_half_precision_cannot_hold_are_float() {
    let options = options(Target::named("generic").expect("a target"), "w8");
    for (opset, scale, wide) in [(21, 0.3, false), (21, 1e-5, true), (17, 0.3, true)] {
        let (plan, _) = converted(&halves(opset, scale), &options);
        assert_eq!(quantized(&plan, "w").expect("quantized").wide_scales, wide, "{opset} {scale}");
    }
}

#[test]
fn weights_that_others_read_are_stored_once() {
    let mut stored = 0;
    for target in TARGETS {
        let takes = |operator: &str| target.forms.iter().any(|form| form.operators.contains(&operator));
        for precision in ["w4", "w8", "w8a8"] {
            let Some(options) = some_options(target, precision) else { continue };
            for (name, model, operators) in [
                ("also data", also_data(21), &["MatMul"][..]),
                ("reshaped", reshaped(21), &["MatMul"]),
                ("tied", tied(21, true), &["MatMul", "Gather"]),
                ("tied by Gemm", tied(21, false), &["Gemm", "Gather"]),
            ] {
                let name = format!("{name}, {precision} for {}", target.name);
                let (plan, shipped) = converted(&model, &options);
                let large =
                    |tensor: &&fourbit::onnx::proto::TensorProto| tensor.dims.iter().product::<i64>() >= 256;
                let large: Vec<&str> =
                    shipped.graph().initializer.iter().filter(large).map(|tensor| tensor.name()).collect();
                assert_eq!(large.len(), 1, "{name}: {large:?}");
                if quantized(&plan, "w").is_some() {
                    let short = options.storage.unpacks() && large[0].starts_with('_');
                    assert!(large == ["w_quantized"] || short, "{name}: {large:?}");
                    stored += 1;
                } else {
                    // The target has a form for one of the operators only, or for the other with other activations.
                    let skip = plan.skips.iter().find(|skip| skip.name == "w").expect("a reason");
                    let all = operators.iter().all(|operator| takes(operator));
                    assert!(!all || precision != "w8a8", "{name}: {skip:?}");
                }
            }
        }
    }
    assert!(stored > 30, "{stored}");
}

fn fourbit(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fourbit"));
    command.args(arguments).current_dir(folder).output().expect("the program starts")
}

/// A layer whose weights are INT8 with the scale given.
fn stored(scale: f32, attributes: &[fourbit::onnx::proto::AttributeProto], codes: &[i8]) -> Model {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[2, 8]);
    graph.initializer(tensor_f32("step", &[], &[0.02]));
    graph.initializer(tensor("middle", Dtype::Uint8, &[], vec![128]));
    let x = graph.node("QuantizeLinear", &[&x, "step", "middle"], &[]);
    let x = graph.node("DequantizeLinear", &[&x, "step", "middle"], &[]);
    let bytes: Vec<u8> = codes.iter().map(|&code| code as u8).cycle().take(32).collect();
    graph.initializer(tensor("codes", Dtype::Int8, &[8, 4], bytes));
    graph.initializer(tensor_f32("scale", &[4], &[0.5, scale, 0.5, 0.5]));
    let w = graph.node("DequantizeLinear", &["codes", "scale"], attributes);
    let y = graph.node("MatMul", &[&x, &w], &[]);
    graph.output(&y);
    graph.model()
}

#[test]
fn check_and_validate_object_to_what_does_not_load() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[2, 8]);
    let w = graph.weights("w", &[8, 4]);
    let y = graph.node("MatMul", &[&x, &w], &[]);
    graph.output(&y);
    write(&graph.model(), &path("float.onnx"), false).expect("written");
    let axis = [attr::int("axis", 1)];
    let blocks = [attr::int("axis", 0), attr::int("block_size", 2)];
    for (model, code, words) in [
        (stored(0.5, &axis, &[1, -2]), 0, ""),
        (stored(0.0, &axis, &[1, -2]), 3, "not finite and above zero"),
        (stored(f32::NAN, &axis, &[1, -2]), 3, "not finite and above zero"),
        (stored(f32::INFINITY, &axis, &[1, -2]), 3, "not finite and above zero"),
        (stored(0.5, &[attr::int("axis", 0)], &[1, -2]), 3, "which has 8 elements"),
        (stored(0.5, &blocks, &[1, -2]), 3, "block_size"),
        (stored(0.5, &axis, &[127, -128]), 3, "saturate"),
    ] {
        write(&model, &path("q.onnx"), true).expect("written");
        let checked = fourbit(folder.path(), &["check", "q.onnx", "--target", "ort-cpu", "--format", "json"]);
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert_eq!(checked.status.code(), Some(code), "{words}: {said}");
        assert!(said.contains(words), "{words}: {said}");
        let validated = fourbit(folder.path(), &["validate", "float.onnx", "q.onnx"]);
        let said = String::from_utf8_lossy(&validated.stderr).into_owned();
        let refused = code == 3 && words != "saturate";
        assert_eq!(validated.status.code() == Some(1), refused, "{words}: {said}");
        assert!(!refused || said.contains("q.onnx") && said.contains(words), "{words}: {said}");
    }
}

#[test]
fn nothing_quantized_is_an_exit_code_and_no_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[2, 64]);
    let w = graph.weights("fc.weight", &[64, 64]);
    let v = graph.weights("head.weight", &[64, 4]);
    let h = graph.node("MatMul", &[&x, &w], &[]);
    let y = graph.node("MatMul", &[&h, &v], &[]);
    graph.output(&y);
    write(&graph.model(), &folder.path().join("m.onnx"), false).expect("written");
    let run = |arguments: &[&str]| {
        let output = fourbit(
            folder.path(),
            &[&["quantize", "m.onnx", "--precision", "w8", "-o", "q.onnx"], arguments].concat(),
        );
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        let written = folder.path().join("q.onnx").exists();
        if written {
            std::fs::remove_file(folder.path().join("q.onnx")).expect("it goes");
        }
        (output.status.code(), written, said)
    };
    let (code, written, said) = run(&["--exclude", "*"]);
    assert_eq!((code, written), (Some(6), false), "{said}");
    assert!(said.contains("--exclude asked for"), "{said}");
    let (code, written, said) = run(&["--include", "head*", "--report", "r.txt", "--report", "r.json"]);
    assert_eq!((code, written), (Some(0), true), "{said}");
    assert!(said.contains("only 1 of 2 weight tensors") && said.contains("--include asked for"), "{said}");
    // People read flags, programs the library's own words.
    let report = |name| std::fs::read_to_string(folder.path().join(name)).expect("a report");
    assert!(
        report("r.txt").contains("--include asked for") && report("r.json").contains("`.include` asked for")
    );
    for (option, pattern, near) in [
        ("--exclude", "fc.wieght", "fc.weight"),
        ("--include", "haed*", "head.weight"),
        ("--dual-layers", "FC.weight", "fc.weight"),
    ] {
        let (code, written, said) = run(&[option, pattern]);
        assert_eq!((code, written), (Some(1), false), "{said}");
        assert!(said.contains(option) && said.contains(pattern) && said.contains(near), "{said}");
    }
    let (code, _, said) = run(&["--op-types", "Conv"]);
    assert!(code == Some(1) && said.contains("it has MatMul"), "{said}");
}

#[test]
fn a_batch_calls_poor_files_so_and_writes_none_of_models_that_stay_as_they_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let zoo = folder.path().join("zoo");
    std::fs::create_dir(&zoo).expect("a folder");
    let save =
        |graph: GraphBuilder, name: &str| write(&graph.model(), &zoo.join(name), false).expect("written");
    let layer = || {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[2, 32]);
        let w = graph.initializer(tensor_f32("w", &[32, 32], &values(1024, 1.0)));
        let y = graph.node("MatMul", &[&x, &w], &[]);
        (graph, x, y)
    };
    let (mut good, _, y) = layer();
    good.output(&y);
    save(good, "a_good.onnx");
    // What is left of two nearly equal products is smaller than the rounding of either.
    let (mut poor, x, y) = layer();
    let near: Vec<f32> = values(1024, 1.0)
        .into_iter()
        .zip(values(1024, 0.01).into_iter().rev())
        .map(|(one, other)| one + other)
        .collect();
    let v = poor.initializer(tensor_f32("v", &[32, 32], &near));
    let z = poor.node("MatMul", &[&x, &v], &[]);
    let y = poor.node("Sub", &[&y, &z], &[]);
    poor.output(&y);
    save(poor, "b_poor.onnx");
    let mut nothing = GraphBuilder::new(21);
    let x = nothing.input("x", &[2, 32]);
    let y = nothing.node("Relu", &[&x], &[]);
    nothing.output(&y);
    save(nothing, "c_nothing.onnx");
    let output = fourbit(folder.path(), &["batch", "zoo", "-o", "out", "--precision", "w4"]);
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "{said}");
    let text = std::fs::read_to_string(folder.path().join("out/summary.json")).expect("a summary");
    let summary: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let rows: Vec<(&str, &str)> = summary["models"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (row["model"].as_str().unwrap_or_default(), row["status"].as_str().unwrap_or_default()))
        .collect();
    let expected = [("b_poor.onnx", "poor"), ("c_nothing.onnx", "unquantized"), ("a_good.onnx", "converted")];
    assert_eq!(rows, expected, "{said}");
    assert!(
        !folder.path().join("out/c_nothing.onnx").exists() && folder.path().join("out/b_poor.onnx").exists()
    );
    for file in ["summary.html", "summary.csv"] {
        let text = std::fs::read_to_string(folder.path().join("out").join(file)).expect("a summary");
        let places = ["b_poor", "c_nothing", "a_good"].map(|name| text.find(name).expect("a row"));
        assert!(places.is_sorted(), "{file}: {places:?}");
    }
}

#[test]
fn definitions_are_those_of_the_onnx_package() {
    let Some(output) = super::oracle::run_script("signatures.py", &[]) else { return };
    let kept = include_str!("../../src/onnx/signatures/standard.txt");
    let same = String::from_utf8_lossy(&output.stdout) == kept;
    assert!(same, "tests/python/signatures.py > src/onnx/signatures/standard.txt");
}
