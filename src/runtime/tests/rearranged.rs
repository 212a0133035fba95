//! Graphs that tract 0.23.9 rearranges into others: it lends a convolution the strides of one behind it and pads "to the same size"
//! anew, forgets where the steps of a Slice begin, exchanges the sides of a subtraction, and makes a table of a Softmax.

use crate::onnx::build::GraphBuilder;
use crate::onnx::{Model, attr, tensor_f32, tensor_i64};
use crate::runtime::Session;

#[test]
fn same_padding_does_not_depend_on_strides_further_on() {
    for (mode, pads) in [("SAME_UPPER", [0, 0, 1, 1]), ("SAME_LOWER", [1, 1, 0, 0])] {
        let run = |padding| {
            let mut graph = GraphBuilder::new(21);
            let x = graph.input("x", &[1, 2, 6, 6]);
            let (v, w) = (graph.weights("v", &[2, 2, 2, 2]), graph.weights("w", &[3, 2, 1, 1]));
            let y = graph.node("Conv", &[&x, &v], &[padding]);
            let y = graph.node("Relu", &[&y], &[]);
            let y = graph.node("Conv", &[&y, &w], &[attr::ints("strides", &[2, 2])]);
            graph.output(&y);
            let values: Vec<f32> = (0..72).map(|at| (at as f32 * 0.9).cos()).collect();
            let session = Session::new(&graph.model(), "test", &[]).unwrap();
            session.run(&[tensor_f32("x", &[1, 2, 6, 6], &values)]).unwrap().remove(0)
        };
        let (named, spelled) = (run(attr::string("auto_pad", mode)), run(attr::ints("pads", &pads)));
        assert_eq!(named.dims, spelled.dims);
        for (named, spelled) in named.values.iter().zip(&spelled.values) {
            assert!((named - spelled).abs() < 1e-6, "{mode}: {named} is not {spelled}");
        }
    }
}

/// What `model` makes of one input of 1 x 2 x 6 x 6.
fn run(model: &Model) -> Vec<f32> {
    let values: Vec<f32> = (0..72).map(|at| (at as f32 * 0.9).cos()).collect();
    let session = Session::new(model, "test", &[]).unwrap();
    session.run(&[tensor_f32("x", &[1, 2, 6, 6], &values)]).unwrap().remove(0).values
}

/// A convolution, and what `more` puts behind it.
fn convolved(more: impl Fn(&mut GraphBuilder, &str) -> String) -> Vec<f32> {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[1, 2, 6, 6]);
    let w = graph.weights("w", &[2, 2, 3, 3]);
    let y = graph.node("Conv", &[&x, &w], &[attr::ints("pads", &[1, 1, 1, 1])]);
    let y = more(&mut graph, &y);
    graph.output(&y);
    run(&graph.model())
}

#[test]
fn steps_begin_where_the_slice_does() {
    let whole = convolved(|graph, y| graph.node("Identity", &[y], &[]));
    let stepped = convolved(|graph, y| {
        let [start, end, axis, step] = [("start", 1), ("end", 100), ("axis", 3), ("step", 2)]
            .map(|(name, value)| graph.initializer(tensor_i64(name, &[1], &[value])));
        graph.node("Slice", &[y, &start, &end, &axis, &step], &[])
    });
    let wanted: Vec<f32> = whole.chunks(6).flat_map(|row| [row[1], row[3], row[5]]).collect();
    assert_eq!(stepped, wanted);
}

#[test]
fn constants_on_the_left_stay_there() {
    let whole = convolved(|graph, y| graph.node("Identity", &[y], &[]));
    for (operator, of) in [("Sub", (|c, y| c - y) as fn(f32, f32) -> f32), ("Div", |c, y| c / y)] {
        let found = convolved(|graph, y| {
            let c = graph.initializer(tensor_f32("c", &[1, 2, 1, 1], &[0.5, 2.0]));
            graph.node(operator, &[&c, y], &[])
        });
        let wanted = whole.iter().enumerate().map(|(at, &y)| of(if at < 36 { 0.5 } else { 2.0 }, y));
        assert!(
            found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() <= 1e-5 * wanted.abs())
        );
    }
}

#[test]
fn softmax_between_rounded_values_is_one() {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 2, 6, 6]);
    let s = graph.initializer(tensor_f32("s", &[], &[0.01]));
    let q = graph.node("QuantizeLinear", &[&x, &s], &[]);
    let d = graph.node("DequantizeLinear", &[&q, &s], &[]);
    let p = graph.node("Softmax", &[&d], &[]);
    let q = graph.node("QuantizeLinear", &[&p, &s], &[]);
    let y = graph.node("DequantizeLinear", &[&q, &s], &[]);
    graph.output(&y);
    for row in run(&graph.model()).chunks(6) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 0.04, "{row:?}");
    }
}
