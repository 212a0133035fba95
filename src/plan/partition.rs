//! Which elements of a tensor share a scale: the one place that knows this arithmetic.

use serde::{Deserialize, Serialize};

/// How many elements share one scale and zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
            Self::Tensor => return Some(Groups { elements, count, form: Form::Whole }),
            Self::Channel { axis } => (axis, 1),
            Self::Block { axis, size } => (axis, size),
        };
        // Where there are no elements nothing is asked of the form, and no size may be zero.
        let length = (*dims.get(axis)? as usize).max(1);
        let inner = product(&dims[axis + 1..])?.max(1);
        let form = match self {
            Self::Block { .. } => Form::Blocks { length, inner, size, groups: length.div_ceil(size) },
            _ => Form::Axis { length, inner },
        };
        Some(Groups { elements, count, form })
    }
}

/// The groups of one tensor: a number for each element, in row-major order of the scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    elements: usize,
    count: usize,
    form: Form,
}

/// The elements as `[outer, length, inner]`, the scales as `[outer or 1, groups, inner or 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
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
        match self.form {
            Form::Whole => 0,
            Form::Axis { length, inner } => at / inner % length,
            Form::Blocks { length, inner, size, groups } => {
                let (line, place) = (at / inner, at % inner);
                (line / length * groups + line % length / size) * inner + place
            }
        }
    }

    /// The elements of each group, in row-major order.
    pub fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.count];
        (0..self.elements).for_each(|at| members[self.of(at)].push(at));
        members
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
    fn members_are_the_groups_turned_round() {
        let groups = Partition::Block { axis: 0, size: 2 }.groups(&[3, 2]).unwrap();
        assert_eq!(groups.members(), [vec![0, 2], vec![1, 3], vec![4], vec![5]]);
        assert_eq!(
            Partition::Channel { axis: 0 }.groups(&[0, 3]).unwrap().members(),
            Vec::<Vec<usize>>::new()
        );
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
