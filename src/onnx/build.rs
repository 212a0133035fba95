//! Small graphs written as expressions, and the node constructors that rewriting uses.

use super::model::Model;
use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, tensor_shape_proto, type_proto,
};
use super::tensor::{Dtype, tensor_f32};

/// A node of the standard domain.
pub fn node(
    operator: &str,
    name: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: &[AttributeProto],
) -> NodeProto {
    NodeProto {
        op_type: Some(operator.into()),
        name: Some(name.into()),
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: outputs.iter().map(|&output| output.into()).collect(),
        attribute: attributes.to_vec(),
        ..Default::default()
    }
}

/// A tensor value's declaration; a negative dimension is symbolic and called `N`.
pub fn value(name: &str, dtype: Dtype, dims: &[i64]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dim = |&size: &i64| Dimension {
        value: Some(if size < 0 { Value::DimParam("N".into()) } else { Value::DimValue(size) }),
        ..Default::default()
    };
    let shape = TensorShapeProto { dim: dims.iter().map(dim).collect() };
    let tensor = type_proto::Tensor { elem_type: Some(dtype as i32), shape: Some(shape) };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto { value, ..Default::default() }),
        ..Default::default()
    }
}

/// Builds a model value by value: each method returns the name of what it added.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: GraphProto,
    opset: i64,
    ir_version: i64,
}

impl GraphBuilder {
    /// An empty graph at `opset` of the standard domain.
    pub fn new(opset: i64) -> Self {
        let graph = GraphProto { name: Some("graph".into()), ..Default::default() };
        Self { graph, opset, ir_version: if opset >= 21 { 10 } else { 8 } }
    }

    /// Another IR version than the one usual for the opset.
    pub fn ir_version(mut self, version: i64) -> Self {
        self.ir_version = version;
        self
    }

    /// A float input; a negative dimension is symbolic.
    pub fn input(&mut self, name: &str, dims: &[i64]) -> String {
        self.typed_input(name, Dtype::Float, dims)
    }

    /// An input of another type.
    pub fn typed_input(&mut self, name: &str, dtype: Dtype, dims: &[i64]) -> String {
        self.graph.input.push(value(name, dtype, dims));
        name.into()
    }

    /// A constant.
    pub fn initializer(&mut self, tensor: TensorProto) -> String {
        let name = tensor.name().to_owned();
        self.graph.initializer.push(tensor);
        name
    }

    /// A float constant of repeatable, weight-like values: bell-shaped about zero, the same for
    /// the same name and dimensions.
    pub fn weights(&mut self, name: &str, dims: &[i64]) -> String {
        let count = dims.iter().product::<i64>().max(0) as usize;
        let mut state = name.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let values: Vec<f32> = (0..count).map(|_| (0..6).map(|_| uniform()).sum::<f32>() * 0.3).collect();
        self.initializer(tensor_f32(name, dims, &values))
    }

    /// A node with one output, named after the operator and its position.
    pub fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[AttributeProto]) -> String {
        let output = format!("{}_{}", operator.to_lowercase(), self.graph.node.len());
        self.graph.node.push(node(operator, &format!("{output}_node"), inputs, &[&output], attributes));
        output
    }

    /// A ready-made node.
    pub fn push(&mut self, node: NodeProto) {
        self.graph.node.push(node);
    }

    /// Makes `name` a float output of unknown shape.
    pub fn output(&mut self, name: &str) {
        let mut output = value(name, Dtype::Float, &[]);
        if let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), .. }) = &mut output.r#type
        {
            tensor.shape = None;
        }
        self.graph.output.push(output);
    }

    /// The model as a bare message.
    pub fn proto(self) -> ModelProto {
        ModelProto {
            ir_version: Some(self.ir_version),
            producer_name: Some("graph builder".into()),
            opset_import: vec![super::proto::OperatorSetIdProto {
                domain: Some(String::new()),
                version: Some(self.opset),
            }],
            graph: Some(self.graph),
            ..Default::default()
        }
    }

    /// The model.
    ///
    /// # Panics
    /// Where the graph breaks single assignment: a fault of the caller's.
    pub fn model(self) -> Model {
        match Model::new(self.proto()) {
            Ok(model) => model,
            Err(error) => panic!("{error}"),
        }
    }
}
