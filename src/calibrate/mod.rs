//! x
use crate::error::Result; use crate::onnx::{Model, proto::TensorProto}; use crate::plan::{Analysis, Observations}; use crate::progress::Progress;
/// stub
pub fn observe(_: &Model, _: &Analysis, _: usize, _: &(dyn Fn(usize) -> Result<Vec<TensorProto>> + Sync), _: bool, _: &dyn Progress) -> Result<Observations> { Ok(Observations::default()) }
