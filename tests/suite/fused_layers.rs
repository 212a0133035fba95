//! Small layers of onnxruntime's own operators.

use fourbit::onnx::build::{GraphBuilder, node};
use fourbit::onnx::proto::{AttributeProto, NodeProto, OperatorSetIdProto};
use fourbit::onnx::{CONTRIB, Dtype, Model, attr};

/// Length of the axis that is summed over: blocks of up to 128 divide it.
const DEPTH: i64 = 128;

/// `model`, with onnxruntime's domain among those that it imports where a node is of that.
pub fn imported(mut model: Model) -> Model {
    if model.graph().node.iter().any(|node| node.domain() == CONTRIB) {
        let import = OperatorSetIdProto { domain: Some(CONTRIB.into()), version: Some(1) };
        model.proto.opset_import.push(import);
    }
    model
}

/// Layers of an operator of onnxruntime's, named with its domain; what they give.
pub fn add(graph: &mut GraphBuilder, operator: &str) -> String {
    let own = operator.strip_prefix(CONTRIB).and_then(|name| name.strip_prefix('.'));
    let own = own.unwrap_or_else(|| panic!("no model of {operator}"));
    let layer = |graph: &mut GraphBuilder, inputs: &[&str], attributes: &[AttributeProto]| {
        let output = format!("{own}_{}", inputs.join("_"));
        let made = node(own, &format!("{output}_node"), inputs, &[&output], attributes);
        graph.push(NodeProto { domain: Some(CONTRIB.into()), ..made });
        output
    };
    let relu = attr::string("activation", "Relu");
    match own {
        "FusedConv" => {
            let x = graph.input("x", &[1, DEPTH, 5, 5]);
            let (a, b) = (graph.weights("a", &[6, DEPTH, 3, 3]), graph.weights("b", &[4, 6, 1, 1]));
            let bias = graph.weights("bias", &[6]);
            let y = layer(graph, &[&x, &a, &bias], std::slice::from_ref(&relu));
            layer(graph, &[&y, &b], &[relu])
        }
        "FusedGemm" => {
            let x = graph.input("x", &[3, DEPTH]);
            let (a, bias) = (graph.weights("a", &[DEPTH, 6]), graph.weights("bias", &[6]));
            layer(graph, &[&x, &a, &bias], &[relu])
        }
        "FusedMatMul" => {
            let x = graph.input("x", &[2, 3, DEPTH]);
            let (a, b) = (graph.weights("a", &[DEPTH, DEPTH]), graph.weights("b", &[DEPTH, 5]));
            let y = layer(graph, &[&x, &a], &[attr::int("transB", 1), attr::float("alpha", 0.5)]);
            layer(graph, &[&y, &b], &[])
        }
        "Attention" => {
            let x = graph.input("x", &[2, 3, DEPTH]);
            let (a, bias) = (graph.weights("a", &[DEPTH, 3 * 32]), graph.weights("bias", &[3 * 32]));
            layer(graph, &[&x, &a, &bias], &[attr::int("num_heads", 2)])
        }
        "EmbedLayerNormalization" => {
            let ids = graph.typed_input("ids", Dtype::Int64, &[2, 5]);
            let ids = graph.node("Cast", &[&ids], &[attr::int("to", Dtype::Int32 as i64)]);
            let [words, places] =
                [("words", 24), ("places", 8)].map(|(name, rows)| graph.weights(name, &[rows, DEPTH]));
            let [scale, shift] = ["scale", "shift"].map(|name| graph.weights(name, &[DEPTH]));
            let inputs = [ids.as_str(), "", &words, &places, "", &scale, &shift];
            let output = "embedded".to_owned();
            let made = node(own, "embed", &inputs, &[&output, "ends"], &[]);
            graph.push(NodeProto { domain: Some(CONTRIB.into()), ..made });
            output
        }
        other => panic!("no model of {other}"),
    }
}
