//! Compiles `proto/onnx.proto` to Rust without `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/onnx.proto");
    let files = protox::compile(["proto/onnx.proto"], ["proto"])?;
    prost_build::Config::new()
        // `Bytes` lets a tensor borrow from the mapped file instead of being copied out of it.
        .bytes([".onnx.TensorProto.raw_data"])
        .compile_fds(files)?;
    Ok(())
}
