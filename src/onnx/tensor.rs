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

/// The values of a float tensor as f32: FLOAT as it is, FLOAT16 and BFLOAT16 exactly, DOUBLE
/// rounded.
///
/// # Errors
/// [`Error::Invalid`] where the type is no float type, or the data is not as long as the
/// dimensions say.
pub fn floats(tensor: &TensorProto) -> Result<Vec<f32>> {
    let count = element_count(tensor)?;
    let raw = tensor.raw_data.as_deref();
    let halves = || tensor.int32_data.iter().map(|&bits| bits as u16);
    let values: Vec<f32> = match (tensor.data_type(), raw) {
        (code, Some(raw)) if code == Dtype::Float as i32 => {
            words(tensor, raw, count)?.map(f32::from_le_bytes).collect()
        }
        (code, Some(raw)) if code == Dtype::Double as i32 => {
            words(tensor, raw, count)?.map(|word| f64::from_le_bytes(word) as f32).collect()
        }
        (code, Some(raw)) if code == Dtype::Float16 as i32 => {
            words(tensor, raw, count)?.map(|word| half::f16::from_le_bytes(word).to_f32()).collect()
        }
        (code, Some(raw)) if code == Dtype::Bfloat16 as i32 => {
            words(tensor, raw, count)?.map(|word| half::bf16::from_le_bytes(word).to_f32()).collect()
        }
        (code, None) if code == Dtype::Float as i32 => tensor.float_data.clone(),
        (code, None) if code == Dtype::Double as i32 => {
            tensor.double_data.iter().map(|&value| value as f32).collect()
        }
        (code, None) if code == Dtype::Float16 as i32 => {
            halves().map(|bits| half::f16::from_bits(bits).to_f32()).collect()
        }
        (code, None) if code == Dtype::Bfloat16 as i32 => {
            halves().map(|bits| half::bf16::from_bits(bits).to_f32()).collect()
        }
        (code, _) => return Err(broken(tensor, format!("{} where floats are expected", dtype_name(code)))),
    };
    sized(tensor, values, count)
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
        (Dtype::Int64, Some(raw)) => words(tensor, raw, count)?.map(i64::from_le_bytes).collect(),
        (Dtype::Int32, Some(raw)) => {
            words(tensor, raw, count)?.map(|word| i32::from_le_bytes(word).into()).collect()
        }
        (Dtype::Int16, Some(raw)) => {
            words(tensor, raw, count)?.map(|word| i16::from_le_bytes(word).into()).collect()
        }
        (Dtype::Uint32, Some(raw)) => {
            words(tensor, raw, count)?.map(|word| u32::from_le_bytes(word).into()).collect()
        }
        (Dtype::Uint16, Some(raw)) => {
            words(tensor, raw, count)?.map(|word| u16::from_le_bytes(word).into()).collect()
        }
        (Dtype::Int8, Some(raw)) => {
            words(tensor, raw, count)?.map(|word| i8::from_le_bytes(word).into()).collect()
        }
        (Dtype::Uint8 | Dtype::Bool, Some(raw)) => {
            words::<1>(tensor, raw, count)?.map(|[byte]| byte.into()).collect()
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
    sized(tensor, values, count)
}

fn wrong_length(tensor: &TensorProto, count: usize) -> Error {
    let bytes = tensor.raw_data.as_ref().map_or(0, Bytes::len);
    broken(
        tensor,
        format!("{count} elements of {} do not fill {bytes} bytes of data", dtype_name(tensor.data_type())),
    )
}

fn sized<T>(tensor: &TensorProto, values: Vec<T>, count: usize) -> Result<Vec<T>> {
    match values.len() == count {
        true => Ok(values),
        false => Err(broken(tensor, format!("{} values for dimensions {:?}", values.len(), tensor.dims))),
    }
}

fn words<'t, const N: usize>(
    tensor: &TensorProto,
    raw: &'t [u8],
    count: usize,
) -> Result<impl Iterator<Item = [u8; N]> + 't> {
    let (words, rest) = raw.as_chunks::<N>();
    match words.len() == count && rest.is_empty() {
        true => Ok(words.iter().copied()),
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
