//! The ONNX format: reading, writing, tensors, packing, look-ups and small builders.
//!
//! The prost-generated [`proto::ModelProto`] *is* the model; there is no second graph
//! representation. This is the only part that knows protobuf.

mod attributes;
pub mod build;
mod external;
mod index;
mod model;
mod packing;
mod read;
mod subgraphs;
mod tensor;
mod write;

pub use attributes::{attr, attribute, float, int, ints, set_attribute, string, without_attribute};
pub(crate) use external::{map, map_file};
pub use index::Index;
pub use model::{Model, dtype_name, is_standard, node_label, operator_label, value_shape};
pub use packing::{pack, unpack};
pub use read::{decode, read, read_tensor};
pub use subgraphs::{bodies, bodies_mut, outer_names};
pub use tensor::{Dtype, element_count, floats, integers, tensor, tensor_f32, tensor_i64, tensor_of};
pub use write::{Sink, encode, remove, write};

/// The types that prost generates from `proto/onnx.proto`.
#[allow(missing_docs, clippy::all, rustdoc::all)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
}
