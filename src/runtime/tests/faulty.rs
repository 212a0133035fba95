use crate::onnx::build::{GraphBuilder, node, value};
use crate::onnx::proto::{AttributeProto, FunctionProto, GraphProto, NodeProto, SparseTensorProto};
use crate::onnx::{Dtype, Model, attr, tensor, tensor_f32};
use crate::runtime::{Fault, faults};

/// A model of one node that reads `x`, `a` ...
fn single(node: NodeProto) -> Model {
    let mut graph = GraphBuilder::new(21);
    graph.input("x", &[1, 4]);
    graph.push(node);
    graph.output("y");
    graph.model()
}

fn of(operator: &str, attributes: &[AttributeProto]) -> Model {
    single(node(operator, "n", &["x"], &["y"], attributes))
}

#[track_caller]
fn one(model: &Model, node: &str, words: &str) -> Fault {
    let found = faults(model);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].node == node && found[0].problem.contains(words), "{found:?}");
    found[0].clone()
}

#[test]
fn ordinary_models_have_none() {
    assert_eq!(faults(&of("Relu", &[])), []);
    assert_eq!(faults(&of("LSTM", &[attr::string("direction", "bidirectional")])), []);
    assert_eq!(faults(&of("SpaceToDepth", &[attr::string("mode", "DCR")])), []);
    assert_eq!(faults(&of("Softmax", &[])), []);
}

#[test]
fn operators_that_tract_lacks_or_mistakes() {
    assert_eq!(one(&of("RoiAlign", &[]), "n", "RoiAlign is not supported by tract").operator, "RoiAlign");
    for perm in [[0, 0], [1, 2], [-1, 0]] {
        one(&of("Transpose", &[attr::ints("perm", &perm)]), "n", "perm");
    }
    assert_eq!(faults(&of("Transpose", &[attr::ints("perm", &[1, 0])])), []);
    one(&of("SpaceToDepth", &[attr::string("mode", "CRD")]), "n", "CRD");
    one(&of("NonMaxSuppression", &[]), "n", "max_output_boxes_per_class");
    one(&of("LinearRegressor", &[attr::string("post_transform", "PROBIT")]), "n", "post_transform");
    one(&single(node("DFT", "n", &["x", "length"], &["y"], &[attr::int("axis", 1)])), "n", "dft_length");
    one(&of("DFT", &[]), "n", "another axis");
    one(&of("TreeEnsembleClassifier", &[]), "n", "branches");
    one(&of("Cast", &[attr::int("to", Dtype::Float8e5m2 as i64)]), "n", "FLOAT8E5M2");
    let mut scale = single(node("QuantizeLinear", "n", &["x", "s"], &["y"], &[attr::int("output_dtype", 3)]));
    scale.graph_mut().initializer.push(tensor_f32("s", &[], &[1.0]));
    one(&scale, "n", "output_dtype");
}

#[test]
fn domains_and_functions() {
    let foreign = |domain: &str, operator: &str| {
        let mut node = node(operator, "n", &["x"], &["y"], &[]);
        node.domain = Some(domain.into());
        single(node)
    };
    assert_eq!(one(&foreign("my.own", "Relu"), "n", "ignores the domain my.own").operator, "my.own.Relu");
    one(&foreign("my.own", "Frobnicate"), "n", "my.own.Frobnicate is not supported");
    assert_eq!(faults(&foreign("ai.onnx", "Relu")), []);
    assert_eq!(faults(&foreign("ai.onnx.ml", "Normalizer")), []);
    assert_eq!(faults(&foreign("com.microsoft", "Gelu")), []);
    assert_eq!(faults(&foreign("com.microsoft", "FusedConv")), []);
    assert_eq!(faults(&foreign("", "SkipLayerNormalization")), []);
    one(&foreign("com.microsoft", "Relu"), "n", "ignores the domain com.microsoft");
    let mut model = foreign("my.own", "Relu");
    let function =
        FunctionProto { name: Some("Relu".into()), domain: Some("my.own".into()), ..Default::default() };
    model.proto.functions.push(function);
    one(&model, "n", "function");
}

#[test]
fn forms_of_onnxruntimes_operators_that_are_not_run() {
    let foreign = |operator: &str, attributes: &[AttributeProto]| {
        let mut node = node(operator, "n", &["x", "x", "x"], &["y"], attributes);
        node.domain = Some("com.microsoft".into());
        single(node)
    };
    let heads = attr::int("num_heads", 2);
    assert_eq!(faults(&foreign("Attention", std::slice::from_ref(&heads))), []);
    one(&foreign("Attention", &[heads.clone(), attr::int("do_rotary", 1)]), "n", "do_rotary");
    let few = attr::int("kv_num_heads", 1);
    one(&foreign("GroupQueryAttention", &[heads, few, attr::int("causal", 0)]), "n", "not causal");
    one(&foreign("RotaryEmbedding", &[attr::float("scale", 2.0)]), "n", "scale");
    one(&foreign("FusedConv", &[attr::string("activation", "Mish")]), "n", "activation Mish");
    one(&foreign("BiasSplitGelu", &[]), "n", "com.microsoft.BiasSplitGelu is not supported");
}

#[test]
fn types_that_tract_lacks() {
    for (dtype, words) in [
        (Dtype::Int4, "INT4 must be lowered"),
        (Dtype::Uint4, "UINT4 must be lowered"),
        (Dtype::Float8e4m3fn, "tract has no FLOAT8E4M3FN"),
    ] {
        let mut model = of("Relu", &[]);
        model.graph_mut().initializer.push(tensor("w", dtype, &[2], vec![0; 4]));
        assert_eq!(one(&model, "w", words).operator, "initializer");
        let constant =
            AttributeProto { t: Some(tensor("", dtype, &[2], vec![0; 4])), ..attr::int("value", 0) };
        one(&of("Constant", &[constant]), "n", words);
        let mut model = of("Relu", &[]);
        model.graph_mut().input = vec![value("x", dtype, &[2])];
        assert_eq!(one(&model, "x", words).operator, "input");
    }
}

#[test]
fn bodies_are_searched() {
    let body = of("RoiAlign", &[]).proto.graph;
    let branch = AttributeProto { g: body, ..attr::int("then_branch", 0) };
    one(&of("If", &[branch]), "n", "RoiAlign");
}

#[test]
fn what_a_concrete_graph_is_without_is_no_fault() {
    let branch = |name: &str, dims: &[i64]| GraphProto {
        name: Some(name.into()),
        node: vec![node("Relu", "", &["x"], &[name], &[])],
        output: vec![value(name, Dtype::Float, dims)],
        ..Default::default()
    };
    let mut graph = GraphBuilder::new(21);
    graph.input("x", &[2]);
    let condition = graph.typed_input("condition", Dtype::Bool, &[]);
    // Two of them, and with branches of different rank.
    for names in [["a", "b"], ["c", "d"]] {
        let attributes = [
            attr::graph("then_branch", branch(names[0], &[2])),
            attr::graph("else_branch", branch(names[1], &[2, -1])),
        ];
        let y = graph.node("If", &[&condition], &attributes);
        graph.output(&y);
    }
    let mut model = graph.model();
    let sparse = SparseTensorProto { values: Some(tensor_f32("s", &[1], &[1.0])), ..Default::default() };
    model.graph_mut().sparse_initializer.push(sparse);
    assert_eq!(faults(&model), []);
}
