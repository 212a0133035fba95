//! tract up to 0.23.7 read only the first scale of a per-axis DequantizeLinear. An upgrade must not
//! bring that back.

use crate::onnx::build::GraphBuilder;
use crate::onnx::proto::AttributeProto;
use crate::onnx::{Dtype, attr, tensor, tensor_f32};
use crate::runtime::Session;

/// Runs `operator` on weights of `dims`, once dequantized by tract along `axis` and once by hand.
#[track_caller]
fn check(operator: &str, x: &[i64], dims: &[i64], axis: usize, attributes: &[AttributeProto]) {
    let count = dims.iter().product::<i64>() as usize;
    let inner = dims[axis + 1..].iter().product::<i64>() as usize;
    let channels = dims[axis] as usize;
    let codes: Vec<i8> = (0..count).map(|at| ((at * 37 + 5) % 15) as i8 - 7).collect();
    let scales: Vec<f32> = (0..channels).map(|channel| 0.01 * 3f32.powi(channel as i32)).collect();
    let by_hand: Vec<f32> =
        codes.iter().enumerate().map(|(at, &code)| f32::from(code) * scales[at / inner % channels]).collect();
    let build = |dequantized: bool| {
        let mut graph = GraphBuilder::new(21);
        let input = graph.input("x", x);
        let weights = if dequantized {
            let raw: Vec<u8> = codes.iter().map(|&code| code as u8).collect();
            let codes = graph.initializer(tensor("codes", Dtype::Int8, dims, raw));
            let scales = graph.initializer(tensor_f32("scales", &[channels as i64], &scales));
            graph.node("DequantizeLinear", &[&codes, &scales], &[attr::int("axis", axis as i64)])
        } else {
            graph.initializer(tensor_f32("w", dims, &by_hand))
        };
        let y = graph.node(operator, &[&input, &weights], attributes);
        graph.output(&y);
        graph.model()
    };
    let size = x.iter().product::<i64>() as usize;
    let values: Vec<f32> = (0..size).map(|at| (at as f32 * 0.9).cos()).collect();
    let input = [tensor_f32("x", x, &values)];
    let run = |dequantized| Session::new(&build(dequantized), "test", &[]).unwrap().run(&input).unwrap();
    let (seen, expected) = (run(true), run(false));
    assert_eq!(seen[0].dims, expected[0].dims);
    let largest = expected[0].values.iter().fold(0f32, |most, value| most.max(value.abs()));
    for (seen, expected) in seen[0].values.iter().zip(&expected[0].values) {
        assert!((seen - expected).abs() <= largest * 1e-6, "{seen} is not {expected}");
    }
}

#[test]
fn each_channel_has_its_own_scale() {
    check("Conv", &[1, 3, 5, 5], &[4, 3, 3, 3], 0, &[]);
    check("Conv", &[1, 4, 5, 5], &[4, 1, 3, 3], 0, &[attr::int("group", 4)]);
    check("Gemm", &[2, 5], &[4, 5], 0, &[attr::int("transB", 1)]);
    check("MatMul", &[2, 5], &[5, 4], 1, &[]);
    check("MatMul", &[2, 4], &[4, 4], 1, &[]);
    check("ConvTranspose", &[1, 3, 4, 4], &[3, 4, 3, 3], 1, &[]);
}

#[test]
fn grouped_conv_transpose_too() {
    check("ConvTranspose", &[1, 4, 4, 4], &[4, 3, 2, 2], 1, &[attr::int("group", 2)]);
}
