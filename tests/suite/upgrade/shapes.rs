//! Moving, cutting, gathering, scattering, sorting.

use fourbit::onnx::build::node;
use fourbit::onnx::{Dtype, attr, tensor, tensor_f32, tensor_i64};

use super::cases::{Cases, as_float, floats, integers};

pub(super) fn shapes(cases: &mut Cases) {
    cases.one("Reshape", 7, &[2, 3, 4], &[integers("shape", &[0, -1])], &[]);
    cases.one("Unsqueeze", 7, &[2, 3], &[], &[attr::ints("axes", &[0, 3])]);
    cases.one("Unsqueeze", 11, &[2, 3], &[], &[attr::ints("axes", &[-1])]);
    cases.one("Squeeze", 7, &[1, 2, 1], &[], &[attr::ints("axes", &[2])]);
    cases.one("Concat", 7, &[2, 3], &[tensor_f32("b", &[2, 1], &[1.0, 2.0])], &[attr::int("axis", 1)]);
    for opset in [7, 9] {
        let cut = [attr::ints("starts", &[1, -3]), attr::ints("ends", &[i64::from(i32::MAX), -1])];
        cases.one("Slice", opset, &[4, 5, 6], &[], &cut);
        cases.one("Slice", opset, &[4, 5, 6], &[], &[&cut[..], &[attr::ints("axes", &[2, 0])]].concat());
    }
    cases.one("Slice", 10, &[4, 6], &[integers("starts", &[1]), integers("ends", &[9])], &[]);
    for mode in ["constant", "reflect", "edge"] {
        let pads = [attr::string("mode", mode), attr::ints("pads", &[0, 1, 2, 1])];
        cases.one("Pad", 7, &[3, 4], &[], &pads);
        cases.one("Pad", 10, &[3, 4], &[], &[&pads[..], &[attr::float("value", 1.5)]].concat());
        cases.one("Pad", 11, &[3, 4], &[integers("pads", &[0, 1, 2, 1])], &pads[..1]);
    }
    for (name, opset, attributes, rest) in [
        ("Split equal", 7, vec![], vec![]),
        ("Split given", 7, vec![attr::ints("split", &[3, 1])], vec![]),
        ("Split equal", 13, vec![], vec![]),
        ("Split given", 13, vec![], vec![integers("split", &[1, 3])]),
    ] {
        cases.add(name, opset, move |graph| {
            let mut inputs = vec![graph.input("x", &[2, 4])];
            inputs.extend(rest.iter().map(|tensor| graph.initializer(tensor.clone())));
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let attributes = [&attributes[..], &[attr::int("axis", 1)]].concat();
            graph.push(node("Split", "split", &inputs, &["a", "b"], &attributes));
            vec!["a".into(), "b".into()]
        });
    }
    for operator in ["Shape", "Size"] {
        cases.add(operator, 7, move |graph| {
            let x = graph.input("x", &[2, 3]);
            let y = graph.node(operator, &[&x], &[]);
            vec![as_float(graph, &y)]
        });
    }
    cases.one("Expand", 8, &[1, 3], &[integers("shape", &[2, 1])], &[]);
    cases.one("Tile", 7, &[2, 3], &[integers("repeats", &[2, 1])], &[]);
    cases.one("DepthToSpace", 7, &[1, 8, 2, 2], &[], &[attr::int("blocksize", 2)]);
    cases.one("EyeLike", 9, &[3, 4], &[], &[]);
    cases.add("ConstantOfShape", 9, |graph| {
        let x = graph.input("x", &[2, 3]);
        let shape = graph.node("Shape", &[&x], &[]);
        let ones = graph.node("ConstantOfShape", &[&shape], &[attr::tensor("value", floats("", &[1.0]))]);
        vec![graph.node("Add", &[&x, &ones], &[])]
    });
    cases.add("Constant", 7, |graph| {
        let x = graph.input("x", &[2]);
        let kept = graph.node("Constant", &[], &[attr::tensor("value", floats("", &[1.0, 2.0]))]);
        let sum = graph.node("Add", &[&x, &kept], &[]);
        vec![sum, kept]
    });
    cases.add("Range", 11, |graph| {
        let x = graph.input("x", &[]);
        let [start, step] =
            [("start", 0.0), ("step", 0.5)].map(|(name, v)| graph.initializer(tensor_f32(name, &[], &[v])));
        let limit = graph.node("Abs", &[&x], &[]);
        vec![graph.node("Range", &[&start, &limit, &step], &[])]
    });
}

pub(super) fn selection(cases: &mut Cases) {
    cases.one("Gather", 7, &[4, 3], &[integers("at", &[2, 0])], &[attr::int("axis", 0)]);
    cases.one(
        "GatherElements",
        11,
        &[2, 2],
        &[tensor_i64("at", &[2, 2], &[0, 1, -1, 0])],
        &[attr::int("axis", 1)],
    );
    cases.one("GatherND", 11, &[2, 3], &[tensor_i64("at", &[2, 2], &[0, 1, 1, 2])], &[]);
    let updates = || [tensor_i64("at", &[1, 2], &[0, 2]), tensor_f32("new", &[1, 2], &[9.0, 8.0])];
    cases.one("Scatter", 9, &[3, 3], &updates(), &[attr::int("axis", 1)]);
    cases.one("ScatterElements", 11, &[3, 3], &updates(), &[attr::int("axis", 1)]);
    cases.one("ScatterND", 11, &[3, 3], &[tensor_i64("at", &[1, 2], &[0, 2]), floats("new", &[9.0])], &[]);
    cases.one(
        "Compress",
        9,
        &[3, 2],
        &[tensor("on", Dtype::Bool, &[3], vec![1, 0, 1])],
        &[attr::int("axis", 0)],
    );
    cases.one("ReverseSequence", 10, &[4, 2], &[integers("lengths", &[2, 4])], &[]);
    cases.one("CumSum", 11, &[2, 3], &[tensor_i64("axis", &[], &[1])], &[]);
    for (opset, k, rest) in [(7, vec![attr::int("k", 2)], vec![]), (10, vec![], vec![integers("k", &[2])])] {
        cases.add("TopK", opset, move |graph| {
            let mut inputs = vec![graph.input("x", &[2, 5])];
            inputs.extend(rest.iter().map(|tensor| graph.initializer(tensor.clone())));
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            graph.push(node("TopK", "top", &inputs, &["values", "indices"], &k));
            vec!["values".into(), as_float(graph, "indices")]
        });
    }
    for (operator, opset) in
        [("ArgMax", 7), ("ArgMin", 7), ("ArgMax", 11), ("NonZero", 9), ("IsNaN", 9), ("IsInf", 10)]
    {
        cases.add(operator, opset, move |graph| {
            let x = graph.input("x", &[3, 4]);
            // Rounded, so that there are ties.
            let floor = graph.node("Floor", &[&x], &[]);
            let y = graph.node(operator, &[&floor], &[]);
            vec![as_float(graph, &y)]
        });
    }
    cases.add("OneHot", 9, |graph| {
        let x = graph.typed_input("x", Dtype::Int64, &[4]);
        let depth = graph.initializer(integers("depth", &[3]));
        let values = graph.initializer(floats("values", &[-1.0, 2.0]));
        vec![graph.node("OneHot", &[&x, &depth, &values], &[])]
    });
    cases.add("Where Equal", 9, |graph| {
        let (a, b) = (graph.typed_input("a", Dtype::Int64, &[6]), graph.typed_input("b", Dtype::Int64, &[6]));
        let (x, y) = (graph.input("x", &[6]), graph.input("y", &[6]));
        let equal = graph.node("Equal", &[&a, &b], &[]);
        vec![graph.node("Where", &[&equal, &x, &y], &[])]
    });
    cases.add("NonMaxSuppression", 10, |graph| {
        let (boxes, scores) = (graph.input("boxes", &[1, 6, 4]), graph.input("scores", &[1, 2, 6]));
        let most = graph.initializer(integers("most", &[3]));
        let y = graph.node("NonMaxSuppression", &[&boxes, &scores, &most], &[]);
        vec![as_float(graph, &y)]
    });
}
