//! How wide the columns of a table are.

use std::collections::BTreeSet;

use super::{Column, Kind};
use crate::report::words;

/// Names are never longer than this, however wide the terminal.
const LONGEST_NAME: usize = 120;
/// Names are never cut shorter than this: a narrower table becomes a list.
const SHORTEST_NAME: usize = 20;
/// Words longer than this, such as paths, are cut.
const LONGEST_WORD: usize = 30;
/// Long texts are not made narrower than this: they would be a column of single words.
const NARROWEST_TEXT: usize = 24;
/// Lines that a text which is not long may be wrapped into.
const LINES: usize = 4;
/// What stands beside the cells of a column.
const PADDING: usize = 2;

/// How narrow a column may be, and how wide it can be of use.
pub(super) struct Extent {
    least: usize,
    most: usize,
    head: usize,
}

impl Extent {
    pub(super) fn of<'c>(column: &Column, cells: impl Iterator<Item = &'c str>) -> Self {
        let cells: BTreeSet<&str> = cells.collect();
        let most = cells.iter().map(|cell| length(cell)).max().unwrap_or(0);
        let (least, most) = match column.kind {
            Kind::Name => {
                let most = most.min(LONGEST_NAME);
                (distinct(&cells, most), most)
            }
            Kind::Text => {
                let word = cells.iter().map(|cell| longest_word(cell)).max().unwrap_or(0).min(LONGEST_WORD);
                (word.max((most / LINES).min(NARROWEST_TEXT)).min(most), most)
            }
            Kind::Whole | Kind::Figure => (most, most),
        };
        let head = longest_word(column.head);
        Self { least: least.max(head), most: most.max(head), head: length(column.head) }
    }
}

/// The widths of columns in a table of at most `room` columns, if that can be.
pub(super) fn fit(extents: &[Extent], room: usize) -> Option<Vec<usize>> {
    let mut widths: Vec<usize> = extents.iter().map(|extent| extent.least).collect();
    let taken: usize = widths.iter().map(|width| width + PADDING).sum();
    // One column stands between two.
    let mut left = room.checked_sub(taken + widths.len().saturating_sub(1))?;
    // Cells first: heads may stand on several lines.
    for wanted in [|extent: &Extent| extent.most, |extent: &Extent| extent.most.max(extent.head)] {
        let mut grown = true;
        while grown {
            grown = false;
            for (width, extent) in widths.iter_mut().zip(extents) {
                if left > 0 && *width < wanted(extent) {
                    *width += 1;
                    left -= 1;
                    grown = true;
                }
            }
        }
    }
    Some(widths)
}

/// The shortest limit to which different names can be cut and still be different.
fn distinct(names: &BTreeSet<&str>, most: usize) -> usize {
    let differ = |limit: &usize| {
        let cut: BTreeSet<String> = names.iter().map(|name| words::name(name, *limit)).collect();
        cut.len() == names.len()
    };
    (SHORTEST_NAME..most).find(differ).unwrap_or(most)
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn longest_word(text: &str) -> usize {
    text.split_whitespace().map(length).max().unwrap_or(0)
}
