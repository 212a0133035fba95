//! What tract does with the forms that quantized models take. An upgrade of tract that changes any
//! of it is noticed here.

use super::{Session, faults};
use crate::onnx::attr;
use crate::onnx::build::GraphBuilder;
use crate::onnx::{Dtype, Model, tensor, tensor_f32};

fn ramp(count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 7) % 11) as f32 - 5.0).collect()
}

/// `operator` on `x` and per-axis INT8 weights of unequal scales, and on the same weights as float.
fn pair(
    operator: &str,
    x: &[i64],
    w: &[i64],
    axis: usize,
    attributes: &[crate::onnx::proto::AttributeProto],
) -> [Model; 2] {
    let count = w.iter().product::<i64>() as usize;
    let codes: Vec<i8> = (0..count).map(|at| ((at * 5) % 15) as i8 - 7).collect();
    let scales: Vec<f32> = (0..w[axis]).map(|at| 0.1 * (at + 1) as f32).collect();
    let inner: usize = w[axis + 1..].iter().product::<i64>() as usize;
    let decoded: Vec<f32> = codes
        .iter()
        .enumerate()
        .map(|(at, &code)| f32::from(code) * scales[at / inner % scales.len()])
        .collect();
    [true, false].map(|quantized| {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", x);
        let weights = if quantized {
            let raw: Vec<u8> = codes.iter().map(|&code| code as u8).collect();
            let q = graph.initializer(tensor("q", Dtype::Int8, w, raw));
            let s = graph.initializer(tensor_f32("s", &[w[axis]], &scales));
            graph.node("DequantizeLinear", &[&q, &s], &[attr::int("axis", axis as i64)])
        } else {
            graph.initializer(tensor_f32("w", w, &decoded))
        };
        let y = graph.node(operator, &[&x, &weights], attributes);
        graph.output(&y);
        graph.model()
    })
}

#[test]
fn every_channel_has_its_own_scale() {
    let cases = [
        pair("Conv", &[1, 4, 5, 5], &[3, 4, 3, 3], 0, &[]),
        pair("Conv", &[1, 4, 5, 5], &[4, 1, 3, 3], 0, &[attr::int("group", 4)]),
        pair("ConvTranspose", &[1, 4, 3, 3], &[4, 3, 2, 2], 1, &[]),
        pair("ConvTranspose", &[1, 4, 3, 3], &[4, 3, 2, 2], 1, &[attr::int("group", 2)]),
        pair("MatMul", &[2, 4], &[4, 3], 1, &[]),
        pair("Gemm", &[2, 4], &[3, 4], 0, &[attr::int("transB", 1)]),
        pair("Gemm", &[2, 4], &[4, 3], 1, &[]),
    ];
    for (at, [quantized, float]) in cases.into_iter().enumerate() {
        let dims = crate::onnx::value_shape(&float.graph().input[0]).unwrap().1;
        let dims: Vec<i64> = dims.into_iter().flatten().collect();
        let x = [tensor_f32("x", &dims, &ramp(dims.iter().product::<i64>() as usize))];
        let run =
            |model: &Model| Session::new(model, "tested", &[]).unwrap().run(&x).unwrap().remove(0).values;
        let (got, wanted) = (run(&quantized), run(&float));
        assert!(wanted.iter().any(|value| *value != 0.0));
        for (got, wanted) in got.iter().zip(&wanted) {
            assert!((got - wanted).abs() <= 1e-4 * wanted.abs().max(1.0), "case {at}: {got} {wanted}");
        }
    }
}

#[test]
fn four_bit_constants_are_refused() {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 2]);
    let q = graph.initializer(tensor("q", Dtype::Int4, &[2, 2], vec![0x21, 0x43]));
    let s = graph.initializer(tensor_f32("s", &[], &[0.5]));
    let w = graph.node("DequantizeLinear", &[&q, &s], &[]);
    let y = graph.node("MatMul", &[&x, &w], &[]);
    graph.output(&y);
    let model = graph.model();
    let error = Session::new(&model, "tested", &[]).unwrap_err().to_string();
    assert!(error.contains("tested"), "{error}");
    assert!(!faults(&model).is_empty());
}

#[test]
fn taps_show_what_is_computed() {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 2]);
    let w = graph.initializer(tensor_f32("w", &[2, 2], &[1.0, -1.0, 2.0, -2.0]));
    let product = graph.node("MatMul", &[&x, &w], &[]);
    let relu = graph.node("Relu", &[&product], &[]);
    let y = graph.node("Neg", &[&relu], &[]);
    graph.output(&y);
    let taps = [x.clone(), product.clone(), relu.clone()];
    let session = Session::new(&graph.model(), "tested", &taps).unwrap();
    let mut seen = std::collections::BTreeMap::new();
    let input = [tensor_f32("x", &[1, 2], &[3.0, 4.0])];
    let outputs = session
        .run_tapped(&input, &mut |name, dims, values| {
            seen.insert(name.to_owned(), (dims.to_vec(), values.to_vec()));
        })
        .unwrap();
    assert_eq!(outputs[0].values, [-11.0, 0.0]);
    assert_eq!(seen[&x], (vec![1, 2], vec![3.0, 4.0]));
    assert_eq!(seen[&product], (vec![1, 2], vec![11.0, -11.0]));
    assert_eq!(seen[&relu], (vec![1, 2], vec![11.0, 0.0]));
}

#[test]
fn what_tract_lacks_is_named_and_never_panics() {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 2]);
    let y = graph.node("Det", &[&x], &[]);
    graph.output(&y);
    let model = graph.model();
    let found = faults(&model);
    assert_eq!(found.len(), 1);
    assert!(found[0].problem.contains("Det"), "{}", found[0].problem);
    let input = [tensor_f32("x", &[1, 2], &[3.0, 4.0])];
    assert!(Session::new(&model, "tested", &[]).and_then(|session| session.run(&input)).is_err());
}

#[test]
fn an_unknown_tap_is_an_error() {
    let [model, _] = pair("MatMul", &[2, 4], &[4, 3], 1, &[]);
    assert!(Session::new(&model, "tested", &["nowhere".into()]).unwrap_err().to_string().contains("nowhere"));
}
