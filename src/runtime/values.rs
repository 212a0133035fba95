//! Tensors on their way into tract and out of it.

use std::borrow::Cow;

use tract_onnx::prelude::{DatumType, Tensor, TractError, TractResult};

use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, dtype_name, element_count, floats, integers, tensor as proto_tensor};

/// A tensor of the same dimensions and values for tract, of the same type or, for halves, in FLOAT.
pub(super) fn to_tract(tensor: &TensorProto) -> Result<Tensor> {
    let count = element_count(tensor)?;
    let dims: Vec<usize> = tensor.dims.iter().filter_map(|&dim| usize::try_from(dim).ok()).collect();
    let dtype = Dtype::try_from(tensor.data_type()).unwrap_or(Dtype::Undefined);
    let built = match dtype {
        Dtype::Float | Dtype::Float16 | Dtype::Bfloat16 => Tensor::from_shape(&dims, &floats(tensor)?),
        Dtype::Double => Tensor::from_shape(&dims, &doubles(tensor, count)?),
        Dtype::Bool => {
            let values: Vec<bool> = integers(tensor)?.into_iter().map(|value| value != 0).collect();
            Tensor::from_shape(&dims, &values)
        }
        Dtype::Int64 => Tensor::from_shape(&dims, &integers(tensor)?),
        Dtype::Int32 => Tensor::from_shape(&dims, &narrow(tensor, |value| value as i32)?),
        Dtype::Int16 => Tensor::from_shape(&dims, &narrow(tensor, |value| value as i16)?),
        Dtype::Int8 => Tensor::from_shape(&dims, &narrow(tensor, |value| value as i8)?),
        Dtype::Uint32 => Tensor::from_shape(&dims, &narrow(tensor, |value| value as u32)?),
        Dtype::Uint16 => Tensor::from_shape(&dims, &narrow(tensor, |value| value as u16)?),
        Dtype::Uint8 => Tensor::from_shape(&dims, &narrow(tensor, |value| value as u8)?),
        _ => return Err(refused(tensor, format!("{} cannot be fed", dtype_name(tensor.data_type())))),
    };
    built.map_err(|error| refused(tensor, error.to_string()))
}

fn refused(tensor: &TensorProto, problem: String) -> Error {
    Error::invalid(format!("tensor {}", tensor.name()), problem)
}

fn narrow<T>(tensor: &TensorProto, cast: impl Fn(i64) -> T) -> Result<Vec<T>> {
    Ok(integers(tensor)?.into_iter().map(cast).collect())
}

/// DOUBLE without the way through f32.
fn doubles(tensor: &TensorProto, count: usize) -> Result<Vec<f64>> {
    let values = match tensor.raw_data.as_deref() {
        Some(raw) => raw.as_chunks::<8>().0.iter().map(|word| f64::from_le_bytes(*word)).collect(),
        None => tensor.double_data.clone(),
    };
    match values.len() == count {
        true => Ok(values),
        false => Err(refused(tensor, format!("{} values for dimensions {:?}", values.len(), tensor.dims))),
    }
}

/// Hands the values of `tensor` to `take` as f32, in row-major order.
pub(super) fn with_floats<T>(tensor: &Tensor, take: impl FnOnce(&[f32]) -> T) -> TractResult<T> {
    let tensor = match tensor.datum_type() == DatumType::TDim {
        true => tensor.cast_to::<i64>()?,
        false => Cow::Borrowed(tensor),
    };
    let floats = match tensor.datum_type() {
        DatumType::Bool => {
            let bits: Vec<f32> =
                tensor.try_as_plain_ram()?.as_slice::<bool>()?.iter().map(|&bit| bit.into()).collect();
            return Ok(take(&bits));
        }
        _ => tensor.cast_to::<f32>()?,
    };
    let plain = floats.try_as_plain_ram()?;
    Ok(take(plain.as_slice::<f32>()?))
}

/// A tensor of the same type, dimensions and values out of tract, called `name`.
pub(super) fn from_tract(name: &str, tensor: &Tensor) -> TractResult<TensorProto> {
    let tensor = match tensor.datum_type() == DatumType::TDim {
        true => tensor.cast_to::<i64>()?,
        false => Cow::Borrowed(tensor),
    };
    let dtype = match tensor.datum_type() {
        DatumType::F32 => Dtype::Float,
        DatumType::F16 => Dtype::Float16,
        DatumType::F64 => Dtype::Double,
        DatumType::Bool => Dtype::Bool,
        DatumType::I64 => Dtype::Int64,
        DatumType::I32 => Dtype::Int32,
        DatumType::I16 => Dtype::Int16,
        DatumType::I8 => Dtype::Int8,
        DatumType::U64 => Dtype::Uint64,
        DatumType::U32 => Dtype::Uint32,
        DatumType::U16 => Dtype::Uint16,
        DatumType::U8 => Dtype::Uint8,
        other => return Err(TractError::msg(format!("value {name} is of type {other:?}"))),
    };
    let dims: Vec<i64> = tensor.shape().iter().map(|&dim| dim as i64).collect();
    Ok(proto_tensor(name, dtype, &dims, tensor.try_as_plain_ram()?.as_bytes().to_vec()))
}
