use super::dump::golden;
use super::*;
use crate::onnx::proto::TensorProto;
use crate::onnx::{floats, integers, tensor};
use crate::options::Storage;
use crate::rewrite::{Dialect, apply, lower};

fn initializer<'m>(model: &'m Model, name: &str) -> &'m TensorProto {
    model.graph().initializer.iter().find(|tensor| tensor.name() == name).unwrap()
}

#[test]
fn every_storage_folds_to_the_planned_weights() {
    for code_type in [CodeType::Int4, CodeType::Uint4, CodeType::Int8, CodeType::Uint8] {
        for axis in [None, Some(0), Some(3)] {
            let model = conv();
            let mut decision = weight(&model, "w", code_type, axis, &[(0, 1)]);
            decision.terms[0].zero_points.iter_mut().enumerate().for_each(|(at, zero)| *zero = at as i16 + 2);
            decision.terms[0].scales.iter_mut().for_each(|scale| *scale *= 0.3);
            let group = |at: usize| match axis {
                None => 0,
                Some(0) => at / 2,
                _ => at % 2,
            };
            let codes = decision.terms[0].codes.iter().enumerate();
            let expected = codes.map(|(at, code)| {
                let (scale, zero) =
                    (decision.terms[0].scales[group(at)], decision.terms[0].zero_points[group(at)]);
                (scale * f32::from(code - zero)).to_bits()
            });
            let expected: Vec<u32> = expected.collect();
            let plan = plan(vec![Decision::Weight(decision)]);
            let shipped = apply(&model, &plan, None).unwrap();
            assert_eq!(lower(&shipped, Dialect::Int4).unwrap(), shipped);
            let wide = apply(&model, &Plan { storage: Storage::Int8, ..plan }, None).unwrap();
            for form in [&shipped, &wide] {
                let folded = lower(form, Dialect::Folded).unwrap();
                let bits: Vec<u32> =
                    floats(initializer(&folded, "w")).unwrap().into_iter().map(f32::to_bits).collect();
                assert_eq!(bits, expected, "{code_type} {axis:?}");
                assert_eq!(folded.graph().node, model.graph().node);
                assert_eq!(folded.graph().initializer.len(), 2, "nothing dead");
            }
        }
    }
}

#[test]
fn captured_weights_in_every_dialect() {
    let model = captured();
    let decision = weight(&model, "w", CodeType::Int4, Some(0), &[(2, 1)]);
    let plan = plan(vec![Decision::Weight(decision)]);
    let shipped = apply(&model, &plan, None).unwrap();
    golden("captured_int8", &apply(&model, &Plan { storage: Storage::Int8, ..plan }, None).unwrap());
    golden("captured_folded", &lower(&shipped, Dialect::Folded).unwrap());
}

/// DequantizeLinear of `codes` alone.
fn lone(
    codes: TensorProto,
    scale: TensorProto,
    zero: Option<TensorProto>,
    attributes: &[(&str, i64)],
) -> Model {
    let mut graph = GraphBuilder::new(21);
    let mut inputs = vec![graph.initializer(codes), graph.initializer(scale)];
    inputs.push(zero.map_or(String::new(), |zero| graph.initializer(zero)));
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let attributes: Vec<_> = attributes.iter().map(|&(name, value)| attr::int(name, value)).collect();
    graph.push(node("DequantizeLinear", "dq", &inputs, &["w"], &attributes));
    graph.push(node("Relu", "relu", &["w"], &["y"], &[]));
    graph.output("y");
    graph.model()
}

fn bytes(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>() as u8;
    tensor(name, Dtype::Int8, dims, (1..=count).collect::<Vec<u8>>())
}

#[test]
fn blocks_negative_axes_and_halves() {
    let scale = tensor_f32("s", &[2, 2], &[1.0, 10.0, 100.0, 1000.0]);
    let model = lone(bytes("q", &[2, 3]), scale, None, &[("axis", -1), ("block_size", 2)]);
    let folded = lower(&model, Dialect::Folded).unwrap();
    assert_eq!(floats(initializer(&folded, "w")).unwrap(), [1.0, 2.0, 30.0, 400.0, 500.0, 6000.0]);

    let scale = tensor_f32("s", &[2, 2], &[1.0, 10.0, 100.0, 1000.0]);
    let model = lone(bytes("q", &[3, 2]), scale, None, &[("axis", 0), ("block_size", 2)]);
    let folded = lower(&model, Dialect::Folded).unwrap();
    assert_eq!(floats(initializer(&folded, "w")).unwrap(), [1.0, 20.0, 3.0, 40.0, 500.0, 6000.0]);

    let third = half::f16::from_f32(1.0 / 3.0);
    let scale = tensor("s", Dtype::Float16, &[], third.to_le_bytes().to_vec());
    let codes = tensor("q", Dtype::Int32, &[1], 1001i32.to_le_bytes().to_vec());
    let zero = tensor("z", Dtype::Int32, &[], 1i32.to_le_bytes().to_vec());
    let folded = lower(&lone(codes, scale, Some(zero), &[]), Dialect::Folded).unwrap();
    let found = initializer(&folded, "w");
    assert_eq!(found.data_type(), Dtype::Float16 as i32);
    assert_eq!(floats(found).unwrap(), [half::f16::from_f32(1000.0 * third.to_f32()).to_f32()]);
}

#[test]
fn hostile_shapes_are_named() {
    let scale = |dims: &[i64]| {
        let count = dims.iter().product::<i64>() as usize;
        tensor_f32("s", dims, &vec![1.0; count])
    };
    let q = || bytes("q", &[2, 3]);
    let cases = [
        lone(q(), scale(&[2]), None, &[]),
        lone(q(), scale(&[3]), None, &[("axis", 2)]),
        lone(q(), scale(&[3]), None, &[("axis", i64::MIN)]),
        lone(q(), scale(&[2, 3]), None, &[]),
        lone(q(), scale(&[2, 2]), None, &[("axis", 1), ("block_size", 1)]),
        lone(q(), scale(&[2, 1]), None, &[("axis", 1), ("block_size", -3)]),
        lone(q(), scale(&[]), Some(bytes("z", &[2])), &[]),
        lone(q(), scale(&[]), Some(tensor("z", Dtype::Uint8, &[], vec![0])), &[]),
    ];
    for model in cases {
        let error = lower(&model, Dialect::Folded).unwrap_err().to_string();
        assert!(error.starts_with("node dq: "), "{error}");
    }
    for dims in [&[-2, 3][..], &[i64::MAX, i64::MAX], &[4]] {
        let codes = TensorProto { dims: dims.to_vec(), ..q() };
        let error = lower(&lone(codes, scale(&[]), None, &[]), Dialect::Folded).unwrap_err().to_string();
        assert!(error.starts_with("tensor q: "), "{error}");
    }
    let empty = TensorProto { dims: vec![0, i64::MAX, i64::MAX], ..bytes("q", &[0]) };
    let model = lone(empty, scale(&[0]), None, &[("axis", 0)]);
    assert!(floats(initializer(&lower(&model, Dialect::Folded).unwrap(), "w")).unwrap().is_empty());
}

#[test]
fn four_bit_constants_widen_and_rounding_to_four_bits_is_refused() {
    let constant = |name: &str| {
        let packed = tensor("", Dtype::Int4, &[3], vec![0xe1, 0x07]);
        let attribute = crate::onnx::proto::AttributeProto {
            t: Some(packed),
            i: None,
            r#type: Some(crate::onnx::proto::attribute_proto::AttributeType::Tensor as i32),
            ..attr::int("value", 0)
        };
        node("Constant", name, &[], &[name], &[attribute])
    };
    let mut graph = GraphBuilder::new(21);
    graph.push(constant("c"));
    let y = graph.node("Cast", &["c"], &[attr::int("to", 1)]);
    graph.output(&y);
    let mut model = graph.model();
    model.graph_mut().value_info = vec![crate::onnx::build::value("c", Dtype::Int4, &[3])];
    let wide = lower(&model, Dialect::Folded).unwrap();
    let held = wide.graph().node[0].attribute[0].t.as_ref().unwrap();
    assert_eq!((held.data_type(), integers(held).unwrap()), (Dtype::Int8 as i32, vec![1, -2, 7]));
    assert!(wide.graph().value_info.is_empty());

    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1]);
    let s = graph.initializer(tensor_f32("s", &[], &[1.0]));
    let z = graph.initializer(tensor("z", Dtype::Uint4, &[], vec![8]));
    let q = graph.node("QuantizeLinear", &[&x, &s, &z], &[]);
    let y = graph.node("DequantizeLinear", &[&q, &s, &z], &[]);
    graph.output(&y);
    let model = graph.model();
    golden("rounded", &lower(&model, Dialect::Folded).unwrap());
}

/// QuantizeLinear and DequantizeLinear of INT8, changed by `change` before they are lowered:
/// whether they are still there then.
fn stays(opset: i64, change: impl FnOnce(&mut Model)) -> bool {
    let mut graph = GraphBuilder::new(opset);
    let x = graph.input("x", &[2]);
    let s = graph.initializer(tensor_f32("s", &[], &[0.3]));
    let z = graph.initializer(tensor("z", Dtype::Int8, &[], vec![5]));
    let other = graph.initializer(tensor("other", Dtype::Int8, &[], vec![6]));
    let q = graph.node("QuantizeLinear", &[&x, &s, &z], &[]);
    let y = graph.node("DequantizeLinear", &[&q, &s, &z], &[]);
    graph.push(node("Identity", "last", &[&y], &["end"], &[]));
    graph.output("end");
    let mut model = graph.model();
    model.graph_mut().value_info = vec![
        crate::onnx::build::value(&q, Dtype::Int8, &[2]),
        crate::onnx::build::value(&y, Dtype::Float, &[2]),
    ];
    change(&mut model);
    let view = lower(&model, Dialect::Folded).unwrap();
    let there = |operator: &str| view.graph().node.iter().any(|node| node.op_type() == operator);
    assert_eq!(there("QuantizeLinear"), there("DequantizeLinear"));
    assert_eq!(view.graph().value_info.len(), if there("QuantizeLinear") { 2 } else { 1 });
    let kept =
        [&other, &s].into_iter().filter(|name| view.graph().initializer.iter().any(|it| it.name() == *name));
    assert_eq!(kept.count(), if there("QuantizeLinear") { 2 } else { 1 }, "nothing dead, nothing else gone");
    there("QuantizeLinear")
}

#[test]
fn only_plain_rounding_is_spelled_in_floats() {
    assert!(!stays(21, |_| {}));
    assert!(!stays(13, |_| {}));
    assert!(!stays(10, |_| {}), "opset 10 has no Round, but additions");
    assert!(stays(21, |model| model.graph_mut().node[1].input[2] = "other".into()));
    assert!(stays(21, |model| model.graph_mut().node[1].input[1] = "x".into()));
    assert!(stays(21, |model| model.graph_mut().node[0].domain = Some("com.example".into())));
    assert!(!stays(20, |model| {
        for node in &mut model.graph_mut().node[..2] {
            node.domain = Some("com.microsoft".into());
        }
    }));
    assert!(stays(21, |model| model.graph_mut().node[0].attribute.push(attr::int("block_size", 2))));
    assert!(
        stays(21, |model| model.graph_mut().input[0] = crate::onnx::build::value("x", Dtype::Double, &[2]))
    );
    assert!(stays(21, |model| {
        let codes = model.graph().node[0].output[0].clone();
        model.graph_mut().node[2].input[0] = codes;
    }));
    assert!(stays(21, |model| {
        let codes = model.graph().node[0].output[0].clone();
        model.graph_mut().output.push(crate::onnx::build::value(&codes, Dtype::Int8, &[2]));
    }));
}
