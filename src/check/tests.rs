//! Small graphs, each with one thing that a target does not take.

mod unpacked;

use super::check;
use crate::onnx::build::{GraphBuilder, node};
use crate::onnx::{Dtype, Model, attr, tensor, tensor_f32};
use crate::options::{TARGETS, Target};

/// A MatMul whose weights are INT4 with one scale a column, or in blocks, and zero points if any.
fn product(opset: i64, block: Option<i64>, zero: Option<u8>, domain: &str) -> Model {
    let mut graph = GraphBuilder::new(opset);
    let x = graph.input("x", &[1, 128]);
    graph.initializer(tensor("codes", Dtype::Int4, &[128, 2], vec![0x21; 128]));
    let dims: Vec<i64> = block.map_or(vec![2], |size| vec![128 / size, 2]);
    let count = dims.iter().product::<i64>() as usize;
    graph.initializer(tensor_f32("scale", &dims, &vec![0.5; count]));
    let mut inputs = vec!["codes", "scale"];
    if let Some(zero) = zero {
        graph.initializer(tensor("zero", Dtype::Int4, &dims, vec![zero; count.div_ceil(2)]));
        inputs.push("zero");
    }
    let mut attributes = vec![attr::int("axis", i64::from(block.is_none()))];
    attributes.extend(block.map(|size| attr::int("block_size", size)));
    let mut made = node("DequantizeLinear", "dq", &inputs, &["w"], &attributes);
    made.domain = (!domain.is_empty()).then(|| domain.to_owned());
    graph.push(made);
    let y = graph.node("MatMul", &[&x, "w"], &[]);
    graph.output(&y);
    let mut proto = graph.ir_version(10).proto();
    if !domain.is_empty() {
        proto
            .opset_import
            .push(crate::onnx::proto::OperatorSetIdProto { domain: Some(domain.into()), version: Some(1) });
    }
    Model::new(proto).unwrap()
}

fn problems(model: &Model, target: &str) -> String {
    let target: &Target = Target::named(target).unwrap();
    let (findings, quantized) = check(model, target);
    assert_eq!(quantized, 1);
    findings.into_iter().map(|finding| format!("{}: {}\n", finding.node, finding.problem)).collect()
}

#[test]
fn each_target_says_what_it_does_not_take() {
    let channel = product(21, None, None, "");
    let cases = [
        ("generic", ""),
        ("ort-cpu", ""),
        ("openvino", ""),
        ("ort-cpu-int8", "int8 weights only"),
        ("tensorrt", "blocks of 64 to 128"),
        ("qnn-htp", "with uint8 activations"),
        ("tract", "int8, uint8 weights only"),
        ("directml", "zero points"),
    ];
    for (target, words) in cases {
        let found = problems(&channel, target);
        assert!(found.contains(words) && found.is_empty() == words.is_empty(), "{target}: {found}");
    }
}

#[test]
fn blocks_zero_points_and_spellings() {
    assert_eq!(problems(&product(21, Some(64), None, ""), "tensorrt"), "");
    let found = problems(&product(21, Some(64), Some(0x11), ""), "tensorrt");
    assert!(found.contains("zero points of 0"), "{found}");
    let found = problems(&product(21, Some(32), None, ""), "tensorrt");
    assert!(found.contains("not by block:32"), "{found}");
    let found = problems(&product(17, None, None, ""), "ort-cpu");
    assert!(found.contains("from opset 21 on"), "{found}");
    assert_eq!(problems(&product(17, None, None, "com.microsoft"), "ort-cpu"), "");
    let found = problems(&product(17, None, None, "com.microsoft"), "tensorrt");
    assert!(found.contains("domain com.microsoft"), "{found}");
    let found = problems(&product(21, Some(32), None, "com.microsoft"), "ort-cpu");
    assert!(found.contains("blocks"), "{found}");
}

#[test]
fn what_breaks_a_definition_is_told_first_whatever_the_target_refuses() {
    let mut model = product(21, None, None, "");
    model.graph_mut().node[0].attribute.push(attr::int("no_such_thing", 1));
    for target in ["generic", "ort-cpu-int8", "tract"] {
        let found = problems(&model, target);
        let lines: Vec<&str> = found.lines().collect();
        assert!(lines[0].starts_with("dq: ") && lines[0].contains("no_such_thing"), "{target}: {found}");
        assert!(target == "generic" || lines.iter().any(|line| line.contains("weights only")), "{found}");
    }
}

#[test]
fn a_float_model_has_nothing_quantized_and_no_findings() {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[1, 4]);
    let w = graph.weights("w", &[4, 4]);
    let y = graph.node("MatMul", &[&x, &w], &[]);
    graph.output(&y);
    let model = graph.model();
    for target in TARGETS {
        assert_eq!(check(&model, target), (Vec::new(), 0), "{}", target.name);
    }
}

/// A MatMul of an INT8 activation pair with the weights `[4, 2]` given.
fn eight(weights: &[i8], dims: &[i64], activation: bool) -> Model {
    let mut graph = GraphBuilder::new(21);
    let mut x = graph.input("x", &[1, dims[0]]);
    if activation {
        graph.initializer(tensor_f32("step", &[], &[0.5]));
        graph.initializer(tensor("middle", Dtype::Uint8, &[], vec![128]));
        x = graph.node("QuantizeLinear", &[&x, "step", "middle"], &[]);
        x = graph.node("DequantizeLinear", &[&x, "step", "middle"], &[]);
    }
    let bytes: Vec<u8> = weights.iter().map(|&code| code as u8).collect();
    graph.initializer(tensor("codes", Dtype::Int8, dims, bytes));
    graph.initializer(tensor_f32("scale", &[dims[1]], &vec![0.5; dims[1] as usize]));
    let w = graph.node("DequantizeLinear", &["codes", "scale"], &[attr::int("axis", 1)]);
    let y = graph.node("MatMul", &[&x, &w], &[]);
    graph.output(&y);
    graph.ir_version(10).model()
}

#[test]
fn codes_whose_products_can_saturate_are_noted_and_not_refused() {
    let found = |model: &Model, target: &str| {
        let (findings, _) = check(model, Target::named(target).unwrap());
        assert!(findings.iter().all(|finding| !finding.refused && finding.saturates), "{findings:?}");
        findings.len()
    };
    // The two largest of either column come to 128, those of a row to more.
    let safe = [100, 100, 28, -28, 1, 2, -28, 0];
    let large = [100, 100, 28, -29, 1, 2, -28, 0];
    for target in ["generic", "ort-cpu", "openvino"] {
        assert_eq!(found(&eight(&safe, &[4, 2], true), target), 0, "{target}");
        assert_eq!(found(&eight(&large, &[4, 2], true), target), 1, "{target}");
        assert_eq!(found(&eight(&large, &[4, 2], false), target), 0, "{target}: float activations");
    }
    assert_eq!(found(&eight(&large, &[4, 2], true), "tract"), 0);
}
