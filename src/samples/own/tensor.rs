//! Tensors in a program's memory.

use std::fmt;
use std::path::Path;

use ndarray::{ArrayBase, Data, Dimension};

use crate::error::{Error, Result};
use crate::onnx::proto::TensorProto;
use crate::onnx::{Dtype, floats, tensor, tensor_of};
use crate::samples::element;
use crate::samples::misfit::shape_text;

/// A type of elements that can be fed.
pub trait Element: Copy + private::Sealed {
    #[doc(hidden)]
    const DTYPE: Dtype;
    #[doc(hidden)]
    fn put(self, bytes: &mut Vec<u8>);
}

mod private {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($kind:ty => $dtype:ident),*) => {$(
        impl private::Sealed for $kind {}
        impl Element for $kind {
            const DTYPE: Dtype = Dtype::$dtype;
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }
        }
    )*};
}

elements!(
    f32 => Float, f64 => Double, half::f16 => Float16, i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64,
    u8 => Uint8, u16 => Uint16, u32 => Uint32, u64 => Uint64
);

impl private::Sealed for bool {}
impl Element for bool {
    const DTYPE: Dtype = Dtype::Bool;
    fn put(self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self));
    }
}

/// A tensor in memory: an element type, dimensions, and values in row-major order.
///
/// Made of any `ndarray` array, or of dimensions and values:
///
/// ```
/// use fourbit::Tensor;
///
/// let pixels = Tensor::from(ndarray::Array4::<f32>::zeros((1, 3, 32, 32)));
/// let tokens = Tensor::new(&[1, 4], vec![101_i64, 7592, 2088, 102])?;
/// assert_eq!(tokens.dims(), [1, 4]);
/// # drop(pixels);
/// # Ok::<(), fourbit::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Tensor {
    pub(super) dtype: Dtype,
    pub(super) dims: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    /// A tensor of `dims` with `values` in row-major order.
    ///
    /// # Errors
    /// Of the kind [`crate::ErrorKind::Samples`] where there are not as many values as `dims` say.
    pub fn new<T: Element>(dims: &[usize], values: impl IntoIterator<Item = T>) -> Result<Self> {
        let (mut bytes, mut found) = (Vec::new(), 0usize);
        for value in values {
            value.put(&mut bytes);
            found += 1;
        }
        let wanted = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
        if wanted != Some(found) {
            let expected = format!("as many values as {} has", shape_text(dims));
            return Err(Error::samples(Path::new("a tensor"), "values", expected, found.to_string()));
        }
        Ok(Self { dtype: T::DTYPE, dims: dims.to_vec(), bytes })
    }

    /// A tensor of `dims` with the little-endian `bytes` of its values in row-major order, of an element type as NumPy calls it: `float32`,
    /// `int64`, `bool`, and also `bfloat16`.
    ///
    /// # Errors
    /// Of the kind [`crate::ErrorKind::Samples`] for a type that cannot be fed, and where there are not as many bytes as `dims` say.
    pub fn from_bytes(element: &str, dims: &[usize], bytes: Vec<u8>) -> Result<Self> {
        let wrong = |place: &str, expected: String, found: String| {
            Err(Error::samples(Path::new("a tensor"), place, expected, found))
        };
        let Some((dtype, size)) = element::named(element) else {
            return wrong("element type", element::names(), element.to_owned());
        };
        let wanted = dims.iter().try_fold(size, |count, &dim| count.checked_mul(dim));
        if wanted != Some(bytes.len()) {
            let expected = format!("as many values as {} has", shape_text(dims));
            return wrong("values", expected, format!("{} bytes of {element}", bytes.len()));
        }
        if dtype == Dtype::Bool && bytes.iter().any(|&byte| byte > 1) {
            return wrong("values", "booleans of 0 or 1".into(), "another byte".into());
        }
        Ok(Self { dtype, dims: dims.to_vec(), bytes })
    }

    /// Its dimensions.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Some of its rows, as a tensor of `dims` that is called `name`; of the element type `wanted` where that is another kind of
    /// floats.
    pub(super) fn rows(
        &self,
        name: &str,
        first: usize,
        count: usize,
        dims: &[i64],
        wanted: i32,
    ) -> Result<TensorProto> {
        let row = self.bytes.len() / self.dims.first().copied().unwrap_or(1).max(1);
        let bytes = self.bytes[first * row..(first + count) * row].to_vec();
        let found = tensor(name, self.dtype, dims, bytes);
        match Dtype::try_from(wanted) {
            Ok(other) if other != self.dtype && is_float(other) && is_float(self.dtype) => {
                Ok(tensor_of(name, other, dims, &floats(&found)?))
            }
            _ => Ok(found),
        }
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "Tensor({} {})", element::name(self.dtype as i32), shape_text(&self.dims))
    }
}

impl<T: Element, S: Data<Elem = T>, D: Dimension> From<ArrayBase<S, D>> for Tensor {
    fn from(array: ArrayBase<S, D>) -> Self {
        let mut bytes = Vec::new();
        array.iter().for_each(|value| value.put(&mut bytes));
        Self { dtype: T::DTYPE, dims: array.shape().to_vec(), bytes }
    }
}

/// Whether it is a type of floats.
pub(super) fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::Float | Dtype::Double | Dtype::Float16 | Dtype::Bfloat16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_a_type_and_as_many_values_as_dimensions_say() {
        let made = Tensor::from_bytes("float32", &[1, 2], [1.5f32, -2.0].map(f32::to_le_bytes).concat());
        assert_eq!(made.unwrap(), Tensor::new(&[1, 2], [1.5f32, -2.0]).unwrap());
        let half = Tensor::from_bytes("bfloat16", &[1], vec![0x80, 0x3f]).unwrap();
        let rows = half.rows("x", 0, 1, &[1], Dtype::Float as i32).unwrap();
        assert_eq!(floats(&rows).unwrap(), [1.0]);
        for (element, dims, bytes, expected) in [
            ("int4", &[2][..], vec![0], "or bfloat16"),
            ("int64", &[2], vec![0; 8], "as many values as [2] has"),
            ("bool", &[2], vec![0, 2], "booleans of 0 or 1"),
            ("int8", &[usize::MAX, 2], vec![], "as many values"),
        ] {
            let error = Tensor::from_bytes(element, dims, bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
