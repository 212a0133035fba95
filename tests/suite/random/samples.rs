//! Samples for a made-up model, in an archive of NumPy's.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use fourbit::onnx::Dtype;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::chance::Chance;

/// Writes `count` samples of inputs of the types and dimensions given.
pub fn write(path: &Path, inputs: &[(String, Dtype, Vec<i64>)], count: i64, chance: &mut Chance) {
    let mut archive = ZipWriter::new(File::create(path).expect("a file"));
    for (name, dtype, dims) in inputs {
        let shape = [&[count], dims.as_slice()].concat();
        let elements = shape.iter().product::<i64>();
        let (kind, bytes): (&str, Vec<u8>) = match dtype {
            Dtype::Int64 => ("<i8", (0..elements).flat_map(|_| chance.below(6).to_le_bytes()).collect()),
            Dtype::Bool => ("|b1", (0..elements).map(|_| chance.below(2) as u8).collect()),
            _ => ("<f4", (0..elements).flat_map(|_| chance.normal().to_le_bytes()).collect()),
        };
        let shape: String = shape.iter().map(|size| format!("{size}, ")).collect();
        let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
        while (header.len() + 11) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        archive.start_file(format!("{name}.npy"), SimpleFileOptions::default()).expect("a member");
        archive.write_all(b"\x93NUMPY\x01\x00").expect("it can be written");
        archive.write_all(&(header.len() as u16).to_le_bytes()).expect("it can be written");
        archive.write_all(header.as_bytes()).expect("it can be written");
        archive.write_all(&bytes).expect("it can be written");
    }
    archive.finish().expect("an archive");
}
