//! The definitions themselves: those of the standard, as the onnx package has them, and those that fourbit writes beside them.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::super::model::{CONTRIB, is_standard};
use super::super::proto::NodeProto;
use super::super::tensor::Dtype;

/// Made by `tests/python/signatures.py`: `= NAME TYPES` defines a set of element types; any other line says
/// `OPERATOR SINCE ATTRIBUTES LEAST-INPUTS INPUTS > OUTPUTS`.
const STANDARD: &str = include_str!("standard.txt");

/// Operators of com.microsoft that fourbit reads and writes, in the same form, as onnxruntime 1.32 defines them.
const OURS: &str = "\
= float 1,10
= half 1,10,16
= codes 2,3,4,5,6,21,22
= small 2,3,4,5,21,22
= nbits 2,6
= zero 1,2,6,10,16
= int32 6
QuantizeLinear 1 axis,block_size,output_dtype,saturate 2 T1:float T1:float T2:small? > T2:small
DequantizeLinear 1 axis,block_size 2 T1:codes T2:float T1:codes? > T2:float
MatMulNBits 1 K,N,accuracy_level,bits,block_size,weight_prepacked 3 T1:half T2:nbits T1:half T3:zero? T4:int32? T1:half? > T1:half
";

/// A set of element types, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Types(u64);

impl Types {
    fn of(codes: &str) -> Self {
        Self(
            codes.split(',').filter_map(|code| code.parse::<u32>().ok()).fold(0, |set, code| set | 1 << code),
        )
    }

    pub fn contains(self, code: i32) -> bool {
        u32::try_from(code).is_ok_and(|code| code < u64::BITS && self.0 >> code & 1 == 1)
    }

    /// The types, by ONNX's numbers.
    pub fn codes(self) -> impl Iterator<Item = i32> {
        (0..u64::BITS as i32).filter(move |&code| self.contains(code))
    }

    /// The only type, where there is one.
    pub fn single(self) -> Option<i32> {
        (self.0.count_ones() == 1).then(|| self.0.trailing_zeros() as i32)
    }
}

/// An input or output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// What it has in common with others of the same letter.
    pub letter: Option<&'static str>,
    /// What it may be; `None` where it may be more than a tensor.
    pub types: Option<Types>,
    /// Whether it stands for any number of values.
    pub repeated: bool,
}

/// One version of an operator.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    pub since: i64,
    pub attributes: Vec<&'static str>,
    pub least: usize,
    pub inputs: Vec<Slot>,
    pub outputs: Vec<Slot>,
}

impl Signature {
    /// The slot of input `at`.
    pub fn input(&self, at: usize) -> Option<&Slot> {
        slot(&self.inputs, at)
    }

    /// The slot of output `at`.
    pub fn output(&self, at: usize) -> Option<&Slot> {
        slot(&self.outputs, at)
    }
}

fn slot(slots: &[Slot], at: usize) -> Option<&Slot> {
    slots.get(at).or_else(|| slots.last().filter(|last| last.repeated))
}

type Table = HashMap<&'static str, Vec<Signature>>;

static TABLES: LazyLock<(Table, Table)> = LazyLock::new(|| (parsed(STANDARD), parsed(OURS)));

/// The definition of `node`'s operator in `opset`; `None` where none is known.
pub(super) fn signature(node: &NodeProto, opset: i64) -> Option<&'static Signature> {
    let (standard, ours) = &*TABLES;
    match node.domain() {
        domain if is_standard(domain) => {
            standard.get(node.op_type())?.iter().rev().find(|version| version.since <= opset)
        }
        CONTRIB => ours.get(node.op_type())?.last(),
        _ => None,
    }
}

fn parsed(text: &'static str) -> Table {
    let mut sets: HashMap<&str, Types> = HashMap::new();
    let mut table = Table::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&'static str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        match words[..] {
            ["=", name, codes] => drop(sets.insert(name, Types::of(codes))),
            [name, since, attributes, least, ref slots @ ..] => {
                let (Ok(since), Ok(least)) = (since.parse(), least.parse()) else { continue };
                let mut halves = slots.split(|word| *word == ">");
                let mut half =
                    || halves.next().unwrap_or_default().iter().map(|word| of(word, &sets)).collect();
                let attributes = attributes.split(',').collect();
                let signature = Signature { since, attributes, least, inputs: half(), outputs: half() };
                table.entry(name).or_default().push(signature);
            }
            _ => {}
        }
    }
    table
}

fn of(word: &'static str, sets: &HashMap<&str, Types>) -> Slot {
    let (word, repeated) = word.strip_suffix("...").map_or((word, false), |word| (word, true));
    let word = word.trim_end_matches('?');
    let (letter, set) = word.split_once(':').map_or((None, word), |(letter, set)| (Some(letter), set));
    Slot { letter, types: sets.get(set).copied(), repeated }
}

/// The number with which a type is left open.
pub(super) const UNSAID: i32 = Dtype::Undefined as i32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_says_something() {
        let lines = |text: &str| text.lines().filter(|line| !line.starts_with(['#', '='])).count();
        for text in [STANDARD, OURS] {
            let table = parsed(text);
            assert_eq!(table.values().map(Vec::len).sum::<usize>(), lines(text));
            for (name, versions) in &table {
                assert!(versions.is_sorted_by_key(|version| version.since), "{name}");
                assert!(
                    versions.iter().all(|version| version.least <= version.inputs.len().max(1)),
                    "{name}"
                );
            }
        }
    }
}
