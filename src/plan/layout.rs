//! Weights as matrices: for each group of channels rows of output channels, columns of the input elements they meet.

use super::site::Kernel;

/// How a weight tensor's elements lie as `[groups, rows, features]`. A feature is one element of the input that a kernel
/// meets: input channel first, kernel offsets innermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Groups of channels that have nothing to do with one another.
    pub groups: usize,
    /// Output channels a group.
    pub rows: usize,
    /// Input elements that each output channel meets.
    pub features: usize,
    /// Equal runs of features that each true group is cut into, each counted as a group of its own.
    pub parts: usize,
    order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// `[group, row, feature]`.
    Rows,
    /// `[feature, row]`, one group.
    Columns,
    /// `[group, input channel, row, offset]`, the number of offsets given.
    Transposed(usize),
}

impl Layout {
    /// The layout of weights with dimensions `dims` under `kernel`; `None` where they do not fit, or hold nothing.
    pub fn new(kernel: &Kernel, dims: &[i64]) -> Option<Self> {
        let dims: Vec<usize> = dims.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<_>>()?;
        let layout = match kernel {
            Kernel::Conv(spatial) => Self {
                groups: spatial.groups,
                rows: dims.first()?.checked_div(spatial.groups)?,
                features: dims.get(1..)?.iter().product(),
                parts: 1,
                order: Order::Rows,
            },
            Kernel::ConvTranspose(spatial) => {
                let offsets = dims.get(2..)?.iter().product();
                let inputs = dims.first()?.checked_div(spatial.groups)?;
                let order = Order::Transposed(offsets);
                Self { groups: spatial.groups, rows: dims[1], features: inputs * offsets, parts: 1, order }
            }
            Kernel::Matrix { transposed: true, .. } => {
                let (&features, rows) = dims.split_last().filter(|(_, rows)| !rows.is_empty())?;
                let rows = rows.iter().product();
                Self { groups: 1, rows, features, parts: 1, order: Order::Rows }
            }
            Kernel::Matrix { transposed: false, .. } => {
                let &[features, rows] = dims.as_slice() else { return None };
                Self { groups: 1, rows, features, parts: 1, order: Order::Columns }
            }
            Kernel::Other(_) => return None,
        };
        let elements = layout.groups * layout.rows * layout.features;
        (elements > 0 && elements == dims.iter().product::<usize>()).then_some(layout)
    }

    /// The same with features cut into the fewest equal runs of at most `most`.
    pub fn split(self, most: usize) -> Self {
        let least = self.features.div_ceil(most.max(1));
        let parts = (least..=self.features).find(|parts| self.features.is_multiple_of(*parts)).unwrap_or(1);
        Self {
            groups: self.groups * parts,
            features: self.features / parts,
            parts: self.parts * parts,
            ..self
        }
    }

    /// Position of a weight in the tensor's element order.
    pub fn element(&self, group: usize, row: usize, feature: usize) -> usize {
        let (group, feature) = (group / self.parts, group % self.parts * self.features + feature);
        let features = self.features * self.parts;
        match self.order {
            Order::Rows => (group * self.rows + row) * features + feature,
            Order::Columns => feature * self.rows + row,
            Order::Transposed(offsets) => {
                let (channel, offset) = (feature / offsets, feature % offsets);
                ((group * (features / offsets) + channel) * self.rows + row) * offsets + offset
            }
        }
    }

    /// One row of weights out of all `values`.
    pub fn row<T: Copy>(&self, values: &[T], group: usize, row: usize) -> Vec<T> {
        (0..self.features).map(|feature| values[self.element(group, row, feature)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Spatial;

    fn spatial(groups: usize, kernel: &[usize]) -> Spatial {
        let ones = vec![1; kernel.len()];
        Spatial {
            kernel: kernel.to_vec(),
            strides: ones.clone(),
            dilations: ones,
            begin: vec![0; kernel.len()],
            end: vec![0; kernel.len()],
            same_upper: None,
            output_padding: vec![0; kernel.len()],
            groups,
        }
    }

    #[test]
    fn every_layout_is_a_permutation() {
        let matrix =
            |transposed| Kernel::Matrix { transposed, input_transposed: false, alpha: 1.0, beta: 1.0 };
        let cases = [
            (Kernel::Conv(spatial(2, &[3, 2])), vec![4, 5, 3, 2], (2, 2, 30)),
            (Kernel::ConvTranspose(spatial(2, &[3])), vec![6, 4, 3], (2, 4, 9)),
            (matrix(true), vec![5, 7], (1, 5, 7)),
            (matrix(false), vec![7, 5], (1, 5, 7)),
            (matrix(true), vec![2, 5, 7], (1, 10, 7)),
        ];
        for (kernel, dims, (groups, rows, features)) in cases {
            let layout = Layout::new(&kernel, &dims).unwrap();
            assert_eq!((layout.groups, layout.rows, layout.features), (groups, rows, features));
            let split = layout.split(2);
            assert!(split.features <= 2 && split.features * split.parts == features);
            let whole: Vec<usize> =
                (0..features).map(|feature| layout.element(groups - 1, 1, feature)).collect();
            let cut = (0..features).map(|at| {
                let group = (groups - 1) * split.parts + at / split.features;
                split.element(group, 1, at % split.features)
            });
            assert_eq!(whole, cut.collect::<Vec<_>>());
            let mut seen = vec![false; groups * rows * features];
            for group in 0..groups {
                for row in 0..rows {
                    for feature in 0..features {
                        assert!(!std::mem::replace(&mut seen[layout.element(group, row, feature)], true));
                    }
                }
            }
            assert!(seen.into_iter().all(|seen| seen));
        }
        assert_eq!(Layout::new(&matrix(true), &[0, 3]), None);
        assert_eq!(Layout::new(&Kernel::Conv(spatial(3, &[1])), &[4, 1, 1]), None);
    }

    #[test]
    fn transposed_weights_are_found_by_hand() {
        // [in 4, out / groups 3, k 2] in two groups: element (input 3, output 1, offset 1).
        let layout = Layout::new(&Kernel::ConvTranspose(spatial(2, &[2])), &[4, 3, 2]).unwrap();
        assert_eq!(layout.element(1, 1, 3), (3 * 3 + 1) * 2 + 1);
    }
}
