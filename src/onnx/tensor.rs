//! Tensor values: typed views of a `TensorProto` whatever its storage, and constructors.

use std::borrow::Cow;

use bytes::Bytes;

use super::model::dtype_name;
use super::packing::unpack;
use super::proto::{TensorProto, tensor_proto};
use crate::error::{Error, Result};

pub use tensor_proto::DataType as Dtype;

/// The number of elements that the dimensions say.
///
/// # Errors
/// [`Error::Invalid`] where a dimension is negative or the product does not fit.
pub fn element_count(tensor: &TensorProto) -> Result<usize> {
    let count =
        tensor.dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(usize::try_from(dim).ok()?));
    // Twice the count must fit too: sizes in bytes are computed from it.
    count
        .filter(|&count| count <= isize::MAX as usize / 16)
        .ok_or_else(|| broken(tensor, format!("dimensions {:?}", tensor.dims)))
}

fn broken(tensor: &TensorProto, problem: impl Into<String>) -> Error {
    Error::invalid(format!("tensor {}", tensor.name()), problem)
}

/// The values of a float tensor as f32, read piece by piece: FLOAT as it is, FLOAT16 and BFLOAT16 exactly, DOUBLE
/// rounded.
#[derive(Clone, Copy, Debug)]
pub struct Floats<'t> {
    raw: &'t [u8],
    values: Values<'t>,
    count: usize,
}

#[derive(Clone, Copy, Debug)]
enum Values<'t> {
    Single(&'t [[u8; 4]]),
    Double(&'t [[u8; 8]]),
    Half(&'t [[u8; 2]]),
    Brain(&'t [[u8; 2]]),
    TypedSingle(&'t [f32]),
    TypedDouble(&'t [f64]),
    TypedHalf(&'t [i32]),
    TypedBrain(&'t [i32]),
}

impl<'t> Floats<'t> {
    /// The values of `tensor`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the type is no float type, or the data is not as long as the
    /// dimensions say.
    pub fn of(tensor: &'t TensorProto) -> Result<Self> {
        let count = element_count(tensor)?;
        let raw = tensor.raw_data.as_deref();
        let (values, found) = match (Dtype::try_from(tensor.data_type()), raw) {
            (Ok(Dtype::Float), Some(raw)) => (Values::Single(words(tensor, raw, count)?), count),
            (Ok(Dtype::Double), Some(raw)) => (Values::Double(words(tensor, raw, count)?), count),
            (Ok(Dtype::Float16), Some(raw)) => (Values::Half(words(tensor, raw, count)?), count),
            (Ok(Dtype::Bfloat16), Some(raw)) => (Values::Brain(words(tensor, raw, count)?), count),
            (Ok(Dtype::Float), None) => (Values::TypedSingle(&tensor.float_data), tensor.float_data.len()),
            (Ok(Dtype::Double), None) => (Values::TypedDouble(&tensor.double_data), tensor.double_data.len()),
            (Ok(Dtype::Float16), None) => (Values::TypedHalf(&tensor.int32_data), tensor.int32_data.len()),
            (Ok(Dtype::Bfloat16), None) => (Values::TypedBrain(&tensor.int32_data), tensor.int32_data.len()),
            _ => {
                let problem = format!("{} where floats are expected", dtype_name(tensor.data_type()));
                return Err(broken(tensor, problem));
            }
        };
        sized(tensor, found, count)?;
        Ok(Self { raw: raw.unwrap_or_default(), values, count })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Puts the values from `start` on into `out`; what lies beyond the last is left as it is.
    pub fn read(&self, start: usize, out: &mut [f32]) {
        fn copy<T: Copy>(from: &[T], start: usize, out: &mut [f32], value: impl Fn(T) -> f32) {
            let from = from.get(start..).unwrap_or_default();
            out.iter_mut().zip(from).for_each(|(out, &from)| *out = value(from));
        }
        match self.values {
            Values::Single(words) => copy(words, start, out, f32::from_le_bytes),
            Values::Double(words) => copy(words, start, out, |word| f64::from_le_bytes(word) as f32),
            Values::Half(words) => copy(words, start, out, |word| half::f16::from_le_bytes(word).to_f32()),
            Values::Brain(words) => copy(words, start, out, |word| half::bf16::from_le_bytes(word).to_f32()),
            Values::TypedSingle(values) => copy(values, start, out, |value| value),
            Values::TypedDouble(values) => copy(values, start, out, |value| value as f32),
            Values::TypedHalf(bits) => {
                copy(bits, start, out, |bits| half::f16::from_bits(bits as u16).to_f32());
            }
            Values::TypedBrain(bits) => {
                copy(bits, start, out, |bits| half::bf16::from_bits(bits as u16).to_f32());
            }
        }
    }

    /// Bytes of one value where they are.
    pub fn width(&self) -> usize {
        self.raw.len().checked_div(self.count).unwrap_or(0)
    }

    /// Lets go of the memory of the values in `range`, as [`super::let_go`] does.
    pub fn let_go(&self, range: std::ops::Range<usize>) {
        let width = self.width();
        if let Some(bytes) = self.raw.get(range.start * width..range.end * width) {
            super::let_go(bytes);
        }
    }

    /// All values in order, `piece` at a time, each shown with its start; `None` as soon as `see` gives it.
    pub fn pieces(&self, piece: usize, mut see: impl FnMut(usize, &[f32]) -> Option<()>) -> Option<()> {
        let mut values = vec![0.0; piece.min(self.count)];
        for start in (0..self.count).step_by(piece.max(1)) {
            let values = &mut values[..piece.min(self.count - start)];
            self.read(start, values);
            self.let_go(start..start + values.len());
            see(start, values)?;
        }
        Some(())
    }
}

/// The values of a float tensor as f32, as [`Floats`] reads them.
///
/// # Errors
/// As [`Floats::of`].
pub fn floats(tensor: &TensorProto) -> Result<Vec<f32>> {
    let floats = Floats::of(tensor)?;
    let mut values = vec![0.0; floats.len()];
    floats.read(0, &mut values);
    floats.let_go(0..floats.len());
    Ok(values)
}

/// The values of an integer or boolean tensor.
///
/// # Errors
/// [`Error::Invalid`] where the type is no integer type of at most 64 bits, or the data is not as
/// long as the dimensions say.
pub fn integers(tensor: &TensorProto) -> Result<Vec<i64>> {
    let count = element_count(tensor)?;
    let raw = tensor.raw_data.as_deref();
    let typed = || tensor.int32_data.iter().map(|&value| i64::from(value)).collect::<Vec<_>>();
    let dtype = Dtype::try_from(tensor.data_type()).unwrap_or(Dtype::Undefined);
    let nibbles = |bytes: &[u8], signed| {
        let codes = unpack(bytes, count, signed).ok_or_else(|| wrong_length(tensor, count))?;
        Ok::<_, Error>(codes.into_iter().map(i64::from).collect())
    };
    let values: Vec<i64> = match (dtype, raw) {
        (Dtype::Int64, Some(raw)) => {
            words(tensor, raw, count)?.iter().map(|&word| i64::from_le_bytes(word)).collect()
        }
        (Dtype::Int32, Some(raw)) => {
            words(tensor, raw, count)?.iter().map(|&word| i32::from_le_bytes(word).into()).collect()
        }
        (Dtype::Int16, Some(raw)) => {
            words(tensor, raw, count)?.iter().map(|&word| i16::from_le_bytes(word).into()).collect()
        }
        (Dtype::Uint32, Some(raw)) => {
            words(tensor, raw, count)?.iter().map(|&word| u32::from_le_bytes(word).into()).collect()
        }
        (Dtype::Uint16, Some(raw)) => {
            words(tensor, raw, count)?.iter().map(|&word| u16::from_le_bytes(word).into()).collect()
        }
        (Dtype::Int8, Some(raw)) => {
            words(tensor, raw, count)?.iter().map(|&word| i8::from_le_bytes(word).into()).collect()
        }
        (Dtype::Uint8 | Dtype::Bool, Some(raw)) => {
            words::<1>(tensor, raw, count)?.iter().map(|&[byte]| byte.into()).collect()
        }
        (Dtype::Int4 | Dtype::Uint4, Some(raw)) => nibbles(raw, dtype == Dtype::Int4)?,
        (Dtype::Int4 | Dtype::Uint4, None) => nibbles(
            &tensor.int32_data.iter().map(|&byte| byte as u8).collect::<Vec<_>>(),
            dtype == Dtype::Int4,
        )?,
        (Dtype::Int64, None) => tensor.int64_data.clone(),
        (Dtype::Uint32, None) => tensor.uint64_data.iter().map(|&value| value as i64).collect(),
        (Dtype::Int32 | Dtype::Int16 | Dtype::Uint16 | Dtype::Int8 | Dtype::Uint8 | Dtype::Bool, None) => {
            typed()
        }
        _ => {
            return Err(broken(
                tensor,
                format!("{} where integers are expected", dtype_name(tensor.data_type())),
            ));
        }
    };
    sized(tensor, values.len(), count)?;
    Ok(values)
}

fn wrong_length(tensor: &TensorProto, count: usize) -> Error {
    let bytes = tensor.raw_data.as_ref().map_or(0, Bytes::len);
    broken(
        tensor,
        format!("{count} elements of {} do not fill {bytes} bytes of data", dtype_name(tensor.data_type())),
    )
}

fn sized(tensor: &TensorProto, found: usize, count: usize) -> Result<()> {
    match found == count {
        true => Ok(()),
        false => Err(broken(tensor, format!("{found} values for dimensions {:?}", tensor.dims))),
    }
}

fn words<'t, const N: usize>(tensor: &TensorProto, raw: &'t [u8], count: usize) -> Result<&'t [[u8; N]]> {
    let (words, rest) = raw.as_chunks::<N>();
    match words.len() == count && rest.is_empty() {
        true => Ok(words),
        false => Err(wrong_length(tensor, count)),
    }
}

/// A tensor from raw little-endian bytes.
pub fn tensor<'n>(
    name: impl Into<Cow<'n, str>>,
    dtype: Dtype,
    dims: &[i64],
    raw: impl Into<Bytes>,
) -> TensorProto {
    TensorProto {
        name: Some(name.into().into_owned()),
        data_type: Some(dtype as i32),
        dims: dims.to_vec(),
        raw_data: Some(raw.into()),
        ..Default::default()
    }
}

/// A FLOAT tensor.
pub fn tensor_f32<'n>(name: impl Into<Cow<'n, str>>, dims: &[i64], values: &[f32]) -> TensorProto {
    tensor(name, Dtype::Float, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

/// A tensor of a float type, `values` rounded to it; of any other type FLOAT.
pub fn tensor_of<'n>(
    name: impl Into<Cow<'n, str>>,
    dtype: Dtype,
    dims: &[i64],
    values: &[f32],
) -> TensorProto {
    let raw: Vec<u8> = match dtype {
        Dtype::Float16 => values.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes()).collect(),
        Dtype::Bfloat16 => {
            values.iter().flat_map(|&value| half::bf16::from_f32(value).to_le_bytes()).collect()
        }
        Dtype::Double => values.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect(),
        _ => return tensor_f32(name, dims, values),
    };
    tensor(name, dtype, dims, raw)
}

/// An INT64 tensor of rank 1, or a scalar where `scalar`.
pub fn tensor_i64<'n>(name: impl Into<Cow<'n, str>>, dims: &[i64], values: &[i64]) -> TensorProto {
    tensor(name, Dtype::Int64, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_and_typed_storage_agree() {
        let raw = tensor_f32("w", &[2, 1], &[1.5, -2.0]);
        let typed = TensorProto { raw_data: None, float_data: vec![1.5, -2.0], ..raw.clone() };
        assert_eq!(floats(&raw).unwrap(), floats(&typed).unwrap());
        let packed = tensor("q", Dtype::Int4, &[3], vec![0xe1, 0x07]);
        assert_eq!(integers(&packed).unwrap(), [1, -2, 7]);
    }

    #[test]
    fn lengths_are_checked_against_dimensions() {
        for dims in [&[3][..], &[-1], &[i64::MAX, 4], &[i64::MAX]] {
            let tensor = TensorProto { dims: dims.to_vec(), ..tensor_f32("w", &[2], &[1.0, 2.0]) };
            assert!(floats(&tensor).unwrap_err().to_string().contains("tensor w"), "{dims:?}");
        }
    }

    #[test]
    fn a_wrong_type_is_named() {
        let error = floats(&tensor_i64("shape", &[1], &[3])).unwrap_err().to_string();
        assert!(error.contains("shape") && error.contains("INT64"), "{error}");
    }
}
