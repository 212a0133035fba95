//! The ONNX format: reading, writing, tensors, packing, look-ups and small builders.
//!
//! The prost-generated [`proto::ModelProto`] *is* the model; there is no second graph
//! representation. This is the only part that knows protobuf.

mod attributes;
pub mod build;
mod dequantize;
mod external;
mod form;
mod index;
mod maps;
mod model;
mod names;
mod packing;
mod read;
mod signatures;
mod stream;
mod subgraphs;
mod tensor;
mod write;

pub use attributes::{attr, attribute, axis_of, float, int, ints, set_attribute, string, without_attribute};
pub use dequantize::{Decoded, Dequantized, MatMulNBits, StoredCodes, codes_held, is_dequantized};
pub use external::{Outline, outline};
pub use index::Index;
pub use maps::{Scratch, let_go, spooled};
pub(crate) use maps::{map, map_file};
pub use model::{
    CONTRIB, Model, dtype_name, is_linear, is_standard, node_label, operator_label, value_shape,
};
pub use names::Names;
pub use packing::{pack, unpack};
pub use read::{decode, read, read_tensor};
pub use signatures::{Breach, ElementTypes, breaches};
pub use subgraphs::{bodies, bodies_mut, outer_names, tensors, tensors_mut};
pub use tensor::{Dtype, Floats, element_count, floats, integers, tensor, tensor_f32, tensor_i64, tensor_of};
pub use write::{encode, encode_to, encoded_len, message_len, side_name, write, write_to};

/// The types that prost generates from `proto/onnx.proto`.
#[allow(missing_docs, clippy::all, rustdoc::all)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
}
