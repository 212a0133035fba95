//! Element types, from inputs and constants through the graph, held against what operators take.

use std::collections::HashMap;

use super::super::attributes::{attribute, int};
use super::super::model::{Model, dtype_name, is_standard};
use super::super::proto::{GraphProto, NodeProto, ValueInfoProto, type_proto};
use super::super::subgraphs::bodies;
use super::super::tensor::Dtype;
use super::Breach;
use super::table::{Signature, Types, UNSAID, signature};

/// The element types of the values of a model's main graph, as far as they are known.
#[derive(Clone, Debug, Default)]
pub struct ElementTypes(HashMap<String, i32>);

impl ElementTypes {
    /// Follows types through `model`.
    pub fn of(model: &Model) -> Self {
        let mut walk = Walk { opset: model.opset(), found: Vec::new() };
        let scope = walk.graph(model.graph(), None, &[]);
        Self(scope.types.into_iter().map(|(name, code)| (name.to_owned(), code)).collect())
    }

    /// ONNX's number of the type of `value`.
    pub fn get(&self, value: &str) -> Option<i32> {
        self.0.get(value).copied()
    }
}

/// What `model` breaks.
pub(super) fn check(model: &Model) -> Vec<Breach> {
    let mut walk = Walk { opset: model.opset(), found: Vec::new() };
    walk.graph(model.graph(), None, &[]);
    walk.found
}

struct Walk {
    opset: i64,
    found: Vec<Breach>,
}

/// The values that one graph knows, and those of the graphs around it.
struct Scope<'s, 'g> {
    outer: Option<&'s Scope<'s, 'g>>,
    types: HashMap<&'g str, i32>,
}

impl Scope<'_, '_> {
    fn get(&self, name: &str) -> Option<i32> {
        self.types.get(name).copied().or_else(|| self.outer?.get(name))
    }
}

/// The element type that `value` is declared to have.
fn declared(value: &ValueInfoProto) -> Option<i32> {
    match value.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => Some(tensor.elem_type()).filter(|&code| code != UNSAID),
        _ => None,
    }
}

impl Walk {
    /// Follows types through a graph whose inputs are `given` where it does not say what they are.
    fn graph<'s, 'g>(
        &mut self,
        graph: &'g GraphProto,
        outer: Option<&'s Scope<'s, 'g>>,
        given: &[Option<i32>],
    ) -> Scope<'s, 'g> {
        let mut scope = Scope { outer, types: HashMap::new() };
        for (at, input) in graph.input.iter().enumerate() {
            if let Some(code) = declared(input).or(given.get(at).copied().flatten()) {
                scope.types.insert(input.name(), code);
            }
        }
        scope.types.extend(graph.initializer.iter().map(|tensor| (tensor.name(), tensor.data_type())));
        let sparse = graph.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref());
        scope.types.extend(sparse.map(|tensor| (tensor.name(), tensor.data_type())));
        let said: HashMap<&str, i32> = graph
            .value_info
            .iter()
            .chain(&graph.output)
            .filter_map(|value| Some((value.name(), declared(value)?)))
            .collect();
        for node in &graph.node {
            let made = self.node(node, &scope);
            for (output, code) in node.output.iter().zip(made).filter(|(name, _)| !name.is_empty()) {
                let said = said.get(output.as_str()).copied();
                if let (Some(code), Some(said)) = (code, said)
                    && code != said
                {
                    let problem =
                        format!("it gives {}, and the graph declares {}", dtype_name(code), dtype_name(said));
                    self.found.push(Breach::new(node, output, problem));
                }
                if let Some(code) = code.or(said) {
                    scope.types.insert(output, code);
                }
            }
        }
        scope
    }

    /// The types of what `node` gives.
    fn node<'g>(&mut self, node: &'g NodeProto, scope: &Scope<'_, 'g>) -> Vec<Option<i32>> {
        let inputs: Vec<Option<i32>> = node.input.iter().map(|name| scope.get(name)).collect();
        let given = body_inputs(node, &inputs);
        let inner: Vec<Vec<Option<i32>>> = bodies(node)
            .map(|body| {
                let inside = self.graph(body, Some(scope), &given);
                body.output.iter().map(|output| inside.get(output.name()).or(declared(output))).collect()
            })
            .collect();
        let Some(signature) = signature(node, self.opset) else { return vec![None; node.output.len()] };
        self.form(node, signature);
        let bound = self.inputs(node, signature, &inputs);
        let output = |at: usize| {
            let asked = asked(node, &inputs).filter(|_| at == 0);
            let slot = signature.output(at)?;
            let letter = || bound.get(slot.letter?).map(|&(code, _)| code);
            asked.or_else(letter).or_else(|| slot.types?.single()).or_else(|| from_bodies(node, &inner, at))
        };
        (0..node.output.len()).map(output).collect()
    }

    /// Attributes that the operator does not have, and how many inputs there are.
    fn form(&mut self, node: &NodeProto, signature: &Signature) {
        let version = self.version(node);
        for attribute in &node.attribute {
            let name = attribute.name();
            // Two underscores mark what a tool keeps for itself.
            if !signature.attributes.contains(&name) && !name.starts_with("__") {
                let problem = format!("attribute {name}, which {version} does not have");
                self.found.push(Breach::new(node, "", problem));
            }
        }
        let (least, most) = (signature.least, signature.inputs.len());
        let endless = signature.inputs.last().is_some_and(|slot| slot.repeated);
        let count = node.input.len();
        if count < least || count > most && !endless {
            let takes = if least == most { least.to_string() } else { format!("{least} to {most}") };
            let problem = format!("{count} inputs; {version} takes {takes}");
            self.found.push(Breach::new(node, "", problem));
        }
    }

    /// Holds the types of inputs against what is taken; what each letter stands for, and which input says so.
    fn inputs<'n>(
        &mut self,
        node: &'n NodeProto,
        signature: &Signature,
        inputs: &[Option<i32>],
    ) -> HashMap<&'static str, (i32, &'n str)> {
        let mut bound: HashMap<&'static str, (i32, &str)> = HashMap::new();
        for (at, (name, code)) in node.input.iter().zip(inputs).enumerate() {
            let (Some(code), Some(slot)) = (*code, signature.input(at)) else { continue };
            let Some(types) = slot.types.filter(|_| !name.is_empty()) else { continue };
            if !types.contains(code) {
                let takes = names(types);
                let problem =
                    format!("input {at} is {}; {} takes {takes}", dtype_name(code), self.version(node));
                self.found.push(Breach::new(node, name, problem));
                continue;
            }
            let Some(letter) = slot.letter else { continue };
            let (other, whose) = *bound.entry(letter).or_insert((code, name));
            if other != code {
                let problem = format!(
                    "it is {}, and {whose} is {}; {} takes both of one type",
                    dtype_name(code),
                    dtype_name(other),
                    self.version(node)
                );
                self.found.push(Breach::new(node, name, problem));
            }
        }
        bound
    }

    fn version(&self, node: &NodeProto) -> String {
        match is_standard(node.domain()) {
            true => format!("{} of opset {}", node.op_type(), self.opset),
            false => format!("{} of {}", node.op_type(), node.domain()),
        }
    }
}

fn names(types: Types) -> String {
    types.codes().map(dtype_name).collect::<Vec<_>>().join(", ")
}

/// What the graphs in `node` get, where they do not say so: a Loop counts in INT64 and asks a BOOL.
fn body_inputs(node: &NodeProto, inputs: &[Option<i32>]) -> Vec<Option<i32>> {
    match node.op_type() {
        "Loop" => {
            let own = [Some(Dtype::Int64 as i32), Some(Dtype::Bool as i32)];
            own.into_iter().chain(inputs.iter().skip(2).copied()).collect()
        }
        "Scan" => inputs.to_vec(),
        _ => Vec::new(),
    }
}

/// What output `at` of a node with graphs in it is, by what these give.
fn from_bodies(node: &NodeProto, inner: &[Vec<Option<i32>>], at: usize) -> Option<i32> {
    let at = at + usize::from(node.op_type() == "Loop");
    inner.iter().find_map(|outputs| outputs.get(at).copied().flatten())
}

/// The type of the first output of an operator that is told what to give.
fn asked(node: &NodeProto, inputs: &[Option<i32>]) -> Option<i32> {
    let said =
        |name: &str| int(node, name).and_then(|code| i32::try_from(code).ok()).filter(|&code| code != UNSAID);
    let input = |at: usize| inputs.get(at).copied().flatten();
    let float = Some(Dtype::Float as i32);
    match node.op_type() {
        "Cast" => said("to"),
        "QuantizeLinear" if node.input.get(2).is_none_or(String::is_empty) => {
            said("output_dtype").or(Some(Dtype::Uint8 as i32))
        }
        "DequantizeLinear" => said("output_dtype").or_else(|| input(1)),
        "Constant" => constant(node),
        "ConstantOfShape" => {
            let value = attribute(node, "value").and_then(|value| value.t.as_ref());
            value.map_or(float, |value| Some(value.data_type()))
        }
        "RandomNormal" | "RandomUniform" => said("dtype").or(float),
        "EyeLike" | "RandomNormalLike" | "RandomUniformLike" | "Bernoulli" => {
            said("dtype").or_else(|| input(0))
        }
        "Multinomial" => said("dtype").or(Some(Dtype::Int32 as i32)),
        "HannWindow" | "HammingWindow" | "BlackmanWindow" => said("output_datatype").or(float),
        "MelWeightMatrix" => said("output_datatype").or(float),
        _ => None,
    }
}

fn constant(node: &NodeProto) -> Option<i32> {
    let held = node.attribute.first()?;
    Some(match held.name() {
        "value" => held.t.as_ref()?.data_type(),
        "sparse_value" => held.sparse_tensor.as_ref()?.values.as_ref()?.data_type(),
        "value_float" | "value_floats" => Dtype::Float as i32,
        "value_int" | "value_ints" => Dtype::Int64 as i32,
        "value_string" | "value_strings" => Dtype::String as i32,
        _ => return None,
    })
}
