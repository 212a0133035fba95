//! Arrays as NumPy stores them: a line of text about type and shape, then the elements.

use std::sync::Arc;

use bytes::Bytes;

use super::packed::Packed;
use crate::onnx::Dtype;
use crate::samples::element;
use crate::samples::misfit::{Fit, Misfit, shape_text};

/// Most axes that an array may have; NumPy itself stops at 64.
const MOST_AXES: usize = 64;

/// Most samples of an array without elements: no bytes bear witness to their number.
const MOST_EMPTY: usize = 1 << 20;

/// An array whose elements stay where they are: in a mapped file, or packed in an archive.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub(super) dtype: Dtype,
    /// At least one axis, the first not of size zero, and as many elements as `data` holds.
    pub(super) shape: Vec<usize>,
    /// Whether the first axis runs fastest.
    fortran: bool,
    /// Bytes of an element.
    size: usize,
    data: Data,
}

#[derive(Clone, Debug)]
enum Data {
    Here(Bytes),
    Packed(Arc<Packed>),
}

impl Array {
    /// Reads the header of `.npy` bytes, and checks it against what follows.
    pub(super) fn parse(bytes: &Bytes) -> Fit<Self> {
        let (text, data) = split(bytes).ok_or_else(|| unreadable("no .npy header"))?;
        let array = Self::described(text, data.len())?;
        Ok(Self { data: Data::Here(data), ..array })
    }

    /// The array that `start`, the first of `length` bytes of `packed`, describes. `None` where it can only be read as a whole.
    pub(super) fn packed(start: &Bytes, length: u64, packed: Packed) -> Fit<Option<Self>> {
        let (text, rest) = split(start).ok_or_else(|| unreadable("no .npy header"))?;
        let header = (start.len() - rest.len()) as u64;
        let array = Self::described(text, usize::try_from(length - header).unwrap_or(usize::MAX))?;
        let row = array.shape.iter().skip(1).product::<usize>() * array.size;
        let packed = Arc::new(packed.of_rows(header, row));
        Ok((!array.fortran).then_some(Self { data: Data::Packed(packed), ..array }))
    }

    /// The array of which only `rows` are asked for, ascending: what is packed need not be unpacked for the others.
    pub(super) fn only(&self, rows: impl Iterator<Item = usize>) -> Self {
        let data = match &self.data {
            Data::Packed(packed) => Data::Packed(Arc::new(packed.only(rows.collect()))),
            here => here.clone(),
        };
        Self { data, shape: self.shape.clone(), ..*self }
    }

    /// Whether elements are packed.
    pub(super) fn is_packed(&self) -> bool {
        matches!(self.data, Data::Packed(_))
    }

    /// The array that a header describes, with `length` bytes of elements that are still to come.
    fn described(text: &str, length: usize) -> Fit<Self> {
        let header = header(text).ok_or_else(|| {
            let text: String = text.chars().take(80).collect();
            unreadable(&format!("the header {text:?}"))
        })?;
        let dtype = header.dtype()?;
        let size = element::size(dtype).ok_or_else(|| unreadable("no element type"))?;
        let nothing = header.shape.contains(&0);
        match header.shape.first() {
            Some(1..) if !nothing => {}
            // A cache without a past, say.
            Some(&count @ 1..) if count <= MOST_EMPTY => {}
            Some(0) => {
                let shape = format!("no sample: an array of shape {}", shape_text(&header.shape));
                return Err(Misfit::new("at least one sample along the first axis", shape));
            }
            _ => {
                let shape = format!("an array of shape {}", shape_text(&header.shape));
                return Err(Misfit::new("samples along the first axis", shape));
            }
        }
        let needed = header.shape.iter().try_fold(size, |bytes, &axis| bytes.checked_mul(axis));
        if needed != Some(length) {
            let shape = shape_text(&header.shape);
            let needed = needed.map_or_else(|| "more than memory holds".into(), |needed| needed.to_string());
            let name = element::name(dtype as i32);
            return Err(Misfit::new(
                format!("{needed} bytes of data for {name} {shape}"),
                format!("{length} bytes (a truncated or damaged file?)"),
            ));
        }
        let fortran = header.fortran && header.shape.len() > 1;
        Ok(Self { dtype, shape: header.shape, fortran, size, data: Data::Here(Bytes::new()) })
    }

    /// `count` rows of the first axis in C order: a view of the file, or a copy of the rows where
    /// the file is in Fortran order. Empty where there are no such rows.
    pub(super) fn rows(&self, start: usize, count: usize) -> Fit<Bytes> {
        match &self.data {
            Data::Here(data) => Ok(self.rows_of(data, start, count)),
            Data::Packed(packed) => packed.rows(start, count),
        }
    }

    fn rows_of(&self, data: &Bytes, start: usize, count: usize) -> Bytes {
        let row: usize = self.shape.iter().skip(1).product();
        let range = |scale: usize| {
            let (from, to) = (start.checked_mul(scale)?, start.checked_add(count)?.checked_mul(scale)?);
            (to <= data.len()).then_some(from..to)
        };
        match range(row * self.size) {
            None => Bytes::new(),
            Some(bytes) if !self.fortran => data.slice(bytes),
            Some(_) => self.gather(data, start, count, row).into(),
        }
    }

    fn gather(&self, data: &Bytes, start: usize, count: usize, row: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(count * row * self.size);
        for first in start..start + count {
            for element in 0..row {
                let (mut rest, mut at, mut stride) = (element, first, data.len() / self.size);
                for &axis in self.shape.iter().skip(1).rev() {
                    stride /= axis;
                    at += (rest % axis) * stride;
                    rest /= axis;
                }
                out.extend_from_slice(data.get(at * self.size..(at + 1) * self.size).unwrap_or(&[]));
            }
        }
        out
    }

    /// The class indices of an array: one for each row of data, or with more axes several, as for each position of a text.
    pub(super) fn labels(&self) -> Fit<Vec<i64>> {
        let found = || format!("{} {}", element::name(self.dtype as i32), shape_text(&self.shape));
        if self.shape.is_empty() {
            return Err(Misfit::new("class indices, integers along an axis", found()));
        }
        let negative = || Misfit::new("class indices from 0", "a negative or too large number");
        let word = |bytes: &[u8]| {
            let mut word = [0; 8];
            word.iter_mut().zip(bytes).for_each(|(to, &from)| *to = from);
            i64::try_from(u64::from_le_bytes(word)).ok()
        };
        let sign = match self.dtype {
            Dtype::Uint8 | Dtype::Uint16 | Dtype::Uint32 | Dtype::Uint64 => 0,
            Dtype::Int8 | Dtype::Int16 | Dtype::Int32 | Dtype::Int64 => 0x80,
            _ => return Err(Misfit::new("class indices, which are integers", found())),
        };
        let label = |bytes: &[u8]| match bytes.last() {
            Some(last) if last & sign == 0 => word(bytes).ok_or_else(negative),
            _ => Err(negative()),
        };
        self.rows(0, self.shape[0])?.chunks_exact(self.size).map(label).collect()
    }
}

fn unreadable(what: &str) -> Misfit {
    Misfit::new("a NumPy array", format!("{what} (a damaged file?)"))
}

/// The header's text and the elements.
fn split(bytes: &Bytes) -> Option<(&str, Bytes)> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (start, length) = match *rest.first_chunk::<6>()? {
        [1, 0, a, b, ..] => (10, usize::from(u16::from_le_bytes([a, b]))),
        [2 | 3, 0, a, b, c, d] => (12, usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?),
        _ => return None,
    };
    let end = length.checked_add(start)?;
    let text = std::str::from_utf8(bytes.get(start..end)?).ok()?;
    Some((text, bytes.slice(end..)))
}

struct Header<'t> {
    descr: &'t str,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header<'_> {
    fn dtype(&self) -> Fit<Dtype> {
        let refuse = |what: &str| {
            Err(Misfit::new("integers, floats or booleans", format!("{what} (NumPy type {})", self.descr)))
        };
        let (order, code) = match self.descr.strip_prefix(['<', '|', '=', '>']) {
            Some(code) => (self.descr.chars().next().unwrap_or('='), code),
            None => ('=', self.descr),
        };
        match element::from_code(code) {
            Some(dtype) if order != '>' || code.ends_with('1') => Ok(dtype),
            Some(_) => refuse("big-endian numbers; save them in the machine's own order"),
            None if code.starts_with('O') => refuse("pickled Python objects, which are never unpickled"),
            None if self.descr.starts_with('[') => refuse("records; save one array for each field"),
            None => refuse("another type"),
        }
    }
}

/// Parses the literal of a Python dictionary with exactly the keys that NumPy writes.
fn header(text: &str) -> Option<Header<'_>> {
    let mut scan = Scanner(text);
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    scan.eat("{").then_some(())?;
    while !scan.eat("}") {
        let key = scan.quoted()?;
        scan.eat(":").then_some(())?;
        match key {
            "descr" if scan.0.trim_start().starts_with('[') => {
                // Records: their fields do not matter, since they are refused.
                return Some(Header { descr: "[...]", fortran: false, shape: Vec::new() });
            }
            "descr" => descr = Some(scan.quoted()?),
            "fortran_order" => fortran = Some(scan.boolean()?),
            "shape" => shape = Some(scan.tuple()?),
            _ => return None,
        }
        if !scan.eat(",") && !scan.0.trim_start().starts_with('}') {
            return None;
        }
    }
    scan.0.trim().is_empty().then_some(())?;
    Some(Header { descr: descr?, fortran: fortran?, shape: shape? })
}

struct Scanner<'t>(&'t str);

impl<'t> Scanner<'t> {
    fn eat(&mut self, token: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn quoted(&mut self) -> Option<&'t str> {
        let text = self.0.trim_start();
        let quote = text.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
        let (inside, rest) = text.get(1..)?.split_once(quote)?;
        self.0 = rest;
        Some(inside)
    }

    fn boolean(&mut self) -> Option<bool> {
        if self.eat("True") { Some(true) } else { self.eat("False").then_some(false) }
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        let mut sizes = Vec::new();
        self.eat("(").then_some(())?;
        while !self.eat(")") {
            let text = self.0.trim_start();
            let digits = text.find(|c: char| !c.is_ascii_digit())?;
            sizes.push(text.get(..digits)?.parse().ok()?);
            self.0 = text.get(digits..)?;
            // Python 2 wrote long integers with this suffix.
            self.eat("L");
            if sizes.len() > MOST_AXES || (!self.eat(",") && !self.0.trim_start().starts_with(')')) {
                return None;
            }
        }
        Some(sizes)
    }
}

#[cfg(test)]
pub(in crate::samples) mod tests {
    use super::*;

    /// The bytes of an `.npy` file.
    pub(in crate::samples) fn npy(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Bytes {
        let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        let length = (text.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), data].concat().into()
    }

    #[test]
    fn rows_are_views_in_c_order_and_copies_in_fortran_order() {
        // [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]] both ways.
        let c: Vec<u8> = (0..12).collect();
        let fortran = [0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11];
        let c = Array::parse(&npy("|u1", "False", "(2, 3, 2)", &c)).unwrap();
        let fortran = Array::parse(&npy("|u1", "True", "(2L, 3L, 2L)", &fortran)).unwrap();
        for (start, count) in [(0, 1), (1, 1), (0, 2)] {
            assert_eq!(c.rows(start, count), fortran.rows(start, count));
        }
        assert_eq!(c.rows(1, 1).unwrap()[..], [6, 7, 8, 9, 10, 11]);
        assert!(c.rows(2, 1).unwrap().is_empty() && c.rows(usize::MAX, 2).unwrap().is_empty());
    }

    #[test]
    fn lies_about_the_size_are_found() {
        for shape in ["(3,)", "(5,)", "(18446744073709551615, 4)", "(0,)", "()", "(1000000000000, 0)"] {
            assert!(Array::parse(&npy("<u1", "False", shape, &[0; 4])).is_err(), "{shape}");
        }
        assert!(Array::parse(&npy("<f4", "False", "(1,)", &[0; 4])).is_ok());
    }

    #[test]
    fn axes_of_a_sample_may_be_empty() {
        let array = Array::parse(&npy("<f4", "False", "(3, 4, 0, 8)", &[])).unwrap();
        assert!(array.rows(0, 1).unwrap().is_empty() && array.rows(2, 1).unwrap().is_empty());
        let turned = Array::parse(&npy("<f4", "True", "(3, 0)", &[])).unwrap();
        assert!(turned.rows(1, 1).unwrap().is_empty());
        let text = format!("{:?}", Array::parse(&npy("<f4", "False", "(0, 4)", &[])).unwrap_err());
        assert!(text.contains("no sample: an array of shape [0, 4]"), "{text}");
        assert!(Array::parse(&npy("<f4", "False", "(1000000000000, 0)", &[])).is_err());
    }

    #[test]
    fn damaged_headers_are_refused() {
        for shape in ["(4", "4", "(-4,)", "(4,)}}", "((((4,))))", "(99999999999999999999,)", "(4 4)"] {
            assert!(Array::parse(&npy("|u1", "False", shape, &[0; 4])).is_err(), "{shape}");
        }
        let whole = npy("|u1", "False", "(4,)", &[0; 4]);
        for length in 0..whole.len() {
            assert!(Array::parse(&whole.slice(..length)).is_err(), "{length}");
        }
        assert!(Array::parse(&npy("|u1", "None", "(4,)", &[0; 4])).is_err());
    }

    #[test]
    fn types_that_cannot_be_fed_are_named() {
        for (descr, word) in [("|O", "pickled"), (">f4", "big-endian"), ("<c8", "c8"), ("<U3", "U3")] {
            let text = format!("{:?}", Array::parse(&npy(descr, "False", "(1,)", &[0; 4])).unwrap_err());
            assert!(text.contains(word), "{text}");
        }
        let records =
            String::from_utf8_lossy(&npy("R", "False", "(1,)", &[])[10..]).replace("'R'", "[('a', '<f4')]");
        let length = (records.len() as u16).to_le_bytes();
        let bytes: Bytes = [b"\x93NUMPY\x01\x00", &length[..], records.as_bytes()].concat().into();
        assert!(format!("{:?}", Array::parse(&bytes).unwrap_err()).contains("records"));
    }

    #[test]
    fn labels_are_integers_from_zero() {
        let labels = |descr, data: &[u8]| Array::parse(&npy(descr, "False", "(2,)", data)).unwrap().labels();
        assert_eq!(labels("|u1", &[200, 1]).unwrap(), [200, 1]);
        assert_eq!(labels("<i2", &[0, 1, 7, 0]).unwrap(), [256, 7]);
        assert!(labels("|i1", &[0xff, 1]).is_err());
        assert!(labels("<u8", &[0xff; 16]).is_err());
        assert!(labels("<f4", &[0; 8]).is_err());
    }
}
