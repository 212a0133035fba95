//! Codes that operators unpack, and weights that are float again.

use super::super::check;
use crate::onnx::build::GraphBuilder;
use crate::onnx::proto::StringStringEntryProto;
use crate::onnx::{Dtype, Model, attr, tensor, tensor_f32};
use crate::options::Target;
use crate::plan::{Finding, Stamp};

/// How the weights of [`product`] stand in the file.
#[derive(Clone, Copy, PartialEq)]
enum Held {
    /// INT4 that Cast unpacks to floats.
    Cast,
    /// Bytes with one digit of four bits after the other.
    Bytes,
    /// INT8 that Cast unpacks to floats.
    Wide,
    /// INT4 that becomes INT8 codes behind DequantizeLinear.
    Codes,
    Float,
}

/// A MatMul with weights `[4, 2]`, on a rounded activation where the weights are codes.
fn product(opset: i64, held: Held) -> Model {
    let mut graph = GraphBuilder::new(opset);
    let mut x = graph.input("x", &[1, 4]);
    let float = attr::int("to", Dtype::Float as i64);
    graph.initializer(tensor_f32("scale", &[2], &[0.5, 0.25]));
    graph.initializer(tensor_f32("one", &[], &[1.0]));
    graph.initializer(tensor("int8_zero", Dtype::Int8, &[], vec![0]));
    graph.initializer(tensor("zeros", Dtype::Int8, &[2], vec![0, 0]));
    if held == Held::Codes {
        graph.initializer(tensor("middle", Dtype::Uint8, &[], vec![128]));
        x = graph.node("QuantizeLinear", &[&x, "one", "middle"], &[]);
        x = graph.node("DequantizeLinear", &[&x, "one", "middle"], &[]);
    }
    let w = match held {
        Held::Float => graph.weights("w", &[4, 2]),
        Held::Cast | Held::Codes => {
            graph.initializer(tensor("codes", Dtype::Int4, &[4, 2], vec![0x21; 4]));
            let value = graph.node("Cast", &["codes"], &[float]);
            match held {
                Held::Cast => graph.node("Mul", &[&value, "scale"], &[]),
                _ => {
                    // Codes less 100, so that two of a channel leave the range that is exact.
                    graph.initializer(tensor_f32("hundred", &[], &[100.0]));
                    let value = graph.node("Sub", &[&value, "hundred"], &[]);
                    let value = graph.node("QuantizeLinear", &[&value, "one", "int8_zero"], &[]);
                    let axis = attr::int("axis", 1);
                    graph.node("DequantizeLinear", &[&value, "scale", "zeros"], &[axis])
                }
            }
        }
        Held::Wide => {
            graph.initializer(tensor("codes", Dtype::Int8, &[4, 2], vec![1; 8]));
            let value = graph.node("Cast", &["codes"], &[float]);
            graph.node("Mul", &[&value, "scale"], &[])
        }
        Held::Bytes => {
            graph.initializer(tensor("codes", Dtype::Uint8, &[1, 4], vec![0x21; 4]));
            graph.initializer(tensor_f32("steps", &[2, 1], &[1.0, 1.0 / 16.0]));
            graph.initializer(tensor_f32("base", &[], &[16.0]));
            graph.initializer(tensor_f32("part", &[], &[1.0 / 16.0]));
            graph.initializer(crate::onnx::tensor_i64("dims", &[2], &[4, 2]));
            let bytes = graph.node("Cast", &["codes"], &[float]);
            let value = graph.node("Mul", &[&bytes, "steps"], &[]);
            let value = graph.node("Floor", &[&value], &[]);
            let above = graph.node("Mul", &[&value, "part"], &[]);
            let above = graph.node("Floor", &[&above], &[]);
            let above = graph.node("Mul", &[&above, "base"], &[]);
            let value = graph.node("Sub", &[&value, &above], &[]);
            let value = graph.node("Reshape", &[&value, "dims"], &[]);
            graph.node("Mul", &[&value, "scale"], &[])
        }
    };
    let y = graph.node("MatMul", &[&x, &w], &[]);
    graph.output(&y);
    graph.model()
}

fn found(model: &Model, target: &str) -> (Vec<Finding>, usize) {
    check(model, Target::named(target).unwrap())
}

#[test]
fn each_unpacked_tensor_counts_once_and_only_types_of_four_bits_are_refused() {
    for (held, opset) in [(Held::Cast, 21), (Held::Bytes, 13), (Held::Wide, 13)] {
        for target in ["generic", "ort-cpu", "openvino", "portable", "tract"] {
            let (findings, quantized) = found(&product(opset, held), target);
            assert_eq!(quantized, 1, "{target}");
            let refused = held == Held::Cast && matches!(target, "portable" | "tract");
            assert_eq!(findings.iter().any(|finding| finding.refused), refused, "{target}: {findings:?}");
            let named = findings.iter().any(|finding| finding.problem.contains("no 4-bit types"));
            assert_eq!(named, refused, "{target}: {findings:?}");
        }
        for target in ["tensorrt", "qnn-htp", "directml", "ort-cpu-int8"] {
            let (findings, _) = found(&product(opset, held), target);
            let [note] = findings.as_slice() else { panic!("{target}: {findings:?}") };
            assert!(!note.refused && note.problem.contains("unpacked to floats"), "{target}: {note:?}");
        }
    }
    let (findings, _) = found(&product(13, Held::Cast), "ort-cpu");
    assert!(findings.iter().any(|finding| finding.refused), "Cast knows INT4 from opset 21 on: {findings:?}");
}

#[test]
fn unpacked_codes_behind_dequantizelinear_are_int8_and_can_saturate() {
    let model = product(21, Held::Codes);
    for (target, saturates, refused) in [
        ("generic", 1, 0),
        ("ort-cpu", 1, 0),
        // Activations that are signed, and no types of four bits.
        ("tensorrt", 0, 2),
        ("portable", 1, 1),
    ] {
        let (findings, quantized) = found(&model, target);
        assert_eq!(quantized, 2, "{target}: the weights and the activation");
        let count = |of: fn(&Finding) -> bool| findings.iter().filter(|finding| of(finding)).count();
        let counts = (count(|finding| finding.saturates), count(|finding| finding.refused));
        assert_eq!(counts, (saturates, refused), "{target}: {findings:?}");
    }
}

#[test]
fn weights_that_are_float_again_are_told() {
    let stamped = |held: Held, count: Option<&str>| {
        let mut model = product(21, held);
        let entries =
            [(Stamp::VERSION, Some("0.1.0")), (Stamp::PRECISION, Some("w4")), (Stamp::QUANTIZED, count)];
        let entry = |(key, value): (&str, Option<&str>)| {
            Some(StringStringEntryProto { key: Some(key.into()), value: Some(value?.into()) })
        };
        model.proto.metadata_props = entries.into_iter().filter_map(entry).collect();
        model.bytes_on_disk = 13_100_000;
        found(&model, "ort-cpu").0
    };
    for count in [None, Some("1"), Some("7")] {
        let findings = stamped(Held::Float, count);
        let [finding] = findings.as_slice() else { panic!("{findings:?}") };
        assert!(finding.refused && finding.node.is_empty(), "{finding:?}");
        for words in ["float again", "13.10 MB", "before fourbit"] {
            assert!(finding.problem.contains(words), "{finding:?}");
        }
    }
    assert_eq!(stamped(Held::Float, Some("0")), [], "activations alone were quantized");
    for held in [Held::Cast, Held::Bytes, Held::Wide] {
        assert_eq!(stamped(held, Some("1")), []);
        let findings = stamped(held, Some("3"));
        let [finding] = findings.as_slice() else { panic!("{findings:?}") };
        assert!(!finding.refused && finding.problem.contains("2 of 3"), "{finding:?}");
    }
    assert_eq!(found(&product(21, Held::Float), "ort-cpu"), (Vec::new(), 0), "not written by fourbit");
}
