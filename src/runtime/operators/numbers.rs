//! Values of tensors as plain numbers, and back.

use tract_onnx::prelude::*;

/// The values, in row-major order, as f64.
pub(super) fn floats(tensor: &Tensor) -> TractResult<Vec<f64>> {
    let wide = tensor.cast_to::<f64>()?;
    let plain = wide.try_as_plain_ram()?;
    Ok(plain.as_slice::<f64>()?.to_vec())
}

/// The same as i64.
pub(super) fn integers(tensor: &Tensor) -> TractResult<Vec<i64>> {
    let wide = tensor.cast_to::<i64>()?;
    let plain = wide.try_as_plain_ram()?;
    Ok(plain.as_slice::<i64>()?.to_vec())
}

/// The same as f32.
pub(super) fn singles(tensor: &Tensor) -> TractResult<Vec<f32>> {
    let single = tensor.cast_to::<f32>()?;
    let plain = single.try_as_plain_ram()?;
    Ok(plain.as_slice::<f32>()?.to_vec())
}

/// A tensor of `dtype` that holds `values`, each rounded to it.
pub(super) fn made<T: Datum + Copy>(dtype: DatumType, dims: &[usize], values: &[T]) -> TractResult<Tensor> {
    Ok(Tensor::from_shape(dims, values)?.cast_to_dt(dtype)?.into_owned())
}
