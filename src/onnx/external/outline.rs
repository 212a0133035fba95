//! What a model's file says of its own size: read past its tensors, in little memory, and believing nothing.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read as _, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::files;
use crate::onnx::Dtype;

/// Messages inside messages, at most: what the decoder takes too.
const DEPTH: usize = 100;
/// How deep initializers and inputs of the model's own graph lie.
const OUTER: usize = 2;
/// The longest key or name of a side file that is read, in bytes.
const LONGEST: u64 = 4096;
/// Elements beyond which a matrix is large.
const LARGE_MATRIX: u64 = 4 << 20;
/// Side files that are noted, at most, and inputs and names of tensors.
const MOST: usize = 1 << 16;

/// How large a model is, before it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// The files that hold its external data, as far as they lie in its folder, in order.
    pub side_files: Vec<PathBuf>,
    /// Bytes of all files together.
    pub bytes: u64,
    /// Bytes that its float tensors take in memory.
    pub float_bytes: u64,
    /// Bytes of the largest of them.
    pub largest: u64,
    /// The most weights that one output of a layer has, as far as dimensions alone show.
    pub columns: u64,
    /// Elements of the largest input, a dimension that is not known counted as 1.
    pub input_elements: u64,
}

/// Looks through a model's file. Where it is damaged the outline ends there: reading it will tell.
///
/// # Errors
/// [`Error::Read`] where it cannot be opened.
pub fn outline(path: &Path) -> Result<Outline> {
    let file = files::open(path)?;
    let end = file.metadata().map_err(Error::read(path))?.len();
    let mut walk = Walk { input: BufReader::new(file), at: 0, found: Found::default(), elements: 1 };
    // What was seen up to the damage is as good a guess as any.
    let _ = walk.message(Message::Model, end, 0);
    let Found { locations, float_bytes, largest, columns, inputs, tensors } = walk.found;
    // Up to IR version 3 initializers are inputs too.
    let inputs = inputs.into_iter().filter(|(name, _)| !tensors.contains(name));
    let input_elements = inputs.map(|(_, elements)| elements).max().unwrap_or(0);
    let folder = files::folder(path);
    let inside = |location: &String| {
        let parts = Path::new(location).components();
        parts.into_iter().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    };
    let side_files: Vec<PathBuf> =
        locations.iter().filter(|location| inside(location)).map(|location| folder.join(location)).collect();
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |found| found.len());
    let bytes = side_files.iter().map(size).fold(end, u64::saturating_add);
    // Dimensions may say anything. Half precision takes twice the space in memory, nothing else more than in the file.
    let most = bytes.saturating_mul(2);
    let (float_bytes, largest) = (float_bytes.min(most), largest.min(most));
    let columns = columns.min(most / 4);
    Ok(Outline { side_files, bytes, float_bytes, largest, columns, input_elements })
}

#[derive(Default)]
struct Found {
    locations: BTreeSet<String>,
    float_bytes: u64,
    largest: u64,
    columns: u64,
    /// Inputs of the model's graph, with their elements.
    inputs: Vec<(String, u64)>,
    /// Names of that graph's initializers.
    tensors: BTreeSet<String>,
}

/// The messages on the way from a model to its tensors and to the dimensions of its inputs.
#[derive(Clone, Copy, PartialEq)]
enum Message {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    Sparse,
    Tensor,
    Entry,
    Input,
    Type,
    TensorType,
    Shape,
    Dimension,
}

impl Message {
    /// What field `number` holds, where what is looked for may be in it.
    fn field(self, number: u64) -> Option<Self> {
        match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Some(Self::Graph),
            (Self::Model, 25) => Some(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Some(Self::Tensor),
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Some(Self::Sparse),
            (Self::Node, 5) => Some(Self::Attribute),
            (Self::Tensor, 13) => Some(Self::Entry),
            (Self::Graph, 11) => Some(Self::Input),
            (Self::Input, 2) => Some(Self::Type),
            (Self::Type, 1) => Some(Self::TensorType),
            (Self::TensorType, 2) => Some(Self::Shape),
            (Self::Shape, 1) => Some(Self::Dimension),
            _ => None,
        }
    }
}

/// What is known of the message at hand.
#[derive(Default)]
struct Fields {
    dims: Option<u64>,
    first: u64,
    rank: u32,
    kind: i32,
    name: String,
    key: String,
    value: String,
}

struct Walk<R> {
    input: BufReader<R>,
    at: u64,
    found: Found,
    /// Elements of the input at hand.
    elements: u64,
}

fn damaged() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

impl<R: io::Read + Seek> Walk<R> {
    fn message(&mut self, message: Message, end: u64, depth: usize) -> io::Result<()> {
        if depth > DEPTH {
            return Err(damaged());
        }
        let mut fields = Fields::default();
        while self.at < end {
            let tag = self.varint()?;
            let (number, wire) = (tag >> 3, tag & 7);
            match wire {
                0 => {
                    let value = self.varint()?;
                    match (message, number) {
                        (Message::Tensor, 1) => fields.multiply(value),
                        (Message::Dimension, 1) if i64::try_from(value).is_ok_and(|dim| dim > 0) => {
                            self.elements = self.elements.saturating_mul(value);
                        }
                        (Message::Tensor, 2) => fields.kind = i32::try_from(value).unwrap_or(0),
                        _ => {}
                    }
                }
                1 => self.skip(8, end)?,
                5 => self.skip(4, end)?,
                2 => {
                    let length = self.varint()?;
                    let inner =
                        self.at.checked_add(length).filter(|&inner| inner <= end).ok_or_else(damaged)?;
                    match (message.field(number), message, number) {
                        (Some(next), ..) => self.message(next, inner, depth + 1)?,
                        (None, Message::Tensor, 1) => {
                            while self.at < inner {
                                let dim = self.varint()?;
                                fields.multiply(dim);
                            }
                        }
                        // A graph inside another has inputs too, which are not the model's.
                        (None, Message::Tensor, 8) | (None, Message::Input, 1) if depth == OUTER => {
                            fields.name = self.text(length)?;
                        }
                        (None, Message::Entry, 1) => fields.key = self.text(length)?,
                        (None, Message::Entry, 2) => fields.value = self.text(length)?,
                        _ => {}
                    }
                    self.skip(inner.checked_sub(self.at).ok_or_else(damaged)?, end)?;
                }
                _ => return Err(damaged()),
            }
        }
        self.note(message, fields, depth == OUTER);
        Ok(())
    }

    fn note(&mut self, message: Message, mut fields: Fields, outer: bool) {
        let found = &mut self.found;
        if message == Message::Input {
            let elements = std::mem::replace(&mut self.elements, 1);
            if outer && found.inputs.len() < MOST {
                found.inputs.push((fields.name, elements));
            }
            return;
        }
        if message == Message::Tensor && outer && found.tensors.len() < MOST {
            found.tensors.insert(std::mem::take(&mut fields.name));
        }
        if message == Message::Tensor {
            let element = match Dtype::try_from(fields.kind) {
                Ok(Dtype::Double) => 8,
                // Half precision is widened before anything computes with it.
                Ok(Dtype::Float | Dtype::Float16 | Dtype::Bfloat16) => 4,
                _ => 0,
            };
            let bytes = fields.dims.unwrap_or(1).saturating_mul(element);
            found.float_bytes = found.float_bytes.saturating_add(bytes);
            found.largest = found.largest.max(bytes);
            if element > 0 {
                found.columns = found.columns.max(fields.columns());
            }
        } else if message == Message::Entry && fields.key == "location" && found.locations.len() < MOST {
            found.locations.insert(fields.value);
        }
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.input.fill_buf()?.first().ok_or_else(damaged)?;
            self.input.consume(1);
            self.at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(damaged())
    }

    fn skip(&mut self, length: u64, end: u64) -> io::Result<()> {
        let next = self.at.checked_add(length).filter(|&next| next <= end).ok_or_else(damaged)?;
        // Within what is buffered this moves no further than the buffer.
        match i64::try_from(length) {
            Ok(length) => self.input.seek_relative(length)?,
            Err(_) => drop(self.input.seek(SeekFrom::Start(next))?),
        }
        self.at = next;
        Ok(())
    }

    /// A short text; a long one is left to be skipped.
    fn text(&mut self, length: u64) -> io::Result<String> {
        if length > LONGEST {
            return Ok(String::new());
        }
        let mut bytes = Vec::new();
        self.at += self.input.by_ref().take(length).read_to_end(&mut bytes)? as u64;
        Ok(String::from_utf8(bytes).unwrap_or_default())
    }
}

impl Fields {
    fn multiply(&mut self, dim: u64) {
        self.dims = Some(self.dims.unwrap_or(1).saturating_mul(dim));
        self.first = if self.rank == 0 { dim } else { self.first };
        self.rank = self.rank.saturating_add(1);
    }

    /// Weights of one output. A matrix may stand in either way; a large one mostly has more outputs than inputs, as that of a
    /// vocabulary, or as many.
    fn columns(&self) -> u64 {
        let elements = self.dims.unwrap_or(1);
        let rest = elements.checked_div(self.first).unwrap_or(0);
        match self.rank {
            0 | 1 => 0,
            2 if elements > LARGE_MATRIX => self.first.min(rest),
            2 => self.first.max(rest),
            _ => rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Draft, Guard};
    use crate::onnx::build::GraphBuilder;
    use crate::onnx::{tensor_f32, write_to};

    #[test]
    fn sizes_and_side_files_are_seen_and_damage_is_survived() {
        let mut graph = GraphBuilder::new(21);
        let mut value = graph.input("x", &[1, 600]);
        // Elsewhere an initializer may be an input too.
        graph.input("w0", &[600, 600]);
        for (at, width) in [600i64, 600, 2].into_iter().enumerate() {
            let count = 600 * width;
            let weights = tensor_f32(format!("w{at}"), &[600, width], &vec![0.5; count as usize]);
            let weights = graph.initializer(weights);
            value = graph.node("MatMul", &[&value, &weights], &[]);
        }
        graph.output(&value);
        let model = graph.model();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        for external_data in [false, true] {
            let mut draft = Draft::create(&path, true, &Guard::new()).unwrap();
            let bytes = write_to(&model, &mut draft, external_data).unwrap();
            draft.commit().unwrap();
            let found = outline(&path).unwrap();
            let side = if external_data { vec![folder.path().join("m.onnx.data")] } else { Vec::new() };
            let floats = 4 * 600 * (600 + 600 + 2);
            assert_eq!(
                found,
                Outline {
                    side_files: side,
                    bytes,
                    float_bytes: floats,
                    largest: 4 * 600 * 600,
                    columns: 600,
                    input_elements: 600
                }
            );
        }
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            let mut bytes = whole[..length].to_vec();
            std::fs::write(&path, &bytes).unwrap();
            outline(&path).unwrap();
            if let Some(last) = bytes.last_mut() {
                *last = 0xff;
            }
            std::fs::write(&path, &bytes).unwrap();
            outline(&path).unwrap();
        }
        assert!(matches!(outline(&folder.path().join("none.onnx")), Err(Error::Read { .. })));
    }
}
