//! A graph as text, one line a node and initializer, compared with files in `golden/`.

use std::fmt::Write as _;
use std::path::Path;

use crate::onnx::proto::GraphProto;
use crate::onnx::{Model, bodies, dtype_name, floats, integers};

fn graph(graph: &GraphProto, indent: &str, text: &mut String) {
    for tensor in &graph.initializer {
        let values = match floats(tensor) {
            Ok(values) => format!("{values:?}"),
            Err(_) => format!("{:?}", integers(tensor).unwrap()),
        };
        let kind = dtype_name(tensor.data_type());
        writeln!(text, "{indent}{} {kind} {:?} = {values}", tensor.name(), tensor.dims).unwrap();
    }
    for node in &graph.node {
        let (operator, inputs, outputs) = (node.op_type(), node.input.join(", "), node.output.join(", "));
        write!(text, "{indent}{}: {outputs} = {operator}({inputs})", node.name()).unwrap();
        for attribute in &node.attribute {
            match (attribute.i, attribute.ints.as_slice()) {
                (Some(value), _) => write!(text, " {}={value}", attribute.name()).unwrap(),
                (None, ints) if !ints.is_empty() => write!(text, " {}={ints:?}", attribute.name()).unwrap(),
                _ => {}
            }
        }
        text.push('\n');
        bodies(node).for_each(|body| self::graph(body, &format!("{indent}    "), text));
    }
}

pub(super) fn dump(model: &Model) -> String {
    let mut text = format!("ir {} opset {}\n", model.proto.ir_version(), model.opset());
    for entry in &model.proto.metadata_props {
        let value = if entry.key() == "fourbit.version" { "*" } else { entry.value() };
        writeln!(text, "{} {value}", entry.key()).unwrap();
    }
    graph(model.graph(), "", &mut text);
    text
}

/// Compares with `golden/NAME.txt`, or writes that where BLESS is set.
pub(super) fn golden(name: &str, model: &Model) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/rewrite/golden/{name}.txt"));
    let found = dump(model);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{name}: run with BLESS=1 and review the difference");
}
