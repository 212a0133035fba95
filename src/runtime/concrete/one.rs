//! One node by itself: what tract says of its outputs, and what it computes.

use std::sync::{Arc, LazyLock};

use tract_onnx::Onnx;
use tract_onnx::model::ParseResult;
use tract_onnx::prelude::*;

use super::super::guard::guarded;
use super::super::operators::TRACT;
use super::super::plan::Plan;
use super::super::values::from_tract;
use crate::onnx::build::value;
use crate::onnx::proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
};
use crate::onnx::{Dtype, Model, encode};

/// Element type and dimensions.
pub(super) type Fact = (DatumType, Vec<usize>);

/// What a node reads in one of its slots.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    /// A value that is known.
    Value(Arc<Tensor>),
    /// An initializer.
    Constant(Arc<TensorProto>),
    /// A value of which no more is known, or wanted.
    Fact(Fact),
}

/// What is known of an output.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub fact: Fact,
    pub value: Option<Arc<Tensor>>,
}

/// Nodes as models.
#[derive(Debug)]
pub(super) struct Single<'m> {
    pub opsets: &'m [OperatorSetIdProto],
    pub ir_version: Option<i64>,
}

impl Single<'_> {
    /// What is known of the outputs of `node` before it is run; `None` of those whose dimensions depend on values that are not known.
    pub fn seen(&self, node: &NodeProto, operands: &[Option<Operand>]) -> Result<Vec<Option<Seen>>, String> {
        let (mut model, facts) = self.parsed(node, operands)?;
        guarded(|| {
            for (at, (dtype, dims)) in facts.iter().enumerate() {
                model.set_input_fact(at, dtype.fact(dims).into())?;
            }
            let typed = model.into_typed()?;
            let outputs = typed.output_outlets()?.iter().map(|&outlet| {
                let fact = typed.outlet_fact(outlet)?;
                let dims = fact.shape.as_concrete().map(<[usize]>::to_vec);
                let value = match fact.konst.clone() {
                    Some(value) if value.datum_type() == DatumType::TDim => {
                        value.cast_to::<i64>().ok().map(|value| Arc::new(value.into_owned()))
                    }
                    other => other,
                };
                let dtype = if fact.datum_type == DatumType::TDim { DatumType::I64 } else { fact.datum_type };
                Ok(dims.map(|dims| Seen { fact: (dtype, dims), value }))
            });
            outputs.collect()
        })
    }

    /// The outputs of `node`, all of whose inputs are given.
    pub fn run(&self, node: &NodeProto, operands: &[Option<Operand>]) -> Result<Vec<Arc<Tensor>>, String> {
        // What tract wants to be constant is; so is everything else.
        let (model, facts) = self.parsed(node, operands)?;
        if !facts.is_empty() {
            return Err("an input is not known".into());
        }
        guarded(|| {
            let plan = Plan::new(model, &[], &[])?;
            let values = plan.run(tvec!(), None)?;
            values.into_iter().map(|value| plain(value.into_arc_tensor())).collect()
        })
    }

    /// The model of `node`, and the facts of its inputs.
    fn parsed(
        &self,
        node: &NodeProto,
        operands: &[Option<Operand>],
    ) -> Result<(InferenceModel, Vec<Fact>), String> {
        let mut graph = GraphProto { name: Some("node".into()), ..GraphProto::default() };
        let (mut node, mut facts) = (node.clone(), Vec::new());
        node.name = Some("node".into());
        let mut named: Vec<String> = Vec::new();
        for (slot, operand) in operands.iter().enumerate() {
            let Some(operand) = operand else { continue };
            // The same value may be read twice: then it is one value.
            let name = node.input[slot].clone();
            if named.contains(&name) {
                continue;
            }
            match operand {
                Operand::Value(tensor) => {
                    let tensor = guarded(|| from_tract(&name, tensor))?;
                    graph.initializer.push(tensor);
                }
                Operand::Constant(tensor) => {
                    graph.initializer.push(TensorProto { name: Some(name.clone()), ..(**tensor).clone() });
                }
                Operand::Fact(fact) => {
                    graph.input.push(value(&name, Dtype::Float, &[]));
                    facts.push(fact.clone());
                }
            }
            named.push(name);
        }
        graph.output = node
            .output
            .iter()
            .filter(|name| !name.is_empty())
            .map(|name| ValueInfoProto { name: Some(name.clone()), ..ValueInfoProto::default() })
            .collect();
        graph.node.push(node);
        let proto = ModelProto {
            ir_version: self.ir_version,
            opset_import: self.opsets.to_vec(),
            graph: Some(graph),
            ..ModelProto::default()
        };
        let model = Model::new(proto).map_err(|error| error.to_string())?;
        let parsed = parse(&model)?;
        match parsed.unresolved_inputs.first() {
            Some(name) => Err(format!("value {name} is read, but nothing makes it")),
            None => Ok((parsed.model, facts)),
        }
    }
}

/// `tensor` with integers where tract has symbols.
fn plain(tensor: Arc<Tensor>) -> TractResult<Arc<Tensor>> {
    Ok(match tensor.datum_type() == DatumType::TDim {
        true => Arc::new(tensor.cast_to::<i64>()?.into_owned()),
        false => tensor,
    })
}

/// What the file declares of inner values is symbolic where the inputs are: with the inputs concrete it would contradict them.
static READER: LazyLock<Onnx> =
    LazyLock::new(|| TRACT.clone().with_ignore_value_info(true).with_ignore_output_types(true));

/// `model` as tract reads it.
pub(in crate::runtime) fn parse(model: &Model) -> Result<ParseResult, String> {
    guarded(|| {
        let bytes = encode(model);
        let proto = READER.proto_model_for_read(&mut bytes.as_slice())?;
        drop(bytes);
        READER.parse(&proto, None)
    })
}

/// Shape with `start` and `end`, and Size, by their definition.
pub(super) fn shape(node: &NodeProto, dims: &[usize]) -> Arc<Tensor> {
    let all: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
    if node.op_type() == "Size" {
        return Arc::new(tensor0(all.iter().product::<i64>()));
    }
    let rank = all.len() as i64;
    let place = |name: &str, usual: i64| {
        let given = crate::onnx::int(node, name).unwrap_or(usual);
        (if given < 0 { given + rank } else { given }).clamp(0, rank) as usize
    };
    let (start, end) = (place("start", 0), place("end", rank));
    let part = all.get(start..end.max(start)).unwrap_or_default();
    Arc::new(tensor1(part))
}
