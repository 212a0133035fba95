//! Graphs with control flow, of which the values are known by hand.

use crate::onnx::build::{GraphBuilder, node, value};
use crate::onnx::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::onnx::{Dtype, Model, attr, tensor_f32, tensor_i64, tensor_of};
use crate::runtime::{Output, Session, faults};

fn body(nodes: Vec<NodeProto>, inputs: &[&str], outputs: &[&str], constants: Vec<TensorProto>) -> GraphProto {
    let declared = |name: &&str| ValueInfoProto { name: Some((*name).into()), ..ValueInfoProto::default() };
    GraphProto {
        name: Some("body".into()),
        node: nodes,
        input: inputs.iter().map(declared).collect(),
        output: outputs.iter().map(declared).collect(),
        initializer: constants,
        ..GraphProto::default()
    }
}

#[track_caller]
fn run(model: &Model, inputs: &[TensorProto]) -> Vec<Output> {
    assert_eq!(faults(model), []);
    Session::new(model, "float", &[]).unwrap().run(inputs).unwrap()
}

fn x(values: &[f32]) -> TensorProto {
    tensor_f32("x", &[values.len() as i64], values)
}

/// `y` is `x` times two where `condition` holds, else `x` and one more value.
fn choice(graph: &mut GraphBuilder, x: &str, condition: &str, y: &str) {
    let two = tensor_f32("factor", &[], &[2.0]);
    let one = tensor_f32("more", &[1], &[7.0]);
    let then = body(vec![node("Mul", "n", &[x, "factor"], &["made"], &[])], &[], &["made"], vec![two]);
    let otherwise = body(
        vec![node("Concat", "n", &[x, "more"], &["made"], &[attr::int("axis", 0)])],
        &[],
        &["made"],
        vec![one],
    );
    let branches = [attr::graph("then_branch", then), attr::graph("else_branch", otherwise)];
    graph.push(node("If", y, &[condition], &[y], &branches));
}

#[test]
fn branches_on_shapes_and_on_values_are_taken() {
    let mut graph = GraphBuilder::new(21);
    graph.input("x", &[-1]);
    let three = graph.initializer(tensor_i64("three", &[1], &[3]));
    let zero = graph.initializer(tensor_f32("zero", &[], &[0.0]));
    let shape = graph.node("Shape", &["x"], &[]);
    let long = graph.node("Greater", &[&shape, &three], &[]);
    choice(&mut graph, "x", &long, "first");
    let sum = graph.node("ReduceSum", &["first"], &[attr::int("keepdims", 0)]);
    let positive = graph.node("Greater", &[&sum, &zero], &[]);
    choice(&mut graph, "first", &positive, "y");
    graph.output("y");
    graph.output("first");
    let model = graph.model();
    let session = Session::new(&model, "float", &[]).unwrap();
    // The same session for samples of other lengths and other values.
    for (given, first, second) in [
        (&[1.0, 2.0][..], &[1.0, 2.0, 7.0][..], &[2.0, 4.0, 14.0][..]),
        (&[1.0, -20.0], &[1.0, -20.0, 7.0], &[1.0, -20.0, 7.0, 7.0]),
        (&[1.0, 1.0, 1.0, -1.0], &[2.0, 2.0, 2.0, -2.0], &[4.0, 4.0, 4.0, -4.0]),
        (&[-1.0, 0.0, 0.0, 0.0], &[-2.0, 0.0, 0.0, 0.0], &[-2.0, 0.0, 0.0, 0.0, 7.0]),
    ] {
        let outputs = session.run(&[x(given)]).unwrap();
        assert_eq!((outputs[0].values.as_slice(), outputs[1].values.as_slice()), (second, first));
    }
    assert_eq!(faults(&model), []);
}

#[test]
fn what_is_looked_at_behind_branches_is_seen_once() {
    let mut graph = GraphBuilder::new(21);
    graph.input("x", &[-1]);
    let two = graph.initializer(tensor_i64("two", &[1], &[2]));
    let shape = graph.node("Shape", &["x"], &[]);
    let long = graph.node("Greater", &[&shape, &two], &[]);
    choice(&mut graph, "x", &long, "first");
    choice(&mut graph, "first", &long, "second");
    let y = graph.node("Neg", &["second"], &[]);
    graph.output(&y);
    let taps = ["first".to_owned(), "x".to_owned(), shape, long];
    let session = Session::new(&graph.model(), "float", &taps).unwrap();
    let mut seen: Vec<(String, Vec<f32>)> = Vec::new();
    session
        .run_tapped(&[x(&[5.0])], &mut |name, _, values| seen.push((name.into(), values.to_vec())))
        .unwrap();
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    let expected =
        [("first", vec![5.0, 7.0]), ("greater_0", vec![0.0]), ("shape_0", vec![1.0]), ("x", vec![5.0])];
    let found: Vec<Vec<f32>> = seen.iter().map(|(_, values)| values.clone()).collect();
    assert_eq!(found.len(), 4, "{seen:?}");
    for (_, values) in expected {
        assert!(found.contains(&values), "{seen:?}");
    }
}

/// Adds the round's number to a sum, and gives each sum so far; goes on while the sum is below `limit`.
fn counting(trips: &str, limit: f32) -> Model {
    let mut graph = GraphBuilder::new(21);
    graph.input("x", &[2]);
    graph.typed_input("trips", Dtype::Int64, &[]);
    let nodes = vec![
        node("Cast", "", &["round"], &["number"], &[attr::int("to", 1)]),
        node("Add", "", &["sum_in", "number"], &["sum_out"], &[]),
        node("ReduceMax", "", &["sum_out"], &["most"], &[attr::int("keepdims", 0)]),
        node("Less", "", &["most", "limit"], &["goes_on"], &[]),
        node("Identity", "", &["sum_out"], &["kept"], &[]),
    ];
    let limit = tensor_f32("limit", &[], &[limit]);
    let inner = body(nodes, &["round", "was", "sum_in"], &["goes_on", "sum_out", "kept"], vec![limit]);
    graph.push(node("Loop", "l", &[trips, "", "x"], &["last", "all"], &[attr::graph("body", inner)]));
    graph.output("last");
    graph.output("all");
    graph.model()
}

#[test]
fn loops_run_so_often_as_they_are_told() {
    let trips = |count: i64| tensor_i64("trips", &[], &[count]);
    let model = counting("trips", 100.0);
    let session = Session::new(&model, "float", &[]).unwrap();
    for (count, last) in [(1, 0.0), (3, 3.0), (4, 6.0)] {
        let outputs = session.run(&[x(&[0.5, 0.0]), trips(count)]).unwrap();
        assert_eq!(outputs[0].values, [0.5 + last, last]);
        assert_eq!(outputs[1].dims, [count as usize, 2]);
    }
    // Ended by its values: after the round in which the sum is 3.
    let outputs = run(&counting("trips", 2.0), &[x(&[0.0, 0.0]), trips(10)]);
    assert_eq!((outputs[0].values.as_slice(), outputs[1].dims.as_slice()), (&[3.0, 3.0][..], &[3, 2][..]));
    let endless = Session::new(&counting("", 2.0e9), "float", &[]).unwrap();
    let error = endless.run(&[x(&[0.0, 0.0]), trips(1)]).unwrap_err().to_string();
    assert!(error.contains("more than 1024 rounds"), "{error}");
}

#[test]
fn scans_go_forwards_and_backwards() {
    let mut graph = GraphBuilder::new(21);
    graph.input("state", &[1]);
    graph.input("a", &[2, 3]);
    let nodes = vec![
        node("ReduceSum", "", &["part", "axis"], &["sum"], &[attr::int("keepdims", 1)]),
        node("Add", "", &["was", "sum"], &["is"], &[]),
        node("Identity", "", &["is"], &["each"], &[]),
    ];
    let axis = tensor_i64("axis", &[1], &[0]);
    let inner = body(nodes, &["was", "part"], &["is", "each"], vec![axis]);
    let attributes = [
        attr::graph("body", inner),
        attr::int("num_scan_inputs", 1),
        attr::ints("scan_input_axes", &[1]),
        attr::ints("scan_input_directions", &[1]),
        attr::ints("scan_output_axes", &[1]),
    ];
    graph.push(node("Scan", "s", &["state", "a"], &["last", "all"], &attributes));
    // Two of them, so that tract's own is not asked.
    graph.output("last");
    graph.output("all");
    nothing(&mut graph);
    let a = tensor_f32("a", &[2, 3], &[1.0, 2.0, 3.0, 10.0, 20.0, 30.0]);
    let outputs = run(&graph.model(), &[tensor_f32("state", &[1], &[0.5]), a]);
    assert_eq!(outputs[0].values, [66.5]);
    assert_eq!(
        (outputs[1].dims.as_slice(), outputs[1].values.as_slice()),
        (&[1, 3][..], &[33.5, 55.5, 66.5][..])
    );
}

/// A loop that does nothing: only a concrete graph is without it.
fn nothing(graph: &mut GraphBuilder) {
    let once = graph.initializer(tensor_i64("once", &[], &[1]));
    let inner = body(
        vec![node("Identity", "", &["was"], &["on"], &[]), node("Identity", "", &["a_in"], &["a_out"], &[])],
        &["at", "was", "a_in"],
        &["on", "a_out"],
        vec![],
    );
    let yes = graph.initializer(tensor_of("yes", Dtype::Bool, &[], &[1.0]));
    graph.push(node("Loop", "nothing", &[&once, &yes, "a"], &["unread"], &[attr::graph("body", inner)]));
    graph.output("unread");
}

#[test]
fn sequences_are_the_values_that_they_hold() {
    let mut graph = GraphBuilder::new(21);
    graph.input("a", &[2, 5]);
    let one = graph.initializer(tensor_i64("one", &[], &[1]));
    let two = graph.initializer(tensor_i64("two", &[], &[2]));
    graph.push(node("SplitToSequence", "s", &["a", &two], &["parts"], &[attr::int("axis", 1)]));
    graph.push(node("SequenceAt", "t", &["parts", &one], &["middle"], &[]));
    graph.push(node("SequenceErase", "u", &["parts", &one], &["outer"], &[]));
    graph.push(node("SequenceInsert", "v", &["outer", "middle"], &["turned"], &[]));
    let last = graph.initializer(tensor_i64("last", &[], &[-1]));
    graph.push(node("SequenceInsert", "f", &["outer", "middle", &last], &["in_front"], &[]));
    graph.push(node("ConcatFromSequence", "g", &["in_front"], &["back"], &[attr::int("axis", 1)]));
    graph.push(node("ConcatFromSequence", "w", &["turned"], &["y"], &[attr::int("axis", -1)]));
    graph.push(node("SequenceConstruct", "c", &["middle", "middle"], &["pair"], &[]));
    let attributes = [attr::int("axis", 1), attr::int("new_axis", 1)];
    graph.push(node("ConcatFromSequence", "d", &["pair"], &["z"], &attributes));
    graph.push(node("SequenceLength", "e", &["turned"], &["count"], &[]));
    ["y", "z", "count", "back"].iter().for_each(|name| graph.output(name));
    let values: Vec<f32> = (0..10).map(|value| value as f32).collect();
    let outputs = run(&graph.model(), &[tensor_f32("a", &[2, 5], &values)]);
    assert_eq!(outputs[0].values, [0.0, 1.0, 4.0, 2.0, 3.0, 5.0, 6.0, 9.0, 7.0, 8.0]);
    assert_eq!(outputs[1].dims, [2, 2, 2]);
    assert_eq!(outputs[1].values, [2.0, 3.0, 2.0, 3.0, 7.0, 8.0, 7.0, 8.0]);
    assert_eq!(outputs[2].values, [3.0]);
    assert_eq!(outputs[3].values[..5], [0.0, 1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn defaults_and_sparse_initializers_are_read() {
    let mut graph = GraphBuilder::new(21);
    graph.input("x", &[-1]);
    let shape = graph.node("Shape", &["x"], &[]);
    let zeros = graph.node("ConstantOfShape", &[&shape], &[]);
    let sum = graph.node("Add", &["x", &zeros], &[]);
    let y = graph.node("Add", &[&sum, "sparse"], &[]);
    graph.output(&y);
    let mut model = graph.model();
    model.graph_mut().sparse_initializer.push(crate::onnx::proto::SparseTensorProto {
        values: Some(tensor_f32("sparse", &[1], &[4.0])),
        indices: Some(tensor_i64("", &[1], &[1])),
        dims: vec![3],
    });
    assert_eq!(run(&model, &[x(&[1.0, 2.0, 3.0])])[0].values, [1.0, 6.0, 3.0]);
}

#[test]
fn damaged_nodes_are_refused() {
    // Beside a loop, so that the graph is gone through node by node.
    for (operator, inputs) in
        [("Identity", &[][..]), ("Shape", &[]), ("SequenceAt", &[]), ("If", &[]), ("Scan", &["a"])]
    {
        let mut graph = GraphBuilder::new(21);
        graph.input("a", &[2]);
        nothing(&mut graph);
        graph.push(node(operator, "n", inputs, &["z"], &[]));
        graph.output("z");
        let session = Session::new(&graph.model(), "float", &[]);
        let ran = session.and_then(|session| session.run(&[tensor_f32("a", &[2], &[1.0, 2.0])]));
        assert!(ran.is_err(), "{operator}");
    }
}

#[test]
fn no_round_gives_an_empty_list() {
    let mut model = counting("trips", 9.0);
    let inner = model.graph_mut().node[0].attribute[0].g.as_mut().unwrap();
    inner.output[2] = value("kept", Dtype::Float, &[2]);
    let outputs = run(&model, &[x(&[1.0, 2.0]), tensor_i64("trips", &[], &[0])]);
    assert_eq!((outputs[0].values.as_slice(), outputs[1].dims.as_slice()), (&[1.0, 2.0][..], &[0, 2][..]));
}
