//! Codes that ordinary operators unpack. A runtime that folds constants does so once, while it loads the file, and then meets
//! float weights, or INT8 ones behind DequantizeLinear: the same network as in other forms, bit for bit.
//!
//! * Codes of two or four bits, less the lowest of their type, are digits of bytes b: with r codes to a byte, base B, and steps
//!   `s = [1, 1/B, 1/B^2, ...]`, they are `v - B * floor(v / B)` of `v = floor(b * s)`, all of which FLOAT holds exactly.
//! * Codes of other widths are stored bit after bit: each bit of eight codes is a byte, whose digits to base 2 count 1, 2, 4 ...
//! * Digit after digit: the first bytes' first digits come first, so that no transposition is needed.

use bytes::Bytes;

use super::linear::{Labels, code_tensor, linear, typed, widened};
use super::patch::Patch;
use super::scene::Place;
use super::unfit;
use crate::error::Result;
use crate::onnx::build::node;
use crate::onnx::proto::{AttributeProto, TensorProto};
use crate::onnx::{Dtype, Names, Scratch, attr, tensor, tensor_f32, tensor_i64};
use crate::plan::{CodesMut, Float, Laid, Partition, WeightDecision, WeightTerm, are_few};

/// The opset in which Mul and the like broadcast, and those in which Slice and ReduceSum take their axes as inputs.
const OPSET_BROADCAST: i64 = 7;
const OPSET_QDQ: i64 = 10;
const OPSET_SLICE: i64 = 10;
const OPSET_REDUCE_SUM: i64 = 13;
/// Bytes that are packed at a time.
const PIECE: usize = 1 << 18;

/// What becomes of unpacked codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Floats of this type.
    Floats(Float),
    /// INT8 behind DequantizeLinear.
    Codes,
}

/// Adds `term` as constants and the operators that make `output` of them.
pub(super) fn unpacked(
    output: &str,
    term: &WeightTerm,
    decision: &WeightDecision,
    goal: Goal,
    place: Place,
    names: &mut Names,
    patch: &mut Patch,
) -> Result<()> {
    if place.opset < OPSET_BROADCAST {
        let problem = format!(
            "unpacking it needs opset {OPSET_BROADCAST}, and the model is at {}: leave `.opset` keep out",
            place.opset
        );
        return Err(unfit(&decision.tensor, problem));
    }
    let shape = Shape::of(term, &decision.dims)
        .ok_or_else(|| unfit(&decision.tensor, format!("no scales by {:?}", term.partition)))?;
    let laid = term.laid(place.stored.storage, place.opset);
    let mut chain = Chain { place, names, patch };
    let (codes, zeros) = match laid {
        Laid::Digits => {
            let lowest = term.code_type.range().0;
            let zeros = term.zero_points.iter().map(|&zero| i32::from(zero) - lowest).collect();
            (chain.digits(term, &shape)?, zeros)
        }
        Laid::Wide => {
            let (dims, count) = match goal {
                Goal::Codes => (&decision.dims, term.codes.len()),
                Goal::Floats(_) => (&shape.laid, shape.count),
            };
            let element = |at: usize| if goal == Goal::Codes { Some(at) } else { shape.element(at) };
            let bytes = widened(term, &decision.dims, count, element)?;
            (chain.added(|name| Ok(tensor(name, Dtype::Int8, dims, bytes)))?, Vec::new())
        }
        Laid::Typed => {
            let bytes = if shape.is_whole() { term.codes.bytes().clone() } else { filled(term, &shape)? };
            let codes = chain.added(|name| Ok(tensor(name, typed(term.code_type), &shape.laid, bytes)))?;
            (codes, term.zero_points.iter().map(|&zero| i32::from(zero)).collect())
        }
    };
    let zeros: Vec<i32> = if zeros.iter().all(|&zero| zero == 0) { Vec::new() } else { zeros };
    match goal {
        Goal::Codes => {
            let mut codes = codes;
            if zeros.is_empty() && laid == Laid::Typed {
                codes = chain.cast(&codes, Dtype::Int8);
                codes = chain.whole(codes, &shape, &decision.dims);
            } else if laid != Laid::Wide {
                codes = chain.float(codes, laid);
                if !zeros.is_empty() {
                    codes = chain.less(codes, &zeros, &shape, term);
                }
                codes = chain.whole(codes, &shape, &decision.dims);
                codes = chain.rounded(&codes);
            }
            let [scale, zero, node] = [(); 3].map(|()| chain.names.short());
            let labels = Labels { scale, zero, node };
            linear(output, &codes, (term, true), decision, place, labels, chain.names, chain.patch)
        }
        Goal::Floats(float) => {
            let mut value = chain.float(codes, laid);
            if laid == Laid::Wide {
                // It changes nothing. Without it OpenVINO takes weights of eight bits to be compressed, and rounds what they
                // are multiplied with.
                value = chain.node("Floor", &[&value], &[]);
            }
            if !zeros.is_empty() {
                value = chain.less(value, &zeros, &shape, term);
            }
            let scales = chain.added(|name| Ok(tensor_f32(name, &shape.scales, &term.scales)))?;
            value = chain.node("Mul", &[&value, &scales], &[]);
            value = chain.whole(value, &shape, &decision.dims);
            if float != Float::Float {
                chain.cast(&value, float.dtype());
            }
            chain.ends(output);
            Ok(())
        }
    }
}

/// How codes are laid out for operators that broadcast, and back.
struct Shape {
    /// Dimensions in which each scale is one element along some axes.
    laid: Vec<i64>,
    /// Dimensions of the scales beside these.
    scales: Vec<i64>,
    /// Blocks: the axis, its length, and that of all blocks together, which may be longer.
    blocks: Option<(usize, i64, i64)>,
    /// Elements behind that axis.
    inner: usize,
    /// Elements, those that fill up blocks included.
    count: usize,
}

impl Shape {
    fn of(term: &WeightTerm, dims: &[i64]) -> Option<Self> {
        let scales = term.partition.scale_dims(dims)?;
        let product = |dims: &[i64]| dims.iter().product::<i64>() as usize;
        Some(match term.partition {
            Partition::Tensor => {
                Self { laid: dims.to_vec(), scales, blocks: None, inner: 1, count: product(dims) }
            }
            Partition::Channel { axis } => {
                let scales = std::iter::once(dims[axis]).chain(dims[axis + 1..].iter().map(|_| 1)).collect();
                Self { laid: dims.to_vec(), scales, blocks: None, inner: 1, count: product(dims) }
            }
            Partition::Block { axis, size } => {
                // A single block is as long as the axis, whatever was asked for.
                let (groups, size) = (scales[axis], size.min(dims[axis].unsigned_abs() as usize) as i64);
                let with = |size: i64| {
                    let mut laid = dims.to_vec();
                    laid.splice(axis..=axis, [groups, size]);
                    laid
                };
                let blocks = Some((axis, dims[axis], groups.checked_mul(size)?));
                let inner = product(&dims[axis + 1..]);
                Self { laid: with(size), scales: with(1), blocks, inner, count: product(&with(size)) }
            }
        })
    }

    /// Whether nothing fills up blocks.
    fn is_whole(&self) -> bool {
        self.blocks.is_none_or(|(_, length, full)| length == full)
    }

    /// The element of the weights that stands at `at`; `None` for what fills up a block.
    fn element(&self, at: usize) -> Option<usize> {
        let Some((_, length, full)) = self.blocks.filter(|(_, length, full)| length != full) else {
            return Some(at);
        };
        let (length, full) = (length as usize, full as usize);
        let (line, place) = (at / self.inner, at % self.inner);
        let (row, column) = (line / full, line % full);
        (column < length).then(|| (row * length + column) * self.inner + place)
    }
}

/// Operators, one on the other.
struct Chain<'c> {
    place: Place,
    names: &'c mut Names,
    patch: &'c mut Patch,
}

impl Chain<'_> {
    /// A new node without a name. Its output, which has a short one.
    fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[AttributeProto]) -> String {
        let output = self.names.short();
        let mut made = node(operator, "", inputs, &[&output], attributes);
        made.name = None;
        self.patch.inserted.push((self.place.at, made));
        output
    }

    /// Gives the last value the name `output`.
    fn ends(&mut self, output: &str) {
        if let Some((_, last)) = self.patch.inserted.last_mut() {
            last.output = vec![output.to_owned()];
        }
    }

    /// A new constant.
    fn added(&mut self, make: impl FnOnce(&str) -> Result<TensorProto>) -> Result<String> {
        let name = self.names.short();
        self.patch.added.push(make(&name)?);
        Ok(name)
    }

    /// A constant that other layers may need too. Graphs inside others get their own.
    fn shared(&mut self, content: &str, make: impl FnOnce(&str) -> TensorProto) -> String {
        let (name, new) =
            if self.place.inside { (self.names.short(), true) } else { self.names.constant(content) };
        if new {
            self.patch.added.push(make(&name));
        }
        name
    }

    fn floats(&mut self, dims: &[i64], values: &[f32]) -> String {
        self.shared(&format!("floats {dims:?} {values:?}"), |name| tensor_f32(name, dims, values))
    }

    fn integers(&mut self, values: &[i64]) -> String {
        self.shared(&format!("integers {values:?}"), |name| tensor_i64(name, &[values.len() as i64], values))
    }

    fn cast(&mut self, value: &str, to: Dtype) -> String {
        self.node("Cast", &[value], &[attr::int("to", to as i64)])
    }

    /// `value`, which digits are already, as FLOAT.
    fn float(&mut self, value: String, laid: Laid) -> String {
        if laid == Laid::Digits { value } else { self.cast(&value, Dtype::Float) }
    }

    /// Whole numbers as INT8: by QuantizeLinear, behind which OpenVINO looks for codes, as it does not behind a Cast from FLOAT.
    fn rounded(&mut self, value: &str) -> String {
        if self.place.opset < OPSET_QDQ {
            return self.cast(value, Dtype::Int8);
        }
        let one = self.floats(&[], &[1.0]);
        let zero = self.shared("INT8 0", |name| tensor(name, Dtype::Int8, &[], vec![0]));
        self.node("QuantizeLinear", &[value, &one, &zero], &[])
    }

    fn reshape(&mut self, value: &str, dims: &[i64]) -> String {
        let dims = self.integers(dims);
        self.node("Reshape", &[value, &dims], &[])
    }

    /// The first `length` along `axis`.
    fn cut(&mut self, value: &str, axis: usize, length: i64) -> String {
        let (starts, ends, axes) = ([0], [length], [axis as i64]);
        if self.place.opset < OPSET_SLICE {
            let attributes =
                [attr::ints("starts", &starts), attr::ints("ends", &ends), attr::ints("axes", &axes)];
            return self.node("Slice", &[value], &attributes);
        }
        let [starts, ends, axes] = [starts, ends, axes].map(|values| self.integers(&values));
        self.node("Slice", &[value, &starts, &ends, &axes], &[])
    }

    /// `value` less zero points, one a group.
    fn less(&mut self, value: String, zeros: &[i32], shape: &Shape, term: &WeightTerm) -> String {
        let floats: Vec<f32> = zeros.iter().map(|&zero| zero as f32).collect();
        let zero = if zeros.iter().all(|zero| zero == &zeros[0]) {
            self.floats(&[], &floats[..1])
        } else if are_few(zeros.len()) {
            self.floats(&shape.scales, &floats)
        } else {
            let laid = term.laid(self.place.stored.storage, self.place.opset);
            let made = match laid {
                Laid::Typed => code_tensor("", term.code_type, &shape.scales, &term.zero_points),
                _ => {
                    let bytes: Vec<u8> = zeros.iter().map(|&zero| zero as u8).collect();
                    tensor("", Dtype::Uint8, &shape.scales, bytes)
                }
            };
            let name = self.names.short();
            self.patch.added.push(TensorProto { name: Some(name.clone()), ..made });
            self.cast(&name, Dtype::Float)
        };
        self.node("Sub", &[&value, &zero], &[])
    }

    /// `value` in the dimensions of the weights.
    fn whole(&mut self, value: String, shape: &Shape, dims: &[i64]) -> String {
        let Some((axis, length, full)) = shape.blocks else { return value };
        let mut filled = dims.to_vec();
        filled[axis] = full;
        let value = self.reshape(&value, &filled);
        if length == full { value } else { self.cut(&value, axis, length) }
    }

    /// Codes less the lowest of their type, as FLOAT.
    fn digits(&mut self, term: &WeightTerm, shape: &Shape) -> Result<String> {
        let bits = term.code_type.bits();
        let planes = !matches!(bits, 2 | 4);
        let width = if planes { 1 } else { bits };
        let per = 8 / width as usize;
        let columns = shape.count.div_ceil(per);
        let bytes = packed(term, shape, per, planes)?;
        let mut dims = vec![1, columns as i64];
        if planes {
            dims.insert(0, i64::from(bits));
        }
        let bytes = self.added(|name| Ok(tensor(name, Dtype::Uint8, &dims, bytes)))?;
        let base = (1u32 << width) as f32;
        let steps: Vec<f32> = (0..per).map(|at| base.powi(-(at as i32))).collect();
        let steps = self.floats(&[per as i64, 1], &steps);
        let (base, part) = (self.floats(&[], &[base]), self.floats(&[], &[base.recip()]));
        let bytes = self.cast(&bytes, Dtype::Float);
        let value = self.node("Mul", &[&bytes, &steps], &[]);
        let value = self.node("Floor", &[&value], &[]);
        let above = self.node("Mul", &[&value, &part], &[]);
        let above = self.node("Floor", &[&above], &[]);
        let above = self.node("Mul", &[&above, &base], &[]);
        let mut value = self.node("Sub", &[&value, &above], &[]);
        if planes {
            let counts: Vec<f32> = (0..bits).map(|bit| (1u32 << bit) as f32).collect();
            let counts = self.floats(&[i64::from(bits), 1, 1], &counts);
            value = self.node("Mul", &[&value, &counts], &[]);
            value = self.sum(&value);
        }
        if columns * per == shape.count {
            return Ok(self.reshape(&value, &shape.laid));
        }
        let value = self.reshape(&value, &[-1]);
        let value = self.cut(&value, 0, shape.count as i64);
        Ok(self.reshape(&value, &shape.laid))
    }

    /// The sum over the first axis.
    fn sum(&mut self, value: &str) -> String {
        let keep = attr::int("keepdims", 0);
        if self.place.opset < OPSET_REDUCE_SUM {
            return self.node("ReduceSum", &[value], &[attr::ints("axes", &[0]), keep]);
        }
        let axes = self.integers(&[0]);
        self.node("ReduceSum", &[value, &axes], &[keep])
    }
}

/// The code of `term` at `at` of `shape`, less `zero`; 0 for what fills up a block.
fn code(term: &WeightTerm, shape: &Shape, at: usize, zero: i32) -> i32 {
    shape.element(at).map_or(0, |element| i32::from(term.codes.get(element)) - zero)
}

/// Codes less the lowest of their type, `per` to a byte, or where they lie in `planes` a bit of each to a byte.
fn packed(term: &WeightTerm, shape: &Shape, per: usize, planes: bool) -> Result<Bytes> {
    let bits = term.code_type.bits() as usize;
    let (lowest, columns) = (term.code_type.range().0, shape.count.div_ceil(per));
    let digit = |at: usize| if at < shape.count { code(term, shape, at, lowest) as u32 } else { 0 };
    let mut made = Scratch::new();
    for plane in 0..if planes { bits } else { 1 } {
        for start in (0..columns).step_by(PIECE) {
            let byte = |column: usize| {
                let part = |place: usize| {
                    let digit = digit(place * columns + column);
                    if planes { (digit >> plane & 1) << place } else { digit << (place * bits) }
                };
                (0..per).map(part).sum::<u32>() as u8
            };
            made.push(&(start..columns.min(start + PIECE)).map(byte).collect::<Vec<u8>>())?;
        }
    }
    term.codes.let_go(0..term.codes.len());
    made.finish()
}

/// Codes in their own type, blocks filled up with zeros.
fn filled(term: &WeightTerm, shape: &Shape) -> Result<Bytes> {
    let mut codes = CodesMut::zeros(term.code_type, shape.count);
    (0..shape.count).for_each(|at| codes.set(at, code(term, shape, at, 0) as i16));
    Ok(codes.finish()?.bytes().clone())
}
