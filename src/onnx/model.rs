//! A model whose basic form has been checked once, at the door.

use std::collections::HashSet;
use std::path::PathBuf;

use super::proto::{
    ModelProto, NodeProto, TypeProto, ValueInfoProto, tensor_proto, tensor_shape_proto, type_proto,
};
use crate::error::{Error, Result};

/// A [`ModelProto`] that has a graph, an opset for the standard domain, and node outputs that are
/// all different: single assignment, as the ONNX IR demands.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The model itself; tensor data may borrow from mapped files.
    pub proto: ModelProto,
    /// Where it was read from.
    pub path: Option<PathBuf>,
    /// Size of the file and of the side files it names, in bytes.
    pub bytes_on_disk: u64,
    /// The side files that it names.
    pub side_files: Vec<PathBuf>,
    /// Bytes of the file in fields that this version of the format does not know: lost when written.
    pub unknown_bytes: u64,
}

impl Model {
    /// Checks the form of `proto`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the graph is missing, the standard domain has no opset, or a value
    /// is assigned twice.
    pub fn new(proto: ModelProto) -> Result<Self> {
        let Some(graph) = &proto.graph else {
            return Err(Error::invalid("model", "it holds no graph"));
        };
        if graph.node.is_empty() && graph.output.is_empty() {
            return Err(Error::invalid("graph", "it has neither nodes nor outputs"));
        }
        let mut assigned = HashSet::new();
        for node in &graph.node {
            for output in node.output.iter().filter(|name| !name.is_empty()) {
                if !assigned.insert(output.as_str()) {
                    return Err(Error::invalid(
                        format!("node {}", node_label(node)),
                        format!("value {output} is assigned a second time"),
                    ));
                }
            }
        }
        let mut initializers = HashSet::new();
        for tensor in &graph.initializer {
            if !initializers.insert(tensor.name()) || assigned.contains(tensor.name()) {
                return Err(Error::invalid(
                    format!("initializer {}", tensor.name()),
                    "the name is taken by another value",
                ));
            }
        }
        let model = Self { proto, path: None, bytes_on_disk: 0, side_files: Vec::new(), unknown_bytes: 0 };
        if model.opset() < 1 {
            return Err(Error::invalid("opset_import", format!("version {} of ai.onnx", model.opset())));
        }
        Ok(model)
    }

    /// The graph, which [`Model::new`] has seen.
    pub fn graph(&self) -> &super::proto::GraphProto {
        static EMPTY: std::sync::LazyLock<super::proto::GraphProto> =
            std::sync::LazyLock::new(Default::default);
        self.proto.graph.as_ref().unwrap_or(&EMPTY)
    }

    /// The graph, to be changed.
    pub fn graph_mut(&mut self) -> &mut super::proto::GraphProto {
        self.proto.graph.get_or_insert_default()
    }

    /// The opset of the standard domain; 1 where none is imported (IR versions below 3).
    pub fn opset(&self) -> i64 {
        let mut imports = self.proto.opset_import.iter();
        imports.find(|import| is_standard(import.domain())).map_or(1, |import| import.version())
    }

    /// Sets the opset of the standard domain.
    pub fn set_opset(&mut self, version: i64) {
        let found = self.proto.opset_import.iter_mut().find(|import| is_standard(import.domain()));
        match found {
            Some(import) => import.version = Some(version),
            None => self.proto.opset_import.push(super::proto::OperatorSetIdProto {
                domain: Some(String::new()),
                version: Some(version),
            }),
        }
    }

    /// The inputs a caller must feed: graph inputs that no initializer gives a value.
    pub fn inputs(&self) -> impl Iterator<Item = &ValueInfoProto> {
        let graph = self.graph();
        let given: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name()).collect();
        graph.input.iter().filter(move |input| !given.contains(input.name()))
    }

    /// File name for messages, or `model` where it came from memory.
    pub fn label(&self) -> String {
        self.path.as_ref().map_or_else(|| "model".into(), |path| path.display().to_string())
    }
}

/// Whether `domain` is the standard operator set's.
pub fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// The domain of onnxruntime's own operators.
pub const CONTRIB: &str = "com.microsoft";

/// Whether `node` is a QuantizeLinear or DequantizeLinear, whichever `operator` says, of the standard or onnxruntime's own.
pub fn is_linear(node: &NodeProto, operator: &str) -> bool {
    node.op_type() == operator && (is_standard(node.domain()) || node.domain() == CONTRIB)
}

/// A node's name, or its first output where it has none, or its operator.
pub fn node_label(node: &NodeProto) -> &str {
    let name = Some(node.name()).filter(|name| !name.is_empty());
    let output = || node.output.iter().map(String::as_str).find(|output| !output.is_empty());
    name.or_else(output).unwrap_or(node.op_type())
}

/// The operator with its domain, unless that is the standard one.
pub fn operator_label(node: &NodeProto) -> String {
    match is_standard(node.domain()) {
        true => node.op_type().to_owned(),
        false => format!("{}.{}", node.domain(), node.op_type()),
    }
}

/// ONNX's own spelling of an element type.
pub fn dtype_name(code: i32) -> String {
    tensor_proto::DataType::try_from(code)
        .map_or_else(|_| format!("type {code}"), |dtype| dtype.as_str_name().into())
}

/// Element type and dimensions of a tensor value: `None` for a dimension that is symbolic or
/// unknown; `None` in all where the value is no tensor or its rank is unknown.
pub fn value_shape(value: &ValueInfoProto) -> Option<(i32, Vec<Option<i64>>)> {
    let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) = &value.r#type else {
        return None;
    };
    let shape = tensor.shape.as_ref()?;
    let dims = shape.dim.iter().map(|dim| match dim.value {
        Some(tensor_shape_proto::dimension::Value::DimValue(size)) if size > 0 => Some(size),
        _ => None,
    });
    Some((tensor.elem_type(), dims.collect()))
}
