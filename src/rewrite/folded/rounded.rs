//! QuantizeLinear and DequantizeLinear of activations, spelled in float operators.
//!
//! ONNX rounds `x / scale` to f32 before it rounds to a code. tract turns every float division into a
//! product with the reciprocal, which falls on the other side of a tie now and then. In f64 that
//! costs nothing: the exact quotient of two f32 numbers keeps a relative distance of more than
//! 2^-50 from every midpoint between two f32 numbers, and the product with the reciprocal, both
//! rounded to f64, an error of less than 2^-51; so both round to the same f32.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::onnx::Names;
use crate::onnx::build::node;
use crate::onnx::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::onnx::{
    Dtype, Index, attr, bodies_mut, floats, int, integers, is_linear, node_label, tensor, tensor_f32,
    value_shape,
};
use crate::rewrite::patch::{forget, prune};

/// The opset in which Round enters.
const OPSET_ROUND: i64 = 11;
/// Adding and subtracting it rounds a small number to the nearest integer, ties to even.
const TO_INTEGER: f32 = 1.5 * (1 << 23) as f32;

/// Spells every QuantizeLinear of a float value that only DequantizeLinear reads, and these, as
/// float operators with the same results, in `graph` and its subgraphs. What has another form
/// stays.
///
/// # Errors
/// [`crate::error::Error::Invalid`] where data is not as long as its dimensions say.
pub(super) fn spell(graph: &mut GraphProto, opset: i64) -> Result<()> {
    let old = opset < OPSET_ROUND;
    spell_within(graph, &mut New { names: Names::of(graph, 1), constants: Vec::new(), old })
}

fn spell_within(graph: &mut GraphProto, new: &mut New) -> Result<()> {
    let index = Index::new(graph);
    let mut spelled: HashMap<usize, Vec<NodeProto>> = HashMap::new();
    let (mut codes, mut unread) = (HashSet::new(), HashSet::new());
    for (at, node) in graph.node.iter().enumerate() {
        let Some(rounding) = Rounding::of(node, &index)? else { continue };
        if new.old && rounding.operands.zeros.len() != 1 {
            continue;
        }
        codes.insert(rounding.codes.to_owned());
        unread.extend(node.input.iter().skip(1).cloned());
        spelled.insert(at, rounding.quantize(node, new));
        for (reader, scale) in &rounding.readers {
            let node = &graph.node[*reader];
            unread.extend(node.input.iter().skip(1).cloned());
            spelled.insert(*reader, new.dequantize(node, scale));
        }
    }
    let old = std::mem::take(&mut graph.node);
    for (at, node) in old.into_iter().enumerate() {
        graph.node.extend(spelled.remove(&at).unwrap_or_else(|| vec![node]));
    }
    graph.initializer.append(&mut new.constants);
    // They are floats now.
    graph.value_info.retain(|value| !codes.contains(value.name()));
    let gone = prune(graph, unread);
    forget(graph, &gone);
    graph.node.iter_mut().flat_map(bodies_mut).try_for_each(|body| spell_within(body, new))
}

/// One value, or one for each index of an axis, and the dimensions that broadcast it there.
struct Parameter {
    dims: Vec<i64>,
    values: Vec<f32>,
    /// FLOAT, FLOAT16 or BFLOAT16.
    float: Dtype,
}

/// What a QuantizeLinear or DequantizeLinear has besides its first input.
struct Operands {
    scale: Parameter,
    zeros: Vec<i64>,
    dtype: Dtype,
}

impl Operands {
    /// `None` where they are no constants, or ask for what float operators do not say. `rank` is
    /// that of the first input, where known.
    fn of(node: &NodeProto, index: &Index, rank: Option<usize>) -> Result<Option<Self>> {
        let plain = |name: &str, most: i64| int(node, name).is_none_or(|value| (0..=most).contains(&value));
        let quantize = node.op_type() == "QuantizeLinear";
        let asked = int(node, "output_dtype").filter(|&dtype| dtype != 0);
        let whole = Dtype::Float as i64;
        if !(is_linear(node, "QuantizeLinear") || is_linear(node, "DequantizeLinear"))
            || !plain("block_size", 0)
            || !plain("precision", whole)
            || (!quantize && asked.is_some_and(|dtype| dtype != whole))
        {
            return Ok(None);
        }
        let input = |slot: usize| node.input.get(slot).filter(|name| !name.is_empty());
        let Some(scale) = input(1).and_then(|name| index.constant(name)) else { return Ok(None) };
        let zero = input(2).map(|name| index.constant(name));
        let float = Dtype::try_from(scale.data_type()).ok();
        let Some(float) = float.filter(|&float| is_float(float as i32)) else {
            return Ok(None);
        };
        if zero == Some(None) {
            return Ok(None);
        }
        let scales = floats(scale)?;
        let count = scales.len();
        let zeros = zero.flatten().map_or(Ok(vec![0; count]), integers)?;
        let code = zero.flatten().map_or(asked.unwrap_or(Dtype::Uint8 as i64), |it| it.data_type().into());
        let dtype = i32::try_from(code).ok().and_then(|code| Dtype::try_from(code).ok());
        let dims = match scale.dims.as_slice() {
            [] | [1] => Some(Vec::new()),
            &[length] => behind(int(node, "axis").unwrap_or(1), rank)
                .map(|ones| std::iter::once(length).chain(std::iter::repeat_n(1, ones)).collect()),
            _ => None,
        };
        let (Some(dims), Some(dtype), true) = (dims, dtype, zeros.len() == count) else { return Ok(None) };
        Ok(Some(Self { scale: Parameter { dims, values: scales, float }, zeros, dtype }))
    }
}

/// Whether QuantizeLinear takes values of this type, and they are floats.
fn is_float(dtype: i32) -> bool {
    [Dtype::Float, Dtype::Float16, Dtype::Bfloat16].iter().any(|&float| float as i32 == dtype)
}

/// How many axes come after `axis`.
fn behind(axis: i64, rank: Option<usize>) -> Option<usize> {
    match axis < 0 {
        true => usize::try_from(-1 - axis).ok(),
        false => rank?.checked_sub(usize::try_from(axis).ok()?)?.checked_sub(1),
    }
}

/// The least and the largest code of a type.
fn range(dtype: Dtype) -> Option<(i64, i64)> {
    match dtype {
        Dtype::Int4 => Some((-8, 7)),
        Dtype::Uint4 => Some((0, 15)),
        Dtype::Int8 => Some((-128, 127)),
        Dtype::Uint8 => Some((0, 255)),
        Dtype::Int16 => Some((-32768, 32767)),
        Dtype::Uint16 => Some((0, 65535)),
        _ => None,
    }
}

/// A QuantizeLinear, and the DequantizeLinear nodes that read it.
struct Rounding<'g> {
    codes: &'g str,
    operands: Operands,
    range: (i64, i64),
    /// Position and scale of each reader.
    readers: Vec<(usize, Parameter)>,
}

impl<'g> Rounding<'g> {
    fn of(node: &'g NodeProto, index: &Index<'g>) -> Result<Option<Self>> {
        let ([x, ..], [codes]) = (node.input.as_slice(), node.output.as_slice()) else { return Ok(None) };
        if node.op_type() != "QuantizeLinear" || index.is_output(codes) || index.is_captured(codes) {
            return Ok(None);
        }
        let declared = index.info(x).and_then(value_shape).map(|(dtype, dims)| (dtype, dims.len()));
        let stored = index.initializer(x).map(|tensor| (tensor.data_type(), tensor.dims.len()));
        let known = declared.or(stored);
        if known.is_some_and(|(dtype, _)| !is_float(dtype)) {
            return Ok(None);
        }
        let rank = known.map(|(_, rank)| rank);
        let Some(operands) = Operands::of(node, index, rank)? else { return Ok(None) };
        let Some(range) = range(operands.dtype) else { return Ok(None) };
        let mut readers = Vec::new();
        for &(at, slot) in index.consumers(codes) {
            let reader = &index.graph().node[at];
            if slot != 0 || reader.op_type() != "DequantizeLinear" || reader.output.len() != 1 {
                return Ok(None);
            }
            match Operands::of(reader, index, rank)? {
                Some(its) if its.zeros == operands.zeros && its.scale.dims == operands.scale.dims => {
                    readers.push((at, its.scale));
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(Self { codes, operands, range, readers }))
    }

    /// Nodes that give the codes less the zero point, as floats, under the codes' name.
    fn quantize(&self, old: &NodeProto, new: &mut New) -> Vec<NodeProto> {
        let (codes, scale) = (self.codes, &self.operands.scale);
        let reciprocals = scale.values.iter().flat_map(|&scale| f64::from(scale).recip().to_le_bytes());
        let reciprocals: Vec<u8> = reciprocals.collect();
        let reciprocal = new.constant(format!("{codes}_reciprocal"), |name| {
            tensor(name, Dtype::Double, &scale.dims, reciprocals)
        });
        let finish: [(&str, Option<String>, Vec<AttributeProto>); 3] = match new.old {
            // The bounds are integers, so that clamping before rounding gives the same code as after it.
            true => {
                let bounds = [("min", self.range.0), ("max", self.range.1)]
                    .map(|(name, code)| attr::float(name, (code - self.operands.zeros[0]) as f32));
                let wanted = format!("{codes}_to_integer");
                let large = new.constant(wanted, |name| tensor_f32(name, &[], &[TO_INTEGER]));
                let [add, subtract] = [Some(large.clone()), Some(large)];
                [("Clip", None, bounds.to_vec()), ("Add", add, Vec::new()), ("Sub", subtract, Vec::new())]
            }
            false => {
                let mut bound =
                    |which: &str, code: i64| {
                        let values: Vec<f32> =
                            self.operands.zeros.iter().map(|zero| (code - zero) as f32).collect();
                        Some(new.constant(format!("{codes}_{which}"), |name| {
                            tensor_f32(name, &scale.dims, &values)
                        }))
                    };
                let (lowest, highest) = (bound("lowest", self.range.0), bound("highest", self.range.1));
                [("Round", None, Vec::new()), ("Max", lowest, Vec::new()), ("Min", highest, Vec::new())]
            }
        };
        let to = |dtype: Dtype| vec![attr::int("to", dtype as i64)];
        let mut value = old.input[0].clone();
        let mut step = |operator: &str, other: Option<&String>, attributes: Vec<_>, last: bool| {
            let inputs = [Some(&value), other].map(|input| input.map(String::as_str));
            let inputs: Vec<&str> = inputs.into_iter().flatten().collect();
            let output = match last {
                true => codes.to_owned(),
                false => new.names.fresh(format!("{codes}_{}", operator.to_lowercase())),
            };
            let name = new.names.fresh(format!("{}_{operator}", node_label(old)));
            let made = node(operator, &name, &inputs, &[&output], &attributes);
            value = output;
            made
        };
        let mut nodes = vec![
            step("Cast", None, to(Dtype::Double), false),
            step("Mul", Some(&reciprocal), Vec::new(), false),
            step("Cast", None, to(Dtype::Float), false),
        ];
        let last = finish.len() - 1;
        for (at, (operator, other, attributes)) in finish.into_iter().enumerate() {
            nodes.push(step(operator, other.as_ref(), attributes, at == last));
        }
        nodes
    }
}

/// What is new besides nodes.
struct New {
    /// Whether the model has no Round, and a Clip whose bounds are attributes.
    old: bool,
    names: Names,
    constants: Vec<TensorProto>,
}

impl New {
    fn constant(&mut self, wanted: String, make: impl FnOnce(&str) -> TensorProto) -> String {
        let name = self.names.fresh(wanted);
        self.constants.push(make(&name));
        name
    }

    fn dequantize(&mut self, old: &NodeProto, scale: &Parameter) -> Vec<NodeProto> {
        let [codes, old_scale, ..] = old.input.as_slice() else { return vec![old.clone()] };
        let shaped = self
            .constant(format!("{old_scale}_of_{codes}"), |name| tensor_f32(name, &scale.dims, &scale.values));
        if scale.float == Dtype::Float {
            return vec![node("Mul", old.name(), &[codes, &shaped], &[&old.output[0]], &[])];
        }
        // The product is rounded to half precision once.
        let product = self.names.fresh(format!("{}_product", old.output[0]));
        let name = self.names.fresh(format!("{}_Cast", node_label(old)));
        let to = attr::int("to", scale.float as i64);
        vec![
            node("Mul", old.name(), &[codes, &shaped], &[&product], &[]),
            node("Cast", &name, &[&product], &[&old.output[0]], &[to]),
        ]
    }
}
