//! Rows of an array that lies deflated in an archive: unpacked in one pass when the first is asked for, and only those that will
//! be.

use std::io::{self, Cursor, Read};
use std::sync::OnceLock;

use bytes::Bytes;
use zip::ZipArchive;

use crate::onnx::Scratch;
use crate::samples::misfit::{Fit, Misfit};

/// Bytes that are unpacked at a time.
const PIECE: usize = 64 << 10;

/// A member of an archive.
#[derive(Debug)]
pub(super) struct Packed {
    archive: Bytes,
    member: String,
    /// Bytes before the first row.
    header: u64,
    /// Bytes of a row.
    row: usize,
    /// Rows that are asked for, ascending; all where `None`.
    kept: Option<Vec<usize>>,
    /// Those rows, one after the other.
    data: OnceLock<Fit<Bytes>>,
}

impl Packed {
    /// `member` of the archive whose bytes are `archive`.
    pub(super) fn new(archive: Bytes, member: String) -> Self {
        Self { archive, member, header: 0, row: 0, kept: None, data: OnceLock::new() }
    }

    /// The same as rows of `row` bytes behind a header.
    pub(super) fn of_rows(self, header: u64, row: usize) -> Self {
        Self { header, row, ..self }
    }

    /// The same, of which only `rows` are asked for, ascending.
    pub(super) fn only(&self, rows: Vec<usize>) -> Self {
        Self { kept: Some(rows), ..Self::new(self.archive.clone(), self.member.clone()) }
            .of_rows(self.header, self.row)
    }

    /// Its first `length` bytes, or all where there are fewer.
    pub(super) fn start(&self, length: u64) -> Fit<Bytes> {
        let mut bytes = Vec::new();
        self.open(&mut |member| member.take(length).read_to_end(&mut bytes).map(drop))?;
        Ok(bytes.into())
    }

    /// `count` rows from `start` on; none where they are not among those that are asked for.
    pub(super) fn rows(&self, start: usize, count: usize) -> Fit<Bytes> {
        let data = self.data.get_or_init(|| self.unpack()).as_ref().map_err(Misfit::clone)?;
        let at = self.kept.as_ref().map_or(Some(start), |kept| kept.binary_search(&start).ok());
        let range =
            at.and_then(|at| Some(at.checked_mul(self.row)?..at.checked_add(count)?.checked_mul(self.row)?));
        Ok(range.filter(|range| range.end <= data.len()).map_or_else(Bytes::new, |range| data.slice(range)))
    }

    fn unpack(&self) -> Fit<Bytes> {
        let mut scratch = Scratch::new();
        let row = self.row as u64;
        self.open(&mut |member| {
            skip(member, self.header)?;
            let mut take = |member: &mut dyn Read, length: u64| {
                let mut piece = [0; PIECE];
                let mut left = length;
                while left > 0 {
                    let most = left.min(PIECE as u64) as usize;
                    match member.read(&mut piece[..most])? {
                        0 if length == u64::MAX => break,
                        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                        count => {
                            scratch.push(&piece[..count]).map_err(io::Error::other)?;
                            left -= count as u64;
                        }
                    }
                }
                Ok(())
            };
            let Some(kept) = &self.kept else { return take(member, u64::MAX) };
            let mut at = 0u64;
            for &next in kept {
                skip(member, (next as u64).saturating_sub(at).saturating_mul(row))?;
                take(member, row)?;
                at = next as u64 + 1;
            }
            Ok(())
        })?;
        scratch.finish().map_err(|error| Misfit::new("room to unpack it", error.to_string()))
    }

    fn open(&self, read: &mut dyn FnMut(&mut dyn Read) -> io::Result<()>) -> Fit<()> {
        let damaged = |found: String| Misfit::new("a readable member", found);
        let mut zip =
            ZipArchive::new(Cursor::new(self.archive.clone())).map_err(|error| damaged(error.to_string()))?;
        let mut member = zip.by_name(&self.member).map_err(|error| damaged(error.to_string()))?;
        read(&mut member).map_err(|error| damaged(error.to_string()))
    }
}

fn skip(member: &mut dyn Read, length: u64) -> io::Result<()> {
    match io::copy(&mut member.take(length), &mut io::sink())? == length {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
