//! Codes that ordinary operators unpack, read back: the operators are recognised one by one, and what they make of the constants is
//! computed piece by piece.
//!
//! Digits: of `v = Floor(Cast(bytes) * [1, 1/B, 1/B^2, ...])`, with B a power of two, `v - B * Floor(v / B)` is one digit of each byte
//! after the other. Planes: digits to base 2, counted 1, 2, 4 ... and summed up. On these, or on codes in a type of their own behind
//! a Cast: Sub of zero points, Mul with scales, Reshape, and a Slice from the start of one axis.

mod spread;

use super::Codes;
use crate::error::Result;
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{
    Dtype, Index, axis_of, element_count, floats, int, integers, ints, is_linear, is_standard,
};

use spread::Spread;

/// Operators that are followed, at most.
const MOST_STEPS: usize = 16;
/// Bits of a byte.
const BYTE: u32 = 8;

/// What operators make of constant codes.
#[derive(Debug)]
pub(super) struct Unpacked<'g> {
    /// The dimensions of the value.
    pub dims: Vec<i64>,
    /// Positions of the operators, the last one included.
    pub nodes: Vec<usize>,
    /// Bits of a code as it is stored.
    pub bits: u32,
    /// The tensor that holds the codes.
    pub tensor: &'g TensorProto,
    stored: Stored<'g>,
    steps: Vec<Step>,
}

/// Codes as the file has them.
#[derive(Debug)]
enum Stored<'g> {
    Typed(Codes<'g>),
    /// So many bytes with one digit of so many bits after the other.
    Digits {
        bytes: &'g [u8],
        bits: u32,
    },
    /// So many bytes a plane, each with one bit of eight codes.
    Planes {
        bytes: &'g [u8],
        columns: usize,
    },
}

#[derive(Debug)]
enum Step {
    Less(Spread),
    Times(Spread),
    Cut { length: usize, full: usize, inner: usize },
}

impl<'g> Unpacked<'g> {
    /// What makes `value`; `None` where that is anything else.
    ///
    /// # Errors
    /// [`crate::error::Error::Invalid`] where a constant's data is not as long as its dimensions say.
    pub fn of(value: &str, index: &Index<'g>) -> Result<Option<Self>> {
        Self::within(value, index, MOST_STEPS)
    }

    /// Whether scales are part of it, so that it is no code any more.
    pub fn is_scaled(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Times(_)))
    }

    /// Whether bytes hold digits of several codes.
    pub fn is_in_bytes(&self) -> bool {
        !matches!(self.stored, Stored::Typed(_))
    }

    /// The axis along which each index has a scale of its own, if there is one.
    pub fn axis(&self) -> Option<usize> {
        let scale = self.steps.iter().rev().find_map(|step| match step {
            Step::Times(scale) => Some(scale),
            _ => None,
        });
        scale?.axis(&self.dims)
    }

    fn within(value: &str, index: &Index<'g>, left: usize) -> Result<Option<Self>> {
        let Some(at) = index.producer_at(value).filter(|_| left > 0) else { return Ok(None) };
        let node = &index.graph().node[at];
        let known = is_standard(node.domain()) || is_linear(node, "QuantizeLinear");
        if !known || node.output.len() != 1 {
            return Ok(None);
        }
        let input = |slot: usize| node.input.get(slot).map_or("", String::as_str);
        let before = |slot: usize| Self::within(input(slot), index, left - 1);
        let mut casts = Vec::new();
        let found = match node.op_type() {
            "Cast" => {
                let to = int(node, "to");
                let is = |dtype: Dtype| to == Some(dtype as i64);
                match index.constant(input(0)) {
                    Some(tensor) if is(Dtype::Float) || is(Dtype::Int8) => Self::typed(tensor)?,
                    // Of integers, which codes are until they are scaled.
                    None if is(Dtype::Int8) => before(0)?.filter(|found| !found.is_scaled()),
                    _ => None,
                }
            }
            "Sub" => match numbers(input(1), index, &mut casts)? {
                Some(zero) => match before(0)?.filter(|found| !found.is_scaled()) {
                    Some(found) => found.and(zero, Step::Less),
                    None => None,
                },
                None => Self::digits(node, index)?,
            },
            "Mul" => match numbers(input(1), index, &mut casts)? {
                Some(scale) => match before(0)? {
                    Some(found) => found.and(scale, Step::Times),
                    None => None,
                },
                None => None,
            },
            "Reshape" => match (before(0)?, index.constant(input(1))) {
                (Some(found), Some(dims)) => found.reshaped(&integers(dims)?),
                _ => None,
            },
            "Slice" => match before(0)? {
                Some(found) => found.cut(node, index)?,
                None => None,
            },
            // Of whole numbers.
            "Floor" => before(0)?.filter(|found| !found.is_scaled()),
            // To INT8 by a scale of 1, which rounds nothing.
            "QuantizeLinear" if node.input.len() == 3 => {
                let zero = index.constant(input(2)).filter(|zero| zero.data_type() == Dtype::Int8 as i32);
                let zero = zero.map(integers).transpose()?;
                let plain = zero.as_deref() == Some(&[0])
                    && numbers(input(1), index, &mut casts)?.is_some_and(|(_, scale)| scale == [1.0]);
                if plain { before(0)?.filter(|found| !found.is_scaled()) } else { None }
            }
            "ReduceSum" => Self::planes(node, index)?,
            _ => None,
        };
        Ok(found.map(|mut found| {
            found.nodes.extend(casts);
            found.nodes.push(at);
            found
        }))
    }

    fn typed(tensor: &'g TensorProto) -> Result<Option<Self>> {
        let kind = Dtype::try_from(tensor.data_type()).unwrap_or(Dtype::Undefined);
        let bits = match kind {
            Dtype::Int4 | Dtype::Uint4 => 4,
            Dtype::Int8 | Dtype::Uint8 => 8,
            _ => return Ok(None),
        };
        let stored = Stored::Typed(Codes::of(tensor, kind)?);
        Ok(Some(Self {
            dims: tensor.dims.clone(),
            nodes: Vec::new(),
            bits,
            tensor,
            stored,
            steps: Vec::new(),
        }))
    }

    /// The digits that a Sub leaves.
    fn digits(node: &NodeProto, index: &Index<'g>) -> Result<Option<Self>> {
        let mut nodes = Vec::new();
        let Some((tensor, bits)) = digits(node, index, &mut nodes)? else { return Ok(None) };
        let (&[1, columns], Some(bytes)) = (&*tensor.dims, bytes(tensor)?) else { return Ok(None) };
        let stored = Stored::Digits { bytes, bits };
        let dims = vec![i64::from(BYTE / bits), columns];
        Ok(Some(Self { dims, nodes, bits, tensor, stored, steps: Vec::new() }))
    }

    /// The codes that a ReduceSum makes of digits to base 2.
    fn planes(node: &NodeProto, index: &Index<'g>) -> Result<Option<Self>> {
        let axes = match node.input.get(1) {
            Some(axes) => index.constant(axes).map(integers).transpose()?,
            None => ints(node, "axes").map(<[i64]>::to_vec),
        };
        if axes.as_deref() != Some(&[0]) || int(node, "keepdims") != Some(0) {
            return Ok(None);
        }
        let mut nodes = Vec::new();
        let Some(counted) = node.input.first().and_then(|name| made(name, "Mul", index, &mut nodes)) else {
            return Ok(None);
        };
        let [digit, counts] = counted.input.as_slice() else { return Ok(None) };
        let Some(node) = made(digit, "Sub", index, &mut nodes) else { return Ok(None) };
        let Some((tensor, 1)) = digits(node, index, &mut nodes)? else { return Ok(None) };
        let (&[planes, 1, columns], Some(bytes)) = (&*tensor.dims, bytes(tensor)?) else { return Ok(None) };
        let wanted = (0..planes.min(i64::from(BYTE))).map(|bit| (1u32 << bit) as f32);
        let counts = numbers(counts, index, &mut nodes)?;
        if !counts.is_some_and(|(dims, values)| dims == [planes, 1, 1] && values.iter().copied().eq(wanted)) {
            return Ok(None);
        }
        let stored = Stored::Planes { bytes, columns: columns as usize };
        let dims = vec![i64::from(BYTE), columns];
        Ok(Some(Self { dims, nodes, bits: planes as u32, tensor, stored, steps: Vec::new() }))
    }

    /// With one more operator on it.
    fn and(mut self, (dims, values): (Vec<i64>, Vec<f32>), step: fn(Spread) -> Step) -> Option<Self> {
        self.steps.push(step(Spread::new(&self.dims, &dims, values)?));
        Some(self)
    }

    fn reshaped(mut self, asked: &[i64]) -> Option<Self> {
        let product = |dims: &[i64]| dims.iter().try_fold(1i64, |product, &dim| product.checked_mul(dim));
        let count = product(&self.dims)?;
        let known: Vec<i64> = asked.iter().copied().filter(|&dim| dim != -1).collect();
        if known.iter().any(|&dim| dim <= 0) || asked.len() > known.len() + 1 {
            return None;
        }
        let known = product(&known)?;
        self.dims = asked.iter().map(|&dim| if dim == -1 { count / known } else { dim }).collect();
        (product(&self.dims)? == count).then_some(self)
    }

    fn cut(mut self, node: &NodeProto, index: &Index<'g>) -> Result<Option<Self>> {
        let asked = |slot: usize, name: &str| match node.input.get(slot) {
            Some(input) => index.constant(input).map(integers).transpose(),
            None => Ok(ints(node, name).map(<[i64]>::to_vec)),
        };
        let found = (asked(1, "starts")?, asked(2, "ends")?, asked(3, "axes")?);
        let (Some([0]), Some([end]), Some([axis])) =
            (found.0.as_deref(), found.1.as_deref(), found.2.as_deref())
        else {
            return Ok(None);
        };
        let Some(axis) = axis_of(*axis, self.dims.len()).filter(|_| node.input.len() <= 4) else {
            return Ok(None);
        };
        let full = self.dims[axis];
        if !(1..=full).contains(end) {
            return Ok(None);
        }
        self.dims[axis] = *end;
        let inner = self.dims[axis + 1..].iter().product::<i64>() as usize;
        self.steps.push(Step::Cut { length: *end as usize, full: full as usize, inner });
        Ok(Some(self))
    }

    /// Puts the values from `start` on, all of which must exist, into `out`.
    pub fn read(&self, start: usize, out: &mut [f32]) {
        self.read_step(self.steps.len(), start, out);
    }

    fn read_step(&self, steps: usize, start: usize, out: &mut [f32]) {
        let Some(step) = steps.checked_sub(1).map(|last| &self.steps[last]) else {
            return self.stored.read(start, out);
        };
        match step {
            Step::Less(zero) => {
                self.read_step(steps - 1, start, out);
                zero.with(start, out, |value, zero| value - zero);
            }
            Step::Times(scale) => {
                self.read_step(steps - 1, start, out);
                scale.with(start, out, |value, scale| value * scale);
            }
            &Step::Cut { length, full, inner } => {
                let (kept, whole) = (length * inner, full * inner);
                let mut done = 0;
                while done < out.len() {
                    let (row, place) = ((start + done) / kept, (start + done) % kept);
                    let run = (kept - place).min(out.len() - done);
                    self.read_step(steps - 1, row * whole + place, &mut out[done..done + run]);
                    done += run;
                }
            }
        }
    }
}

impl Stored<'_> {
    fn read(&self, start: usize, out: &mut [f32]) {
        let count = out.len();
        let places = (start..).zip(out);
        match *self {
            Stored::Typed(ref codes) => {
                places.for_each(|(at, out)| *out = codes.get(at) as f32);
                codes.let_go(start, count);
            }
            Stored::Digits { bytes, bits } => {
                let mask = (1u32 << bits) - 1;
                places.for_each(|(at, out)| {
                    let byte = u32::from(bytes[at % bytes.len()]);
                    *out = (byte >> (bits * (at / bytes.len()) as u32) & mask) as f32;
                });
            }
            Stored::Planes { bytes, columns } => places.for_each(|(at, out)| {
                let bit = |plane: &[u8]| u32::from(plane[at % columns] >> (at / columns) & 1);
                let bits = bytes.chunks(columns).zip(0..).map(|(plane, place)| bit(plane) << place);
                *out = bits.sum::<u32>() as f32;
            }),
        }
    }
}

/// A float constant, or an integer one behind a Cast, whose position goes to `nodes`, with its dimensions.
fn numbers(name: &str, index: &Index, nodes: &mut Vec<usize>) -> Result<Option<(Vec<i64>, Vec<f32>)>> {
    if let Some(tensor) = index.constant(name) {
        return match tensor.data_type() == Dtype::Float as i32 {
            true => Ok(Some((tensor.dims.clone(), floats(tensor)?))),
            false => Ok(None),
        };
    }
    let Some(at) = index.producer_at(name) else { return Ok(None) };
    let node = &index.graph().node[at];
    if node.op_type() != "Cast" || !is_standard(node.domain()) {
        return Ok(None);
    }
    let tensor = node.input.first().and_then(|name| index.constant(name));
    let Some(tensor) = tensor.filter(|_| int(node, "to") == Some(Dtype::Float as i64)) else {
        return Ok(None);
    };
    let short = [Dtype::Int4, Dtype::Uint4, Dtype::Int8, Dtype::Uint8];
    if !short.iter().any(|&dtype| tensor.data_type() == dtype as i32) {
        return Ok(None);
    }
    nodes.push(at);
    let values = integers(tensor)?.into_iter().map(|value| value as f32).collect();
    Ok(Some((tensor.dims.clone(), values)))
}

/// The node that makes `value`, where it is of this operator and has one output.
fn made<'g>(value: &str, operator: &str, index: &Index<'g>, nodes: &mut Vec<usize>) -> Option<&'g NodeProto> {
    let at = index.producer_at(value)?;
    let node = &index.graph().node[at];
    let fits = node.op_type() == operator && is_standard(node.domain()) && node.output.len() == 1;
    nodes.push(at);
    fits.then_some(node)
}

/// The tensor whose digits the Sub `node` leaves, and how many bits each has.
fn digits<'g>(
    node: &NodeProto,
    index: &Index<'g>,
    nodes: &mut Vec<usize>,
) -> Result<Option<(&'g TensorProto, u32)>> {
    let parts = (|| {
        let [value, above] = node.input.as_slice() else { return None };
        let times = made(above, "Mul", index, nodes)?;
        let floor = made(times.input.first()?, "Floor", index, nodes)?;
        let part = made(floor.input.first()?, "Mul", index, nodes)?;
        let whole = made(value, "Floor", index, nodes)?;
        let steps = made(whole.input.first()?, "Mul", index, nodes)?;
        let bytes = made(steps.input.first()?, "Cast", index, nodes)?;
        let tensor = index.constant(bytes.input.first()?)?;
        let fits = part.input.first() == Some(value)
            && int(bytes, "to") == Some(Dtype::Float as i64)
            && tensor.data_type() == Dtype::Uint8 as i32;
        fits.then_some((tensor, times.input.get(1)?, part.input.get(1)?, steps.input.get(1)?))
    })();
    let Some((tensor, base, part, steps)) = parts else { return Ok(None) };
    let [base, part, steps] = [base, part, steps].map(|name| numbers(name, index, nodes));
    let (base, part, steps) = (base?, part?, steps?);
    let (Some((_, base)), Some((_, part)), Some((dims, steps))) = (base, part, steps) else {
        return Ok(None);
    };
    let fits = |bits: &u32| {
        let base_of = (1u32 << bits) as f32;
        let per = BYTE / bits;
        let wanted = (0..per).map(|at| base_of.powi(-(at as i32)));
        base == [base_of]
            && part == [base_of.recip()]
            && dims == [i64::from(per), 1]
            && steps.iter().copied().eq(wanted)
    };
    Ok([1, 2, 4].into_iter().find(fits).map(|bits| (tensor, bits)))
}

/// The data of a tensor of UINT8, where it is raw.
fn bytes(tensor: &TensorProto) -> Result<Option<&[u8]>> {
    let count = element_count(tensor)?;
    Ok(tensor.raw_data.as_deref().filter(|raw| raw.len() == count && count > 0))
}
