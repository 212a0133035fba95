//! Numbers that an input may hold: token ids that its table has, masks that let all pass, positions that count up.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use bytes::Bytes;

use super::super::random::SplitMix64;
use crate::onnx::proto::NodeProto;
use crate::onnx::{Dtype, Index, Model, axis_of, int};

/// What an input is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Standard normal floats; integers 0.
    Plain,
    /// Ones.
    Mask,
    /// 0, 1, 2 ... along the last axis, below a number of rows.
    Positions(usize),
    /// From 0 up to a number of rows.
    Ids(usize),
    /// The same number everywhere.
    All(i64),
}

/// Operators that hand indices on, some of them changed: Keras counts those below zero from the end.
const THROUGH: [&str; 24] = [
    "Abs",
    "Add",
    "Cast",
    "Clip",
    "Equal",
    "Expand",
    "Flatten",
    "Greater",
    "Identity",
    "Less",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Not",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Sub",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// For each input that indexes tables, the rows of the shortest.
pub(super) fn tables(model: &Model) -> HashMap<String, usize> {
    let graph = model.graph();
    let index = Index::new(graph);
    let mut readers: BTreeMap<&str, Vec<&NodeProto>> = BTreeMap::new();
    for node in &graph.node {
        node.input.iter().for_each(|name| readers.entry(name).or_default().push(node));
    }
    let rows = |node: &NodeProto, slot: usize| -> Option<usize> {
        let data = node.input.get(slot).filter(|name| !name.is_empty())?;
        let dims = &index.constant(data)?.dims;
        let axis = if node.op_type() == "Gather" { int(node, "axis").unwrap_or(0) } else { 0 };
        usize::try_from(dims[axis_of(axis, dims.len())?]).ok()
    };
    let mut found = HashMap::new();
    for input in model.inputs() {
        let mut open = VecDeque::from([input.name()]);
        let mut least: Option<usize> = None;
        let mut steps = 0;
        let mut known = HashSet::from([input.name()]);
        while let Some(name) = open.pop_front() {
            steps += 1;
            for &node in readers.get(name).into_iter().flatten().filter(|_| steps < 1000) {
                let is_at = |slot: usize| node.input.get(slot).is_some_and(|input| input == name);
                let counted = match node.op_type() {
                    "Gather" if is_at(1) => rows(node, 0),
                    // Tables of words, positions and segments.
                    "EmbedLayerNormalization" if is_at(0) => rows(node, 2),
                    "EmbedLayerNormalization" if is_at(1) => rows(node, 4),
                    operator if THROUGH.contains(&operator) => {
                        open.extend(node.output.iter().map(String::as_str).filter(|name| known.insert(name)));
                        None
                    }
                    _ => None,
                };
                least = least.into_iter().chain(counted).min();
            }
        }
        found.extend(least.map(|rows| (input.name().to_owned(), rows)));
    }
    found
}

/// What an input of this name and type is taken for. `rows` are those of the table that it indexes, `length` is that of a sequence.
pub(super) fn kind(name: &str, dtype: Dtype, rows: Option<usize>, length: usize) -> Kind {
    let name = name.to_lowercase();
    let integer = matches!(
        dtype,
        Dtype::Int64
            | Dtype::Int32
            | Dtype::Int16
            | Dtype::Int8
            | Dtype::Uint8
            | Dtype::Uint16
            | Dtype::Uint32
    );
    if name.contains("mask") {
        return Kind::Mask;
    }
    if !integer {
        return Kind::Plain;
    }
    match rows {
        _ if name == "sr" || name.contains("sample_rate") => Kind::All(16_000),
        // As onnxruntime's GroupQueryAttention counts: one less than all.
        _ if name.contains("seqlens_k") => Kind::All(length as i64 - 1),
        _ if name.contains("total_seq") || name.contains("length") || name.ends_with("_lens") => {
            Kind::All(length as i64)
        }
        _ if name.contains("position") => Kind::Positions(rows.unwrap_or(usize::MAX)),
        _ if name.contains("token_type") || name.contains("segment") => Kind::Plain,
        Some(rows @ 1..) => Kind::Ids(rows),
        _ => Kind::Plain,
    }
}

/// The bytes of a tensor of `dims`.
pub(super) fn values(kind: Kind, dtype: Dtype, dims: &[i64], random: &mut SplitMix64) -> Bytes {
    let count: usize = dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).product();
    let last = dims.last().map_or(1, |&dim| usize::try_from(dim).unwrap_or(0)).max(1);
    let mut number = |at: usize| match kind {
        Kind::Plain => match dtype {
            Dtype::Float | Dtype::Double | Dtype::Float16 | Dtype::Bfloat16 => random.normal(),
            _ => 0.0,
        },
        Kind::Mask => 1.0,
        Kind::Positions(rows) => ((at % last) % rows.max(1)) as f64,
        Kind::Ids(rows) => random.below(rows.max(1)) as f64,
        Kind::All(value) => value as f64,
    };
    let numbers = (0..count).map(&mut number);
    let bytes: Vec<u8> = match dtype {
        Dtype::Float => numbers.flat_map(|value| (value as f32).to_le_bytes()).collect(),
        Dtype::Double => numbers.flat_map(f64::to_le_bytes).collect(),
        Dtype::Float16 => numbers.flat_map(|value| half::f16::from_f64(value).to_le_bytes()).collect(),
        Dtype::Bfloat16 => numbers.flat_map(|value| half::bf16::from_f64(value).to_le_bytes()).collect(),
        Dtype::Int64 | Dtype::Uint64 => numbers.flat_map(|value| (value as i64).to_le_bytes()).collect(),
        Dtype::Int32 | Dtype::Uint32 => numbers.flat_map(|value| (value as i32).to_le_bytes()).collect(),
        Dtype::Int16 | Dtype::Uint16 => numbers.flat_map(|value| (value as i16).to_le_bytes()).collect(),
        _ => numbers.map(|value| value as u8).collect(),
    };
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::attr;
    use crate::onnx::build::GraphBuilder;

    #[test]
    fn ids_are_below_the_rows_of_the_shortest_table() {
        let mut graph = GraphBuilder::new(21);
        let ids = graph.typed_input("ids", Dtype::Int32, &[1, 5]);
        let [words, others] =
            [("words", 50), ("others", 20)].map(|(name, rows)| graph.weights(name, &[rows, 4]));
        let cast = graph.node("Cast", &[&ids], &[attr::int("to", 7)]);
        let y = graph.node("Gather", &[&words, &cast], &[]);
        let z = graph.node("Gather", &[&others, &ids], &[]);
        graph.output(&y);
        graph.output(&z);
        let model = graph.model();
        assert_eq!(tables(&model), HashMap::from([("ids".to_owned(), 20)]));
    }

    #[test]
    fn names_say_what_integers_are() {
        for (name, dtype, rows, expected) in [
            ("attention_mask", Dtype::Int64, None, Kind::Mask),
            ("pixel_mask", Dtype::Float, None, Kind::Mask),
            ("position_ids", Dtype::Int64, Some(9), Kind::Positions(9)),
            ("input_ids", Dtype::Int64, Some(9), Kind::Ids(9)),
            ("token_type_ids", Dtype::Int64, Some(2), Kind::Plain),
            ("seqlens_k", Dtype::Int32, None, Kind::All(15)),
            ("total_sequence_length", Dtype::Int32, None, Kind::All(16)),
            ("sr", Dtype::Int64, None, Kind::All(16_000)),
            ("x", Dtype::Float, None, Kind::Plain),
            ("x", Dtype::Int64, None, Kind::Plain),
        ] {
            assert_eq!(kind(name, dtype, rows, 16), expected, "{name}");
        }
        let bytes = values(Kind::Positions(3), Dtype::Int64, &[2, 4], &mut SplitMix64::new(1));
        let numbers: Vec<u8> = bytes.chunks(8).map(|bytes| bytes[0]).collect();
        assert_eq!(numbers, [0, 1, 2, 0, 0, 1, 2, 0]);
    }
}
