//! DequantizeLinear of constants, and other operators over codes, computed piece by piece.

mod decoded;
mod nbits;
mod unpacked;

pub use decoded::{Decoded, codes_held, is_dequantized};
pub use nbits::MatMulNBits;
use unpacked::Unpacked;

use super::attributes::{axis_of, int};
use super::index::Index;
use super::maps::let_go;
use super::model::{dtype_name, is_linear, node_label};
use super::proto::{NodeProto, TensorProto};
use super::tensor::{Dtype, element_count, floats, integers};
use crate::error::{Error, Result};

/// Operators that may be the last over codes that are unpacked and scaled.
const ENDS: &[&str] = &["Mul", "Reshape", "Slice"];

/// Codes and scales that are constants of one graph, and the operators that make floats of them: DequantizeLinear, or others that
/// unpack codes first, or do all of it.
#[derive(Debug)]
pub struct Dequantized<'g> {
    /// The dimensions of its value.
    pub dims: Vec<i64>,
    /// FLOAT, or FLOAT16.
    pub dtype: Dtype,
    count: usize,
    source: Source<'g>,
}

/// What is computed.
#[derive(Debug)]
enum Source<'g> {
    Linear(Linear<'g>),
    Scaled(Unpacked<'g>),
}

/// A DequantizeLinear.
#[derive(Debug)]
struct Linear<'g> {
    codes: Codes<'g>,
    map: ScaleMap,
    scales: Vec<f32>,
    zeros: Option<Vec<i64>>,
}

/// What stands in a file for a tensor of floats.
#[derive(Clone, Copy, Debug)]
pub struct StoredCodes<'g> {
    /// The tensor that holds the codes.
    pub tensor: &'g TensorProto,
    /// Bits of a code.
    pub bits: u32,
    /// Whether operators unpack them, and not DequantizeLinear alone.
    pub unpacked: bool,
    /// Whether a byte holds digits of several codes, so that its element type is not theirs.
    pub in_bytes: bool,
}

impl<'g> Dequantized<'g> {
    /// What `node` makes; `None` where that is nothing of the kind, or of types that are left to the runtime.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the node or tensor whose shapes or data contradict one another.
    pub fn of(node: &NodeProto, index: &Index<'g>) -> Result<Option<Self>> {
        if is_linear(node, "DequantizeLinear") {
            return Self::linear(node, index);
        }
        let (true, [output]) = (ENDS.contains(&node.op_type()), node.output.as_slice()) else {
            return Ok(None);
        };
        let Some(found) = Unpacked::of(output, index)?.filter(Unpacked::is_scaled) else { return Ok(None) };
        let count = found.dims.iter().product::<i64>() as usize;
        let dims = found.dims.clone();
        Ok(Some(Self { dims, dtype: Dtype::Float, count, source: Source::Scaled(found) }))
    }

    fn linear(node: &NodeProto, index: &Index<'g>) -> Result<Option<Self>> {
        let input = |slot: usize| node.input.get(slot).map(String::as_str).filter(|name| !name.is_empty());
        let constant = |slot| input(slot).and_then(|name| index.constant(name));
        let (Some(name), Some(scale), [output]) = (input(0), constant(1), node.output.as_slice()) else {
            return Ok(None);
        };
        let unpacked = match index.constant(name) {
            Some(_) => None,
            None => Unpacked::of(name, index)?.filter(|found| !found.is_scaled()),
        };
        // Unpacked codes have the type of the Cast, which is the last operator over them.
        let made = unpacked.as_ref().map(|found| TensorProto {
            data_type: Some(Dtype::Int8 as i32),
            dims: found.dims.clone(),
            name: Some(name.to_owned()),
            ..TensorProto::default()
        });
        let Some(codes) = index.constant(name).or(made.as_ref()) else { return Ok(None) };
        let zero = constant(2);
        if input(2).is_some() != zero.is_some() || output.is_empty() {
            return Ok(None);
        }
        let kind = Dtype::try_from(codes.data_type()).unwrap_or(Dtype::Undefined);
        let integral = matches!(
            kind,
            Dtype::Int4
                | Dtype::Uint4
                | Dtype::Int8
                | Dtype::Uint8
                | Dtype::Int16
                | Dtype::Uint16
                | Dtype::Int32
        );
        let dtype = Dtype::try_from(scale.data_type()).unwrap_or(Dtype::Undefined);
        let asked = int(node, "output_dtype").filter(|&asked| asked != 0);
        let same = asked.is_none_or(|asked| asked == dtype as i64);
        if !integral || !same || !matches!(dtype, Dtype::Float | Dtype::Float16) {
            return Ok(None);
        }
        let map = ScaleMap::new(node, codes, scale)?;
        if let Some(zero) = zero {
            let scalars = element_count(zero)? == 1 && element_count(scale)? == 1;
            if zero.data_type() != codes.data_type() || (zero.dims != scale.dims && !scalars) {
                let found = format!("zero point {} {:?}", dtype_name(zero.data_type()), zero.dims);
                let beside = format!("{} and scale {:?}", dtype_name(codes.data_type()), scale.dims);
                return Err(contradiction(node, format!("{found} beside codes {beside}")));
            }
        }
        let (dims, count) = (codes.dims.clone(), element_count(codes)?);
        let codes = match (unpacked, index.constant(name)) {
            (Some(unpacked), _) => Codes::Unpacked(Box::new(unpacked)),
            (None, Some(codes)) => Codes::of(codes, kind)?,
            (None, None) => return Ok(None),
        };
        let zeros = zero.map(integers).transpose()?;
        let linear = Linear { codes, map, scales: floats(scale)?, zeros };
        Ok(Some(Self { dims, dtype, count, source: Source::Linear(linear) }))
    }

    /// The operators over the codes, by position, without the last one where that is a DequantizeLinear.
    pub fn nodes(&self) -> &[usize] {
        self.unpacked().map_or(&[], |unpacked| &unpacked.nodes)
    }

    /// What stands in the file; `None` for codes that nothing unpacks.
    pub fn stored(&self) -> Option<StoredCodes<'g>> {
        let unpacked = self.unpacked()?;
        let (tensor, bits) = (unpacked.tensor, unpacked.bits);
        Some(StoredCodes { tensor, bits, unpacked: true, in_bytes: unpacked.is_in_bytes() })
    }

    /// The axis along which each index has a scale of its own, if there is one.
    pub fn axis(&self) -> Option<usize> {
        let Source::Linear(linear) = &self.source else { return self.unpacked()?.axis() };
        let ScaleMap::Axis { length, inner } = linear.map else { return None };
        (0..self.dims.len()).find(|&axis| {
            let behind = self.dims[axis + 1..].iter().product::<i64>();
            usize::try_from(self.dims[axis]) == Ok(length) && usize::try_from(behind) == Ok(inner)
        })
    }

    /// The codes that DequantizeLinear reads; `None` where there is none.
    pub fn codes(&self) -> Option<Vec<i64>> {
        let Source::Linear(linear) = &self.source else { return None };
        if let Codes::Unpacked(unpacked) = &linear.codes {
            let mut values = vec![0.0; self.count];
            unpacked.read(0, &mut values);
            return Some(values.into_iter().map(|value| value as i64).collect());
        }
        Some((0..self.count).map(|at| linear.codes.get(at)).collect())
    }

    fn unpacked(&self) -> Option<&Unpacked<'g>> {
        match &self.source {
            Source::Linear(Linear { codes: Codes::Unpacked(unpacked), .. }) => Some(unpacked),
            Source::Linear(_) => None,
            Source::Scaled(unpacked) => Some(unpacked),
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Puts the elements from `start` on, all of which must exist, into `out`, in f32 and not yet rounded to FLOAT16.
    pub fn read(&self, start: usize, out: &mut [f32]) {
        match &self.source {
            Source::Linear(linear) => linear.read(start, out),
            Source::Scaled(unpacked) => unpacked.read(start, out),
        }
    }
}

impl Linear<'_> {
    fn read(&self, start: usize, out: &mut [f32]) {
        let unpacked = matches!(self.codes, Codes::Unpacked(_));
        if let Codes::Unpacked(codes) = &self.codes {
            codes.read(start, out);
        }
        let mut done = 0;
        while done < out.len() {
            let (group, step, run) = self.map.run(start + done);
            let run = run.min(out.len() - done);
            let value = |code: i64, group: usize| {
                let zero = self.zeros.as_ref().map_or(0, |zeros| zeros[group]);
                (code - zero) as f32 * self.scales[group]
            };
            for (at, out) in out[done..done + run].iter_mut().enumerate() {
                let code = if unpacked { *out as i64 } else { self.codes.get(start + done + at) };
                *out = value(code, group + at * step);
            }
            done += run;
        }
        self.codes.let_go(start, out.len());
    }
}

/// Codes where they are.
#[derive(Debug)]
enum Codes<'g> {
    Nibbles { bytes: &'g [u8], signed: bool },
    Bytes { bytes: &'g [u8], signed: bool },
    Values(Vec<i64>),
    Unpacked(Box<Unpacked<'g>>),
}

impl<'g> Codes<'g> {
    fn of(tensor: &'g TensorProto, kind: Dtype) -> Result<Self> {
        let count = element_count(tensor)?;
        let signed = matches!(kind, Dtype::Int4 | Dtype::Int8);
        match (kind, tensor.raw_data.as_deref()) {
            (Dtype::Int4 | Dtype::Uint4, Some(bytes)) if bytes.len() == count.div_ceil(2) => {
                Ok(Self::Nibbles { bytes, signed })
            }
            (Dtype::Int8 | Dtype::Uint8, Some(bytes)) if bytes.len() == count => {
                Ok(Self::Bytes { bytes, signed })
            }
            // Rare types, and what is damaged, which this names.
            _ => Ok(Self::Values(integers(tensor)?)),
        }
    }

    fn get(&self, at: usize) -> i64 {
        match self {
            Self::Nibbles { bytes, signed } => {
                let nibble = bytes[at / 2] >> (at % 2 * 4) & 0xf;
                i64::from(nibble) - if *signed && nibble > 7 { 16 } else { 0 }
            }
            Self::Bytes { bytes, signed: true } => i64::from(bytes[at] as i8),
            Self::Bytes { bytes, signed: false } => i64::from(bytes[at]),
            Self::Values(values) => values[at],
            Self::Unpacked(unpacked) => {
                let mut code = [0.0];
                unpacked.read(at, &mut code);
                code[0] as i64
            }
        }
    }

    fn let_go(&self, start: usize, count: usize) {
        match self {
            Self::Nibbles { bytes, .. } => let_go(&bytes[start / 2..(start + count).div_ceil(2)]),
            Self::Bytes { bytes, .. } => let_go(&bytes[start..start + count]),
            Self::Values(_) | Self::Unpacked(_) => {}
        }
    }
}

/// Which scale belongs to which element: the codes as `[outer, length, inner]`, the scales as
/// `[outer or 1, groups, inner or 1]`.
#[derive(Debug)]
enum ScaleMap {
    Tensor,
    Axis { length: usize, inner: usize },
    Blocks { length: usize, inner: usize, groups: usize, block: usize },
}

impl ScaleMap {
    /// Checks the shapes: every group that [`ScaleMap::run`] gives has a scale.
    fn new(node: &NodeProto, codes: &TensorProto, scale: &TensorProto) -> Result<Self> {
        let (elements, scales) = (element_count(codes)?, element_count(scale)?);
        let block = int(node, "block_size").unwrap_or(0);
        if block == 0 && scales == 1 && scale.dims.len() <= 1 {
            return Ok(Self::Tensor);
        }
        let rank = codes.dims.len();
        let asked = int(node, "axis").unwrap_or(1);
        let Some(axis) = axis_of(asked, rank) else {
            return Err(contradiction(node, format!("axis {asked} of codes {:?}", codes.dims)));
        };
        let unequal = || {
            let problem =
                format!("scale {:?} on axis {asked} of codes {:?}, block {block}", scale.dims, codes.dims);
            contradiction(node, problem)
        };
        // Dimensions are not negative, and their product fits unless one of them is zero.
        let length = codes.dims[axis] as usize;
        let inner = if elements == 0 { 0 } else { codes.dims[axis + 1..].iter().product::<i64>() as usize };
        if block == 0 {
            return match scale.dims == [codes.dims[axis]] {
                true => Ok(Self::Axis { length, inner }),
                false => Err(unequal()),
            };
        }
        let block = usize::try_from(block).map_err(|_| unequal())?;
        let groups = length.div_ceil(block);
        let mut expected = codes.dims.clone();
        expected[axis] = groups as i64;
        match scale.dims == expected {
            true => Ok(Self::Blocks { length, inner, groups, block }),
            false => Err(unequal()),
        }
    }

    /// The scale of element `at`, by how much the scale's place grows from one element to the next, and for how many
    /// elements that holds; asked only where there are elements, so nothing is zero.
    fn run(&self, at: usize) -> (usize, usize, usize) {
        match *self {
            Self::Tensor => (0, 0, usize::MAX),
            Self::Axis { length, inner: 1 } => (at % length, 1, length - at % length),
            Self::Axis { length, inner } => (at / inner % length, 0, inner - at % inner),
            Self::Blocks { length, inner, groups, block } => {
                let (line, place) = (at / inner, at % inner);
                let (row, column) = (line / length, line % length);
                let group = (row * groups + column / block) * inner + place;
                match inner {
                    1 => (group, 0, (block - column % block).min(length - column)),
                    _ => (group, 1, inner - place),
                }
            }
        }
    }
}

fn contradiction(node: &NodeProto, problem: String) -> Error {
    Error::invalid(format!("node {}", node_label(node)), problem)
}
