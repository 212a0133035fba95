//! Tensors on their way into onnxruntime and out of it.

use ort::session::SessionInputValue;
use ort::value::{
    DynValue, IntoTensorElementType, PrimitiveTensorElementType, Tensor, TensorElementType, ValueType,
};

use super::Value;
use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, dtype_name, element_count, floats, integers};

/// A tensor of the same type, dimensions and values.
pub fn to_onnxruntime(tensor: &TensorProto) -> Result<SessionInputValue<'static>> {
    let dtype = Dtype::try_from(tensor.data_type()).unwrap_or(Dtype::Undefined);
    match dtype {
        Dtype::Float => fed(tensor, floats(tensor)?),
        Dtype::Float16 => fed(tensor, floats(tensor)?.into_iter().map(half::f16::from_f32).collect()),
        Dtype::Bfloat16 => fed(tensor, floats(tensor)?.into_iter().map(half::bf16::from_f32).collect()),
        Dtype::Double => fed(tensor, doubles(tensor)?),
        Dtype::Bool => whole(tensor, |value| value != 0),
        Dtype::Int64 => fed(tensor, integers(tensor)?),
        Dtype::Int32 => whole(tensor, |value| value as i32),
        Dtype::Int16 => whole(tensor, |value| value as i16),
        Dtype::Int8 => whole(tensor, |value| value as i8),
        Dtype::Uint32 => whole(tensor, |value| value as u32),
        Dtype::Uint16 => whole(tensor, |value| value as u16),
        Dtype::Uint8 => whole(tensor, |value| value as u8),
        _ => Err(refused(tensor, format!("{} cannot be fed", dtype_name(tensor.data_type())))),
    }
}

fn refused(tensor: &TensorProto, problem: String) -> Error {
    Error::invalid(format!("tensor {}", tensor.name()), problem)
}

fn whole<T>(tensor: &TensorProto, cast: impl Fn(i64) -> T) -> Result<SessionInputValue<'static>>
where
    T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
{
    fed(tensor, integers(tensor)?.into_iter().map(cast).collect())
}

/// DOUBLE without the way through f32.
fn doubles(tensor: &TensorProto) -> Result<Vec<f64>> {
    let values: Vec<f64> = match tensor.raw_data.as_deref() {
        Some(raw) => raw.as_chunks::<8>().0.iter().map(|word| f64::from_le_bytes(*word)).collect(),
        None => tensor.double_data.clone(),
    };
    match values.len() == element_count(tensor)? {
        true => Ok(values),
        false => Err(refused(tensor, format!("{} values for dimensions {:?}", values.len(), tensor.dims))),
    }
}

fn fed<T>(tensor: &TensorProto, values: Vec<T>) -> Result<SessionInputValue<'static>>
where
    T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
{
    let made = Tensor::from_array((tensor.dims.clone(), values));
    made.map(SessionInputValue::from).map_err(|error| refused(tensor, error.to_string()))
}

/// An output called `name`, its values as f32.
pub fn from_onnxruntime(name: &str, value: &DynValue) -> std::result::Result<Value, String> {
    let ValueType::Tensor { ty, .. } = value.dtype() else {
        return Err(format!("output {name} is no tensor"));
    };
    let (dims, values) = match ty {
        TensorElementType::Float32 => read(value, |value: f32| value),
        TensorElementType::Float64 => read(value, |value: f64| value as f32),
        TensorElementType::Float16 => read(value, half::f16::to_f32),
        TensorElementType::Bfloat16 => read(value, half::bf16::to_f32),
        TensorElementType::Bool => read(value, |value: bool| value.into()),
        TensorElementType::Int64 => read(value, |value: i64| value as f32),
        TensorElementType::Int32 => read(value, |value: i32| value as f32),
        TensorElementType::Int16 => read(value, |value: i16| value.into()),
        TensorElementType::Int8 => read(value, |value: i8| value.into()),
        TensorElementType::Uint64 => read(value, |value: u64| value as f32),
        TensorElementType::Uint32 => read(value, |value: u32| value as f32),
        TensorElementType::Uint16 => read(value, |value: u16| value.into()),
        TensorElementType::Uint8 => read(value, |value: u8| value.into()),
        other => return Err(format!("output {name} has elements of type {other}, which are no numbers")),
    }
    .map_err(|problem| format!("output {name}: {problem}"))?;
    Ok(Value { name: name.to_owned(), dims, values })
}

fn read<T>(value: &DynValue, float: impl Fn(T) -> f32) -> std::result::Result<(Vec<usize>, Vec<f32>), String>
where
    T: PrimitiveTensorElementType + IntoTensorElementType + Copy,
{
    let (shape, values) = value.try_extract_tensor::<T>().map_err(|error| error.to_string())?;
    let dims = shape.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect();
    Ok((dims, values.iter().map(|&value| float(value)).collect()))
}
