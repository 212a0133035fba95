//! tract up to 0.23.9 lends a convolution the strides of one behind it, and pads "to the same size" anew.

use crate::onnx::build::GraphBuilder;
use crate::onnx::{attr, tensor_f32};
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
