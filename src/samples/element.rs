//! Element types as ONNX numbers them and as NumPy calls them.

use crate::onnx::{Dtype, dtype_name};

/// Type, NumPy's name, NumPy's code without the byte order, bytes of an element.
const TABLE: [(Dtype, &str, &str, usize); 12] = [
    (Dtype::Float, "float32", "f4", 4),
    (Dtype::Double, "float64", "f8", 8),
    (Dtype::Float16, "float16", "f2", 2),
    (Dtype::Int8, "int8", "i1", 1),
    (Dtype::Int16, "int16", "i2", 2),
    (Dtype::Int32, "int32", "i4", 4),
    (Dtype::Int64, "int64", "i8", 8),
    (Dtype::Uint8, "uint8", "u1", 1),
    (Dtype::Uint16, "uint16", "u2", 2),
    (Dtype::Uint32, "uint32", "u4", 4),
    (Dtype::Uint64, "uint64", "u8", 8),
    (Dtype::Bool, "bool", "b1", 1),
];

/// The type behind NumPy's code.
pub(super) fn from_code(code: &str) -> Option<Dtype> {
    TABLE.iter().find(|row| row.2 == code).map(|row| row.0)
}

/// NumPy's name of BFLOAT16, where a package beside it brings that.
const BFLOAT16: &str = "bfloat16";

/// The type that NumPy calls so, and the bytes of an element.
pub(super) fn named(name: &str) -> Option<(Dtype, usize)> {
    match name {
        BFLOAT16 => Some((Dtype::Bfloat16, 2)),
        _ => TABLE.iter().find(|row| row.1 == name).map(|row| (row.0, row.3)),
    }
}

/// All names that [`named`] knows.
pub(super) fn names() -> String {
    let names: Vec<&str> = TABLE.iter().map(|row| row.1).collect();
    format!("{} or {BFLOAT16}", names.join(", "))
}

/// Bytes of an element, of the types that can be fed.
pub(super) fn size(dtype: Dtype) -> Option<usize> {
    match dtype {
        Dtype::Bfloat16 => Some(2),
        _ => TABLE.iter().find(|row| row.0 == dtype).map(|row| row.3),
    }
}

/// NumPy's name, or ONNX's where NumPy has no such type.
pub(super) fn name(code: i32) -> String {
    let row = TABLE.iter().find(|row| row.0 as i32 == code);
    row.map_or_else(|| dtype_name(code), |row| row.1.into())
}
