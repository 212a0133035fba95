use std::collections::BTreeMap;

use crate::onnx::build::GraphBuilder;
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, Model, attr, tensor, tensor_f32, tensor_i64};
use crate::runtime::{Output, Session};

type Seen = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn tapped(model: &Model, taps: &[&str], inputs: &[TensorProto]) -> (Vec<Output>, Seen) {
    let taps: Vec<String> = taps.iter().map(|&tap| tap.into()).collect();
    let session = Session::new(model, "test", &taps).unwrap();
    let mut seen = Seen::new();
    let outputs = session
        .run_tapped(inputs, &mut |name, dims, values| {
            assert!(seen.insert(name.into(), (dims.to_vec(), values.to_vec())).is_none(), "{name} twice");
        })
        .unwrap();
    assert_eq!(outputs, session.run(inputs).unwrap());
    (outputs, seen)
}

/// A chain that optimisation fuses: 1x1 Conv, Relu, then a branch that nothing reads.
fn model() -> Model {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[-1, 2, 1, 2]);
    let w = graph.initializer(tensor_f32("w", &[2, 2, 1, 1], &[1.0, 2.0, -1.0, 0.5]));
    let y = graph.node("Conv", &[&x, &w], &[]);
    let z = graph.node("Relu", &[&y], &[]);
    let unread = graph.node("Neg", &[&z], &[]);
    graph.node("Identity", &[&unread], &[]);
    let half = graph.initializer(tensor_f32("half", &[], &[0.5]));
    let root = graph.node("Sqrt", &[&half], &[]);
    let out = graph.node("Mul", &[&z, &root], &[]);
    graph.output(&out);
    graph.output(&z);
    graph.model()
}

#[test]
fn values_are_those_of_the_graph() {
    let x = tensor_f32("x", &[1, 2, 1, 2], &[1.0, -1.0, 2.0, 3.0]);
    let names = ["x", "conv_0", "relu_1", "neg_2", "identity_3", "half", "sqrt_4", "mul_5", "w", "x"];
    let (outputs, seen) = tapped(&model(), &names, &[x]);
    let square = vec![1, 2, 1, 2];
    assert_eq!(seen.len(), 9);
    assert_eq!(seen["x"], (square.clone(), vec![1.0, -1.0, 2.0, 3.0]));
    assert_eq!(seen["conv_0"], (square.clone(), vec![5.0, 5.0, 0.0, 2.5]));
    assert_eq!(seen["relu_1"], seen["conv_0"]);
    assert_eq!(seen["neg_2"], (square.clone(), vec![-5.0, -5.0, -0.0, -2.5]));
    assert_eq!(seen["identity_3"], seen["neg_2"]);
    assert_eq!(seen["half"], (vec![], vec![0.5]));
    assert_eq!(seen["sqrt_4"], (vec![], vec![0.5f32.sqrt()]));
    assert_eq!(seen["w"].0, [2, 2, 1, 1]);
    assert_eq!(seen["mul_5"].1, outputs[0].values);
    assert_eq!((outputs[0].name.as_str(), outputs[1].name.as_str()), ("mul_5", "relu_1"));
    assert_eq!(outputs[1].values, seen["relu_1"].1);
}

#[test]
fn a_tap_beyond_an_output_is_no_cycle() {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[4]);
    let a = graph.node("Exp", &[&x], &[]);
    let b = graph.node("Neg", &[&a], &[]);
    let c = graph.node("Abs", &[&b], &[]);
    graph.output(&a);
    graph.output(&c);
    graph.node("Sin", &[&c], &[]);
    let x = tensor_f32("x", &[4], &[0.0; 4]);
    let (outputs, seen) = tapped(&graph.model(), &[&b, "sin_3", &a], &[x]);
    assert_eq!(outputs[1].values, [1.0; 4]);
    assert_eq!(seen[&b].1, [-1.0; 4]);
    assert_eq!(seen["sin_3"].1.len(), 4);
}

#[test]
fn samples_may_differ_in_shape() {
    let session = Session::new(&model(), "test", &["relu_1".into()]).unwrap();
    for batch in (1..12).chain([1]) {
        let x = tensor_f32("x", &[batch, 2, 1, 2], &vec![1.0; 4 * batch as usize]);
        let mut dims = vec![];
        session.run_tapped(&[x], &mut |_, seen, _| dims = seen.to_vec()).unwrap();
        assert_eq!(dims, [batch as usize, 2, 1, 2]);
    }
}

#[test]
fn integers_and_booleans_become_floats() {
    let mut graph = GraphBuilder::new(17);
    let x = graph.input("x", &[-1, 3]);
    let shape = graph.node("Shape", &[&x], &[]);
    let zero = graph.initializer(tensor_f32("zero", &[], &[0.0]));
    let positive = graph.node("Greater", &[&x, &zero], &[]);
    let bytes = graph.node("Cast", &[&x], &[attr::int("to", Dtype::Int8 as i64)]);
    let half = graph.node("Cast", &[&x], &[attr::int("to", Dtype::Float16 as i64)]);
    for output in [&shape, &positive, &bytes, &half] {
        graph.output(output);
    }
    let x = tensor_f32("x", &[1, 3], &[-1.0, 0.0, 2.5]);
    let (outputs, seen) = tapped(&graph.model(), &[&shape, &positive], &[x]);
    assert_eq!(outputs[0].values, [1.0, 3.0]);
    assert_eq!(outputs[1].values, [0.0, 0.0, 1.0]);
    assert_eq!(outputs[2].values, [-1.0, 0.0, 2.0]);
    assert_eq!(outputs[3].values, [-1.0, 0.0, 2.5]);
    assert_eq!(seen[&positive].1, outputs[1].values);
}

#[test]
fn inputs_of_other_types_are_fed_as_they_are() {
    let mut graph = GraphBuilder::new(17);
    graph.push(crate::onnx::build::node("Add", "add", &["i", "i"], &["y"], &[]));
    graph.output("y");
    let mut proto = graph.proto();
    let inner = proto.graph.as_mut().unwrap();
    for (dtype, raw) in [(Dtype::Double, 1.5f64.to_le_bytes().to_vec()), (Dtype::Int32, vec![7, 0, 0, 0])] {
        inner.input = vec![crate::onnx::build::value("i", dtype, &[1])];
        let model =
            Model::new(crate::onnx::proto::ModelProto { graph: Some(inner.clone()), ..Default::default() });
        let model = model.unwrap();
        let session = Session::new(&model, "test", &[]).unwrap();
        let sum = session.run(&[tensor("i", dtype, &[1], raw)]).unwrap();
        assert!([3.0, 14.0].contains(&sum[0].values[0]), "{sum:?}");
    }
    let model = self::model();
    let session = Session::new(&model, "test", &[]).unwrap();
    assert!(session.run(&[tensor_i64("x", &[1, 2, 1, 2], &[1; 4])]).is_err(), "the wrong type");
}
