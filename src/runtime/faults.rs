//! What tract 0.23.9 does not run, or runs wrongly without saying so.

use tract_onnx::Onnx;

use super::concrete::WITHOUT;
use super::lowered;
use super::operators::{TRACT, is_microsoft, refusal};
use super::plain::is_scaler;
use crate::onnx::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto};
use crate::onnx::{
    CONTRIB, Dtype, Model, bodies, dtype_name, int, ints, is_standard, node_label, operator_label, string,
};

/// A domain outside the standard of which tract knows operators as what they are.
const LEARNING: &str = "ai.onnx.ml";
/// Those of [`LEARNING`].
const LEARNT: &[&str] = &[
    "ArrayFeatureExtractor",
    "CategoryMapper",
    "LinearClassifier",
    "LinearRegressor",
    "Normalizer",
    "TreeEnsembleClassifier",
];

/// A construct that tract does not run, or runs wrongly without saying so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The node, or the tensor or value where it is no node's.
    pub node: String,
    /// Its operator; `initializer`, `input` or `output` where it is no node.
    pub operator: String,
    /// What is wrong with it.
    pub problem: String,
    /// Position of the node in the main graph, or of the one that it lies in.
    pub at: Option<usize>,
}

/// The faults that running `model` with tract would meet, bodies of If and Scan included. None
/// found is no promise that it runs.
pub fn faults(model: &Model) -> Vec<Fault> {
    let mut finder =
        FaultFinder { tract: &TRACT, model: &model.proto, opset: model.opset(), found: Vec::new() };
    finder.graph(model.graph(), None);
    finder.found
}

struct FaultFinder<'m> {
    tract: &'m Onnx,
    model: &'m ModelProto,
    opset: i64,
    found: Vec<Fault>,
}

impl FaultFinder<'_> {
    fn add(&mut self, node: &str, operator: &str, problem: String, at: Option<usize>) {
        self.found.push(Fault { node: node.into(), operator: operator.into(), problem, at });
    }

    /// Looks at `graph`, which lies in the node at `outer` of the main graph, or is that.
    fn graph(&mut self, graph: &GraphProto, outer: Option<usize>) {
        for (place, values) in [("input", &graph.input), ("output", &graph.output)] {
            for value in values {
                if let Some(problem) = value_problem(value) {
                    self.add(value.name(), place, problem, outer);
                }
            }
        }
        for tensor in &graph.initializer {
            if let Some(problem) = tensor_problem(tensor) {
                self.add(tensor.name(), "initializer", problem, outer);
            }
        }
        for (at, node) in graph.node.iter().enumerate() {
            let outer = outer.or(Some(at));
            for problem in self.node_problems(node) {
                self.add(node_label(node), &operator_label(node), problem, outer);
            }
            for body in bodies(node) {
                self.graph(body, outer);
            }
        }
    }

    fn node_problems(&self, node: &NodeProto) -> Vec<String> {
        let mut problems: Vec<String> = Vec::new();
        problems.extend(self.operator_problem(node).or_else(|| semantic_problem(node)));
        for attribute in &node.attribute {
            problems.extend(attribute.t.iter().chain(&attribute.tensors).find_map(tensor_problem));
        }
        let target = if node.op_type() == "Cast" { int(node, "to") } else { None };
        problems.extend(target.and_then(|code| dtype_problem(code as i32)));
        problems
    }

    fn operator_problem(&self, node: &NodeProto) -> Option<String> {
        let (domain, operator) = (node.domain(), node.op_type());
        let mut functions = self.model.functions.iter();
        if functions.any(|function| function.domain() == domain && function.name() == operator) {
            return Some(format!("{operator} is a function of the model, which tract does not expand"));
        }
        // These are gone before tract sees the graph.
        if is_standard(domain) && WITHOUT.contains(&operator) || is_scaler(node) {
            return None;
        }
        if lowered::is_lowered(node) {
            return lowered::problem(node);
        }
        if !self.tract.op_register.0.contains_key(operator) {
            return Some(format!("{} is not supported by tract", operator_label(node)));
        }
        let is_known = match domain {
            LEARNING => LEARNT.contains(&operator),
            CONTRIB => is_microsoft(operator),
            _ => is_standard(domain),
        };
        match is_known {
            true => refusal(node, self.opset),
            false => Some(format!("tract ignores the domain {domain} and runs the standard {operator}")),
        }
    }
}

fn semantic_problem(node: &NodeProto) -> Option<String> {
    let given = |slot: usize| node.input.get(slot).is_some_and(|input| !input.is_empty());
    let problem = match node.op_type() {
        "SpaceToDepth" if string(node, "mode") == Some("CRD") => "tract ignores mode=CRD",
        "DFT" if given(1) => "tract ignores dft_length",
        "DFT" if !given(2) && int(node, "axis").is_none() => "tract takes another axis where none is given",
        "LinearRegressor" if string(node, "post_transform").is_some_and(|then| then != "NONE") => {
            "tract ignores post_transform"
        }
        "TreeEnsembleClassifier" => "tract decides some branches of trees otherwise",
        "NonMaxSuppression" if !given(2) => {
            "tract takes all boxes where max_output_boxes_per_class is left out, which means none"
        }
        "QuantizeLinear" if !given(2) && !matches!(int(node, "output_dtype"), None | Some(0 | 2)) => {
            "tract ignores output_dtype"
        }
        "Transpose" if ints(node, "perm").is_some_and(|perm| !is_permutation(perm)) => {
            "its perm names an axis twice or none, at which tract never ends"
        }
        _ => return None,
    };
    Some(problem.into())
}

/// Whether `perm` holds each number from 0 up once.
fn is_permutation(perm: &[i64]) -> bool {
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    (0..).zip(&sorted).all(|(at, &axis)| axis == at)
}

fn value_problem(value: &ValueInfoProto) -> Option<String> {
    match &value.r#type.as_ref()?.value {
        Some(type_proto::Value::TensorType(tensor)) => dtype_problem(tensor.elem_type()),
        Some(type_proto::Value::SequenceType(_)) => Some("tract has no sequences".into()),
        Some(type_proto::Value::OptionalType(_)) => Some("tract has no optional values".into()),
        Some(_) => Some("tract has only dense tensors".into()),
        None => None,
    }
}

fn tensor_problem(tensor: &TensorProto) -> Option<String> {
    dtype_problem(tensor.data_type())
}

fn dtype_problem(code: i32) -> Option<String> {
    use Dtype::{
        Bfloat16, Bool, Double, Float, Float16, Int4, Int8, Int16, Int32, Int64, Uint4, Uint8, Uint16, Uint32,
    };
    use Dtype::{String as Text, Uint64, Undefined};
    let name = dtype_name(code);
    match Dtype::try_from(code) {
        Ok(Bool | Float16 | Bfloat16 | Float | Double | Text | Undefined) => None,
        Ok(Int8 | Int16 | Int32 | Int64 | Uint8 | Uint16 | Uint32 | Uint64) => None,
        Ok(Int4 | Uint4) => Some(format!("{name} must be lowered before tract can read it")),
        _ => Some(format!("tract has no {name}")),
    }
}
