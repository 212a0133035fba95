use super::*;
use crate::onnx::build::{GraphBuilder, node, value};
use crate::onnx::{Dtype, attr, int};

fn function(name: &str, nodes: Vec<NodeProto>) -> FunctionProto {
    FunctionProto {
        name: Some(name.into()),
        domain: Some("own".into()),
        input: vec!["a".into()],
        output: vec!["b".into()],
        attribute: vec!["axis".into()],
        node: nodes,
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(21) }],
        ..Default::default()
    }
}

fn call(name: &str, input: &str, output: &str, attributes: &[AttributeProto]) -> NodeProto {
    NodeProto { domain: Some("own".into()), ..node(name, output, &[input], &[output], attributes) }
}

fn model(functions: Vec<FunctionProto>) -> Model {
    let mut graph = GraphBuilder::new(21);
    let x = graph.input("x", &[1, 4]);
    graph.push(call("Outer", &x, "y", &[attr::int("axis", 1)]));
    graph.push(call("Outer", "y", "z", &[]));
    graph.output("z");
    let mut model = graph.model();
    model.proto.functions = functions;
    model
}

#[test]
fn calls_within_calls_become_nodes_with_names_of_their_own() {
    let referring = AttributeProto { ref_attr_name: Some("axis".into()), ..attr::int("axis", 0) };
    let inner = function(
        "Inner",
        vec![
            node("Abs", "abs", &["a"], &["t"], &[]),
            node("Softmax", "soft", &["t"], &["b"], std::slice::from_ref(&referring)),
        ],
    );
    let outer = function(
        "Outer",
        vec![call("Inner", "a", "t", &[referring]), node("Neg", "neg", &["t"], &["b"], &[])],
    );
    let mut model = model(vec![outer, inner]);
    assert_eq!(inline(&mut model).unwrap().unwrap().count, 2);
    let nodes = &model.graph().node;
    let operators: Vec<&str> = nodes.iter().map(|node| node.op_type()).collect();
    assert_eq!(operators, ["Abs", "Softmax", "Neg", "Abs", "Softmax", "Neg"]);
    assert_eq!((int(&nodes[1], "axis"), int(&nodes[4], "axis")), (Some(1), None));
    assert_eq!((nodes[0].input[0].as_str(), nodes[2].output[0].as_str()), ("x", "y"));
    assert_eq!((nodes[3].input[0].as_str(), nodes[5].output[0].as_str()), ("y", "z"));
    Model::new(model.proto.clone()).unwrap();
    assert!(model.proto.functions.is_empty());
}

#[test]
fn circles_and_explosions_are_named() {
    let mut circle = model(vec![function("Outer", vec![call("Outer", "a", "b", &[])])]);
    assert!(inline(&mut circle).unwrap_err().to_string().contains("Outer"));
    let twice = |name: &str, next: &str| {
        let nodes = (0..40).map(|at| call(next, "a", if at == 0 { "b" } else { ["t", "u"][at % 2] }, &[]));
        function(name, nodes.collect())
    };
    let mut names: Vec<String> = (0..40).map(|at| format!("F{at}")).collect();
    names[0] = "Outer".into();
    let functions = names.windows(2).map(|pair| twice(&pair[0], &pair[1])).collect();
    assert!(inline(&mut model(functions)).unwrap_err().to_string().contains("without end"));
}

#[test]
fn nodes_in_bodies_count() {
    let functions = (0..60).map(|at| {
        let next = format!("F{}", at + 1);
        let body = |output: &str| GraphProto {
            node: vec![call(&next, "a", output, &[])],
            output: vec![value(output, Dtype::Float, &[1, 4])],
            ..Default::default()
        };
        let branches = [attr::graph("then_branch", body("t")), attr::graph("else_branch", body("e"))];
        let name = if at == 0 { "Outer".into() } else { format!("F{at}") };
        function(&name, vec![node("If", "if", &["a"], &["b"], &branches)])
    });
    let message = inline(&mut model(functions.collect())).unwrap_err().to_string();
    assert!(message.contains("without end"), "{message}");
}

#[test]
fn attributes_given_many_times_count() {
    let referring = AttributeProto { ref_attr_name: Some("axis".into()), ..attr::int("value_floats", 0) };
    let constants = |count: usize| {
        let constant = |at| node("Constant", "", &[], &[&format!("c{at}")], std::slice::from_ref(&referring));
        let mut nodes: Vec<NodeProto> = (0..count).map(constant).collect();
        nodes.push(node("Neg", "", &["a"], &["b"], &[]));
        let mut model = model(vec![function("Outer", nodes)]);
        let given = AttributeProto { floats: vec![1.0; 1 << 20], ..attr::ints("axis", &[]) };
        model.graph_mut().node[0].attribute = vec![given];
        inline(&mut model)
    };
    assert_eq!(constants(10).unwrap().unwrap().count, 2);
    assert!(constants(10_000).unwrap_err().to_string().contains("too large"));
}

#[test]
fn operators_of_the_standard_keep_their_meaning() {
    // Gelu came with opset 20.
    for (opset, operators) in [(21, ["Gelu", "Own"]), (17, ["Neg", "Own"])] {
        let mut graph = GraphBuilder::new(opset);
        let x = graph.input("x", &[1, 4]);
        let y = graph.node("Gelu", &[&x], &[]);
        let z = graph.node("Own", &[&y], &[]);
        graph.output(&z);
        let mut model = graph.model();
        let import = vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(opset) }];
        let neg = function("Gelu", vec![node("Neg", "", &["a"], &["b"], &[])]);
        model.proto.functions =
            vec![FunctionProto { domain: Some("ai.onnx".into()), opset_import: import, ..neg }];
        inline(&mut model).unwrap();
        let left: Vec<&str> = model.graph().node.iter().map(|node| node.op_type()).collect();
        assert_eq!(left, operators);
        assert!(model.proto.functions.is_empty());
    }
}

#[test]
fn what_no_opset_fits_is_told_with_both() {
    let import = |version| vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(version) }];
    for (version, operator) in [(18, "NoSuchThing"), (22, "Neg")] {
        let nodes = vec![node(operator, "inner", &["a"], &["b"], &[])];
        let mut model =
            model(vec![FunctionProto { opset_import: import(version), ..function("Outer", nodes) }]);
        model.graph_mut().node.push(node("AlsoNoSuchThing", "main", &["z"], &["w"], &[]));
        let message = inline(&mut model).unwrap_err().to_string();
        let place = if version < 21 { "node inner (NoSuchThing)" } else { "node main (AlsoNoSuchThing)" };
        for word in ["function Outer", &format!("opset {version}"), "model for opset 21", place, "one opset"]
        {
            assert!(message.contains(word), "{message}");
        }
        assert!(!message.contains("keep"), "{message}");
    }
}
