//! How models are fed: open dimensions, many lengths, states that outputs feed, and what cannot be run at a model's end.

use fourbit::onnx::build::{GraphBuilder, value};
use fourbit::onnx::{Dtype, attr, read, tensor_f32, tensor_i64, write};
use serde_json::Value;

use super::{Chance, data, floats, npz, run};

fn weights(graph: &mut GraphBuilder, name: &str, dims: [i64; 2], chance: &mut Chance) -> String {
    let values: Vec<f32> = (0..dims[0] * dims[1]).map(|_| 0.4 * chance.normal()).collect();
    graph.initializer(tensor_f32(name, &dims, &values))
}

/// A network whose output `next` is its input `state` of the next call.
fn recurrent(folder: &std::path::Path) {
    let mut chance = Chance::new(5);
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[1, 16]);
    let state = graph.input("state", &[1, 16]);
    let [w, u, v] = ["w", "u", "v"].map(|name| weights(&mut graph, name, [16, 16], &mut chance));
    let [a, b] =
        [(&x, &w), (&state, &u)].map(|(value, weights)| graph.node("MatMul", &[value, weights], &[]));
    let sum = graph.node("Add", &[&a, &b], &[]);
    let next = graph.node("Tanh", &[&sum], &[]);
    let y = graph.node("MatMul", &[&next, &v], &[]);
    graph.output(&y);
    graph.output(&next);
    write(&graph.model(), &folder.join("m.onnx"), false).expect("it is written");
    for (name, count) in [("c.npz", 60), ("v.npz", 40)] {
        let values: Vec<f32> = (0..count * 16).map(|_| chance.normal()).collect();
        npz(&folder.join(name), &[("x", floats(&[count, 16], &values))]);
    }
}

/// The ranges of activations that a conversion chose.
fn range(report: &Value, tensor: &str) -> Option<f64> {
    let sites = report["sites"].as_array().expect("sites");
    sites.iter().find(|site| site["tensor"] == tensor && site["kind"] == "activation")?["range"][1].as_f64()
}

#[test]
fn states_are_those_that_the_calls_before_gave() {
    let folder = tempfile::tempdir().expect("a folder");
    recurrent(folder.path());
    let given = ["quantize", "m.onnx", "--calibration", "c.npz", "--validation", "v.npz", "--overwrite"];
    let missing = run(folder.path(), &given);
    assert!(missing.code == Some(1) && missing.error.contains("state"), "{}", missing.error);
    let state = ["--precision", "w4a8", "--state", "tanh_0:state"];
    let name = read(&folder.path().join("m.onnx")).expect("it is read").graph().output[1].name().to_owned();
    let state = state.map(|text| text.replace("tanh_0", &name));
    let state: Vec<&str> = state.iter().map(String::as_str).collect();
    let report = data(folder.path(), &[&given[..], &state].concat());
    assert!(range(&report, "state").is_some_and(|range| range > 0.5), "{report}");
    assert_eq!(report["verdict"]["samples"], 40);
    let told = |report: &Value| report["verdict"]["outputs"][0]["sqnr_db"].as_f64().expect("a figure");
    assert!(told(&report) > 10.0, "{report}");
    // Each call alone has the zeros that a sequence begins with.
    let alone = data(folder.path(), &[&given[..], &state, &["--sequence-length", "1"]].concat());
    assert!(range(&alone, "state").is_none_or(|range| range < 1e-3), "{alone}");
    assert!((told(&alone) - told(&report)).abs() > 0.01);
    let wrong = run(folder.path(), &[&given[..], &["--state", "none:state"]].concat());
    assert!(wrong.code == Some(1) && wrong.error.contains("none is no output"), "{}", wrong.error);
}

/// A table of words, a layer, and the mean over a length that is open.
fn text(folder: &std::path::Path) {
    let mut chance = Chance::new(6);
    let mut graph = GraphBuilder::new(17);
    let ids = graph.typed_input("ids", Dtype::Int64, &[-1, -1]);
    let table = weights(&mut graph, "table", [40, 32], &mut chance);
    let w = weights(&mut graph, "w", [32, 32], &mut chance);
    let x = graph.node("Gather", &[&table, &ids], &[]);
    let y = graph.node("MatMul", &[&x, &w], &[]);
    let y = graph.node("ReduceMean", &[&y], &[attr::ints("axes", &[1])]);
    graph.output(&y);
    let mut model = graph.model();
    // Symbols that differ.
    model.graph_mut().input = vec![value("ids", Dtype::Int64, &[-1, -1])];
    use fourbit::onnx::proto::{tensor_shape_proto::dimension, type_proto};
    if let Some(type_proto::Value::TensorType(tensor)) =
        model.graph_mut().input[0].r#type.as_mut().and_then(|kind| kind.value.as_mut())
    {
        tensor.shape.as_mut().expect("a shape").dim[1].value =
            Some(dimension::Value::DimParam("length".into()));
    }
    write(&model, &folder.join("t.onnx"), false).expect("it is written");
}

#[test]
fn a_text_model_is_judged_without_samples_and_stays_free() {
    let folder = tempfile::tempdir().expect("a folder");
    text(folder.path());
    let asked = ["quantize", "t.onnx", "--precision", "w4", "-o", "o.onnx", "--overwrite"];
    let report = data(folder.path(), &asked);
    let told = |report: &Value| report["verdict"]["outputs"][0]["sqnr_db"].as_f64().expect("a figure");
    assert!(report["verdict"]["state"] == "validated" && told(&report) > 8.0, "{report}");
    let [before, after] =
        ["t.onnx", "o.onnx"].map(|name| read(&folder.path().join(name)).expect("it is read"));
    assert_eq!(before.graph().input, after.graph().input);
    let other = data(folder.path(), &[&asked[..], &["--sample-shape", "ids:2x3"]].concat());
    assert!((told(&other) - told(&report)).abs() > 1e-6);
    let wrong = run(folder.path(), &[&asked[..], &["--sample-shape", "no:2x3"]].concat());
    assert!(
        wrong.error.contains("--sample-shape no") || wrong.out.contains("--sample-shape no"),
        "{}",
        wrong.error
    );
}

#[test]
fn samples_of_many_lengths_are_files_of_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    text(folder.path());
    std::fs::create_dir(folder.path().join("many")).expect("a folder");
    let mut chance = Chance::new(7);
    for (at, length) in [3usize, 7, 12, 5, 9, 1, 20, 4, 6, 8].into_iter().enumerate() {
        let ids: Vec<i64> = (0..length).map(|_| chance.below(40)).collect();
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let array = super::npy("<i8", &[1, length], &bytes);
        npz(&folder.path().join(format!("many/{at}.npz")), &[("ids", array)]);
    }
    let asked = ["quantize", "t.onnx", "--precision", "w4", "--calibration", "many", "-o", "o.onnx"];
    let report = data(folder.path(), &asked);
    assert_eq!((&report["calibration"]["samples"], &report["verdict"]["samples"]), (&10.into(), &10.into()));
}

#[test]
fn what_lies_in_front_of_an_end_that_cannot_be_run_is_judged() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut chance = Chance::new(8);
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[1, 4, 8, 8]);
    let kernel: Vec<f32> = (0..4 * 4 * 9).map(|_| 0.3 * chance.normal()).collect();
    let w = graph.initializer(tensor_f32("w", &[4, 4, 3, 3], &kernel));
    let map = graph.node("Conv", &[&x, &w], &[attr::ints("pads", &[1; 4])]);
    let boxes = graph.initializer(tensor_f32("boxes", &[1, 4], &[0.0, 0.0, 4.0, 4.0]));
    let which = graph.initializer(tensor_i64("which", &[1], &[0]));
    let y = graph.node("RoiAlign", &[&map, &boxes, &which], &[attr::int("output_height", 2)]);
    graph.output(&y);
    write(&graph.model(), &folder.path().join("r.onnx"), false).expect("it is written");
    let report = data(folder.path(), &["quantize", "r.onnx", "--precision", "w4"]);
    assert_eq!(
        (&report["verdict"]["state"], &report["verdict"]["outputs"][0]["name"]),
        (&"validated".into(), &map.into())
    );
    let said = report["warnings"].to_string();
    assert!(said.contains("the end of the model was not run") && said.contains("RoiAlign"), "{said}");
}
