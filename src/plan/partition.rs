//! Which elements of a tensor share a scale: the one place that knows this arithmetic.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Which elements of a tensor share a scale and a zero point: a granularity on the axes of a tensor, as DequantizeLinear says it.
///
/// [`Granularity`](crate::options::Granularity) is what is asked for; a partition is what one tensor gets, with the axis that its
/// readers take as output channels or inputs. Dimensions make [`Groups`] of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase", deny_unknown_fields)]
pub enum Partition {
    /// All of the tensor.
    Tensor,
    /// Those of one index along an axis.
    Channel {
        /// The axis.
        axis: usize,
    },
    /// Runs of `size` neighbours along an axis, each with its own scale; the last run is shorter where `size` does not
    /// divide the axis.
    Block {
        /// The axis.
        axis: usize,
        /// Elements in a run, at least 1.
        size: usize,
    },
}

impl Partition {
    /// `tensor`, `channel` or `block`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tensor => "tensor",
            Self::Channel { .. } => "channel",
            Self::Block { .. } => "block",
        }
    }

    /// The axis, if there is one.
    pub fn axis(self) -> Option<usize> {
        match self {
            Self::Tensor => None,
            Self::Channel { axis } | Self::Block { axis, .. } => Some(axis),
        }
    }

    /// The same, or in the place of blocks, which models of old opsets cannot have, one scale for each index along the longest
    /// of the other axes.
    pub fn without_blocks(self, dims: &[i64]) -> Self {
        let Self::Block { axis, .. } = self else { return self };
        let others = (0..dims.len()).rev().filter(|&other| other != axis);
        others.max_by_key(|&other| dims[other]).map_or(Self::Tensor, |axis| Self::Channel { axis })
    }

    /// Dimensions of the tensor of scales for weights of `dims`, as DequantizeLinear wants them; `None` where the two
    /// do not fit or a dimension is negative.
    pub fn scale_dims(self, dims: &[i64]) -> Option<Vec<i64>> {
        if dims.iter().any(|&dim| dim < 0) {
            return None;
        }
        match self {
            Self::Tensor => Some(Vec::new()),
            Self::Channel { axis } => dims.get(axis).map(|&dim| vec![dim]),
            Self::Block { axis, size } => {
                let groups = dims.get(axis).filter(|_| size > 0)?.unsigned_abs().div_ceil(size as u64);
                let mut dims = dims.to_vec();
                dims[axis] = groups as i64;
                Some(dims)
            }
        }
    }

    /// The groups of a tensor of `dims`; `None` as [`Partition::scale_dims`], or where the product of the dimensions
    /// is too large.
    pub fn groups(self, dims: &[i64]) -> Option<Groups> {
        let product = |dims: &[i64]| {
            dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(usize::try_from(dim).ok()?))
        };
        let (elements, count) = (product(dims)?, product(&self.scale_dims(dims)?)?);
        let (axis, size) = match self {
            Self::Tensor => return Some(Groups { elements, count, map: GroupMap::Whole }),
            Self::Channel { axis } => (axis, 1),
            Self::Block { axis, size } => (axis, size),
        };
        // Where there are no elements nothing is asked of the form, and no size may be zero.
        let length = (*dims.get(axis)? as usize).max(1);
        let inner = product(&dims[axis + 1..])?.max(1);
        let map = match self {
            Self::Block { .. } => GroupMap::Blocks { length, inner, size, groups: length.div_ceil(size) },
            _ => GroupMap::Axis { length, inner },
        };
        Some(Groups { elements, count, map })
    }
}

/// A [`Partition`] of a tensor of known dimensions: from an element to the number of its group, in row-major order of the scales, and
/// back to the elements, as [`Runs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    elements: usize,
    count: usize,
    map: GroupMap,
}

/// Which group an element belongs to: the elements as `[outer, length, inner]`, the scales as `[outer or 1, groups, inner or 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GroupMap {
    Whole,
    Axis { length: usize, inner: usize },
    Blocks { length: usize, inner: usize, size: usize, groups: usize },
}

impl Groups {
    /// How many groups there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many elements there are.
    pub fn elements(&self) -> usize {
        self.elements
    }

    /// The group of the element at `at` in row-major order, below [`Groups::count`] for an element of the tensor.
    pub fn of(&self, at: usize) -> usize {
        match self.map {
            GroupMap::Whole => 0,
            GroupMap::Axis { length, inner } => at / inner % length,
            GroupMap::Blocks { length, inner, size, groups } => {
                let (line, place) = (at / inner, at % inner);
                (line / length * groups + line % length / size) * inner + place
            }
        }
    }

    /// The group of the element at `at`, by how much its number grows from one element to the next, and for how many
    /// elements that holds.
    pub fn run(&self, at: usize) -> (usize, usize, usize) {
        let group = self.of(at);
        match self.map {
            GroupMap::Whole => (group, 0, self.elements - at),
            GroupMap::Axis { length, inner: 1 } => (group, 1, length - at % length),
            GroupMap::Axis { inner, .. } => (group, 0, inner - at % inner),
            GroupMap::Blocks { length, inner: 1, size, .. } => {
                let column = at % length;
                (group, 0, (size - column % size).min(length - column))
            }
            GroupMap::Blocks { inner, .. } => (group, 1, inner - at % inner),
        }
    }

    /// Where the elements of `group` are.
    pub fn runs(&self, group: usize) -> Runs {
        match self.map {
            GroupMap::Whole => Runs { start: 0, step: self.elements, count: 1, length: self.elements },
            GroupMap::Axis { length, inner } => Runs {
                start: group * inner,
                step: length * inner,
                count: self.elements / (length * inner),
                length: inner,
            },
            GroupMap::Blocks { length, inner, size, groups } => {
                let (row, place) = (group / inner, group % inner);
                let (outer, block) = (row / groups, row % groups);
                let start = (outer * length + block * size) * inner + place;
                Runs { start, step: inner, count: size.min(length - block * size), length: 1 }
            }
        }
    }

    /// Cuts the groups into runs of neighbours of no more than `most` elements together, as far as a single group is not
    /// larger, so that a tile's elements are few and long stretches of the tensor.
    pub fn tiles(&self, most: usize) -> Vec<Tile> {
        let mut tiles = Vec::new();
        let mut first = 0;
        while first < self.count && self.elements > 0 {
            let runs = self.runs(first);
            let many = |size: usize| (most / size.max(1)).max(1);
            let tile = match self.map {
                GroupMap::Whole => Tile { groups: 0..1, runs },
                GroupMap::Axis { length, inner } => {
                    let end = length.min(first + many(runs.count * inner));
                    Tile { groups: first..end, runs: Runs { length: (end - first) * inner, ..runs } }
                }
                // Whole rows of blocks lie one behind another; a row that is too long is cut.
                GroupMap::Blocks { inner, size, .. } if inner.saturating_mul(size) <= most => {
                    let end = self.count.min(first + many(inner * size) * inner);
                    let stop = if end < self.count { self.runs(end).start } else { self.elements };
                    let length = stop - runs.start;
                    Tile { groups: first..end, runs: Runs { count: 1, step: length, length, ..runs } }
                }
                GroupMap::Blocks { inner, .. } => {
                    let end = first + (inner - first % inner).min(many(runs.count));
                    Tile { groups: first..end, runs: Runs { length: end - first, ..runs } }
                }
            };
            first = tile.groups.end;
            tiles.push(tile);
        }
        tiles
    }
}

/// Where the elements of a group, or of a [`Tile`], are: `count` runs of `length` neighbours each, the first at `start` and each
/// `step` behind the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    /// The first element.
    pub start: usize,
    /// From one run to the next.
    pub step: usize,
    /// How many runs.
    pub count: usize,
    /// Elements in each.
    pub length: usize,
}

impl Runs {
    /// How many elements there are.
    pub fn elements(&self) -> usize {
        self.count * self.length
    }

    /// The runs as ranges, in order.
    pub fn ranges(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.count)
            .map(move |at| self.start + at * self.step)
            .map(move |start| start..start + self.length)
    }
}

/// Neighbouring groups that are worked on at once, and where all of their elements are: groups say which elements share a scale, tiles
/// how much of a tensor is in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// The groups.
    pub groups: Range<usize>,
    /// Their elements.
    pub runs: Runs,
}

impl Tile {
    /// Where the elements of `group`, which is in the tile, are among the tile's elements in their order.
    pub fn inside(&self, group: Runs) -> Runs {
        // Several runs are rows of equal width, and each run of a group lies within its row.
        let step = if self.runs.count == 1 { group.step } else { self.runs.length };
        Runs { start: group.start - self.runs.start, step, ..group }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(partition: Partition, dims: &[i64]) -> (Vec<i64>, Vec<usize>) {
        let groups = partition.groups(dims).unwrap();
        let scales = partition.scale_dims(dims).unwrap();
        assert_eq!(groups.count() as i64, scales.iter().product::<i64>());
        (scales, (0..groups.elements()).map(|at| groups.of(at)).collect())
    }

    #[test]
    fn each_element_has_its_group() {
        let dims = [2, 3, 2];
        assert_eq!(all(Partition::Tensor, &dims), (vec![], vec![0; 12]));
        assert_eq!(
            all(Partition::Channel { axis: 1 }, &dims),
            (vec![3], vec![0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2])
        );
        assert_eq!(
            all(Partition::Block { axis: 1, size: 2 }, &dims),
            (vec![2, 2, 2], vec![0, 1, 0, 1, 2, 3, 4, 5, 4, 5, 6, 7])
        );
        assert_eq!(
            all(Partition::Block { axis: 2, size: 9 }, &dims),
            (vec![2, 3, 1], (0..12).map(|at| at / 2).collect())
        );
        assert_eq!(all(Partition::Block { axis: 0, size: 1 }, &[2, 2]), (vec![2, 2], vec![0, 1, 2, 3]));
    }

    #[test]
    fn runs_and_tiles_are_the_groups_turned_round() {
        let dims = [3, 5, 4];
        let axes = 0..3;
        let blocks = axes.clone().flat_map(|axis| [1, 2, 3, 9].map(|size| Partition::Block { axis, size }));
        let channels = axes.map(|axis| Partition::Channel { axis });
        for partition in blocks.chain(channels).chain([Partition::Tensor]) {
            let groups = partition.groups(&dims).unwrap();
            let mut members = vec![Vec::new(); groups.count()];
            (0..groups.elements()).for_each(|at| members[groups.of(at)].push(at));
            for (group, members) in members.iter().enumerate() {
                assert_eq!(
                    groups.runs(group).ranges().flatten().collect::<Vec<_>>(),
                    *members,
                    "{partition:?}"
                );
            }
            for at in 0..groups.elements() {
                let (group, step, run) = groups.run(at);
                assert!(run > 0 && at + run <= groups.elements(), "{partition:?} {at}");
                (0..run)
                    .for_each(|more| assert_eq!(groups.of(at + more), group + more * step, "{partition:?}"));
            }
            for most in [1, 2, 7, 12, 20, 40, 60, 1000] {
                let mut next = 0;
                for tile in groups.tiles(most) {
                    assert_eq!(tile.groups.start, next, "{partition:?} {most}");
                    next = tile.groups.end;
                    assert!(tile.runs.elements() <= most || tile.groups.len() == 1, "{partition:?} {most}");
                    let elements: Vec<usize> = tile.runs.ranges().flatten().collect();
                    for group in tile.groups.clone() {
                        let inside = tile.inside(groups.runs(group)).ranges().flatten();
                        assert_eq!(inside.map(|at| elements[at]).collect::<Vec<_>>(), members[group]);
                    }
                }
                assert_eq!(next, groups.count());
            }
        }
        let none = Partition::Channel { axis: 0 }.groups(&[0, 3]).unwrap();
        assert!(none.tiles(1).is_empty());
    }

    #[test]
    fn what_does_not_fit_has_no_groups() {
        for (partition, dims) in [
            (Partition::Channel { axis: 2 }, [2, 3]),
            (Partition::Block { axis: 2, size: 1 }, [2, 3]),
            (Partition::Block { axis: 0, size: 0 }, [2, 3]),
            (Partition::Tensor, [-2, 3]),
            (Partition::Tensor, [i64::MAX, 3]),
        ] {
            assert_eq!(partition.groups(&dims), None, "{partition:?} {dims:?}");
        }
    }

    #[test]
    fn partitions_return_from_text() {
        let block = Partition::Block { axis: 1, size: 32 };
        let text = serde_json::to_string(&block).unwrap();
        assert_eq!(text, r#"{"by":"block","axis":1,"size":32}"#);
        assert_eq!(serde_json::from_str::<Partition>(&text).unwrap(), block);
        assert!(serde_json::from_str::<Partition>(r#"{"by":"channel","axis":1,"size":32}"#).is_err());
    }
}
