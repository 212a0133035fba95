//! The mean of the input element that each weight element is multiplied with, padding counted
//! as zero.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::plan::{Kernel, Spatial, Window, Work};

/// One read of weights whose input is averaged.
#[derive(Clone, Debug)]
pub(super) struct Gather {
    /// The weights.
    pub weights: String,
    /// Position of the reader.
    pub at: usize,
    /// The tensor they are multiplied with.
    pub input: String,
    /// How.
    pub kernel: Kernel,
}

impl Gather {
    /// The sums over one run's input, and the number of output positions they stand for. Empty
    /// where the input does not have the form that the kernel expects.
    pub fn sums(&self, dims: &[usize], values: &[f32]) -> (Vec<f64>, f64) {
        match &self.kernel {
            Kernel::Conv(spatial) => sliding(spatial, dims, values, false),
            Kernel::ConvTranspose(spatial) => sliding(spatial, dims, values, true),
            Kernel::Matrix { input_transposed, .. } => matrix(*input_transposed, dims, values),
            Kernel::Other(_) => Default::default(),
        }
    }
}

/// How often each weight of `kernel` is multiplied for an input of `dims`: a position of the output, or for ConvTranspose of the
/// input, each. `None` where the input does not have the form that the kernel expects.
pub(super) fn outputs(kernel: &Kernel, dims: &[usize]) -> Option<u64> {
    let positions = match kernel {
        Kernel::Conv(spatial) => {
            let rank = spatial.kernel.len();
            let (&[batch, _], sizes) = dims.split_first_chunk::<2>()?;
            let each = |at| spatial.window(at, sizes[at], false).outputs;
            (sizes.len() == rank).then(|| batch * (0..rank).map(each).product::<usize>())?
        }
        Kernel::ConvTranspose(spatial) => {
            let (&[batch, _], sizes) = dims.split_first_chunk::<2>()?;
            (sizes.len() == spatial.kernel.len()).then(|| batch * sizes.iter().product::<usize>())?
        }
        Kernel::Matrix { input_transposed: true, .. } => {
            let (stack, &[_, columns]) = dims.split_last_chunk::<2>()?;
            columns * stack.iter().product::<usize>()
        }
        Kernel::Matrix { .. } | Kernel::Other(Work::Steps) => dims.split_last()?.1.iter().product(),
        Kernel::Other(Work::None) => 0,
        Kernel::Other(Work::Unknown) => return None,
    };
    Some(positions as u64)
}

/// What counts for a value: 0 for what is not finite.
pub(super) fn finite(value: f32) -> f64 {
    if value.is_finite() { f64::from(value) } else { 0.0 }
}

fn matrix(transposed: bool, dims: &[usize], values: &[f32]) -> (Vec<f64>, f64) {
    let (&[.., _, _] | &[_]) = dims else { return Default::default() };
    let columns = dims[dims.len() - 1];
    if columns == 0 || values.is_empty() {
        return Default::default();
    }
    let rows = values.len() / columns;
    if transposed {
        let sums = values.chunks(columns).map(|row| row.iter().map(|&value| finite(value)).sum());
        return (sums.collect(), columns as f64);
    }
    let mut sums = vec![0.0; columns];
    for row in values.chunks(columns) {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += finite(value));
    }
    (sums, rows as f64)
}

fn sliding(spatial: &Spatial, dims: &[usize], values: &[f32], transposed: bool) -> (Vec<f64>, f64) {
    let rank = spatial.kernel.len();
    if rank == 0
        || dims.len() != rank + 2
        || values.is_empty()
        || values.len() != dims.iter().product::<usize>()
    {
        return Default::default();
    }
    let (batch, channels) = (dims[0], dims[1]);
    let axes: Vec<Window> = (0..rank).map(|at| spatial.window(at, dims[2 + at], transposed)).collect();
    // One axis at a time, the outermost first, so that the long sums are those of whole rows.
    let mut reductions: Vec<Reduction> = Vec::with_capacity(rank);
    for (outer, axis) in axes.iter().enumerate() {
        let before: usize = spatial.kernel[..outer].iter().product();
        let tail = dims[3 + outer..].iter().product();
        reductions.push(Reduction::new(*axis, before, dims[2 + outer], tail));
    }
    let Some((first, rest)) = reductions.split_first_mut() else { return Default::default() };
    let plane: usize = dims[2..].iter().product();
    let offsets: usize = spatial.kernel.iter().product();
    let mut sums = vec![0.0; channels * offsets];
    for (at, values) in values.chunks(plane).enumerate() {
        let mut left = first.run(values, finite);
        for reduction in &mut *rest {
            left = reduction.run(left, |value| value);
        }
        let channel = at % channels;
        sums[channel * offsets..][..offsets].iter_mut().zip(left).for_each(|(sum, more)| *sum += more);
    }
    let outputs: usize = axes.iter().map(|axis| axis.outputs).product();
    (sums, (batch * outputs) as f64)
}

/// `[outer, length, tail]` to `[outer, offsets, tail]`: for each offset the sum over the positions
/// it meets. Offsets that meet the same positions but for a few at the ends share their sum.
struct Reduction {
    step: usize,
    classes: Vec<Class>,
    length: usize,
    tail: usize,
    offsets: usize,
    shared: Vec<f64>,
    sums: Vec<f64>,
}

/// Offsets whose positions leave the same remainder by the step.
struct Class {
    remainder: usize,
    /// Rows, in steps, that all of them meet.
    common: Range<usize>,
    /// Each offset, and the rows that it meets.
    offsets: Vec<(usize, Range<usize>)>,
}

impl Reduction {
    fn new(axis: Window, outer: usize, length: usize, tail: usize) -> Self {
        let runs: Vec<(usize, usize, usize)> = (0..axis.offsets).map(|offset| axis.run(offset)).collect();
        let step = runs.first().map_or(1, |run| run.1);
        let mut classes: BTreeMap<usize, Vec<(usize, Range<usize>)>> = BTreeMap::new();
        for (offset, (first, step, count)) in runs.into_iter().enumerate().filter(|(_, run)| run.2 > 0) {
            classes.entry(first % step).or_default().push((offset, first / step..first / step + count));
        }
        let class = |(remainder, offsets): (usize, Vec<(usize, Range<usize>)>)| {
            let start = offsets.iter().map(|(_, rows)| rows.start).max().unwrap_or(0);
            let end = offsets.iter().map(|(_, rows)| rows.end).min().unwrap_or(0).max(start);
            Class { remainder, common: start..end, offsets }
        };
        let offsets = axis.offsets;
        Self {
            step,
            classes: classes.into_iter().map(class).collect(),
            length,
            tail,
            offsets,
            shared: vec![0.0; tail],
            sums: vec![0.0; outer * offsets * tail],
        }
    }

    /// The sums, valid until the next run. `read` gives what a value counts for.
    fn run<T: Copy>(&mut self, values: &[T], read: impl Fn(T) -> f64) -> &[f64] {
        let Self { step, classes, length, tail, offsets, shared, sums } = self;
        let (tail, step) = (*tail, *step);
        sums.fill(0.0);
        for (block, sums) in values.chunks(*length * tail).zip(sums.chunks_mut(*offsets * tail)) {
            for class in &*classes {
                let add = |rows: Range<usize>, sum: &mut [f64]| {
                    for row in rows {
                        let row = block.get((row * step + class.remainder) * tail..).unwrap_or(&[]);
                        sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += read(value));
                    }
                };
                let common = &class.common;
                shared.fill(0.0);
                add(common.clone(), shared);
                for (offset, rows) in &class.offsets {
                    let sum = &mut sums[offset * tail..][..tail];
                    sum.copy_from_slice(shared);
                    add(rows.start..rows.end.min(common.start), sum);
                    add(rows.start.max(common.end)..rows.end, sum);
                }
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spatial(
        kernel: &[usize],
        strides: &[usize],
        dilations: &[usize],
        begin: &[usize],
        end: &[usize],
    ) -> Spatial {
        Spatial {
            kernel: kernel.to_vec(),
            strides: strides.to_vec(),
            dilations: dilations.to_vec(),
            begin: begin.to_vec(),
            end: end.to_vec(),
            same_upper: None,
            output_padding: vec![0; kernel.len()],
            groups: 1,
        }
    }

    /// Every output position and kernel offset of two axes, one by one.
    fn naive(spatial: &Spatial, dims: &[usize], values: &[f32], transposed: bool) -> (Vec<f64>, f64) {
        let at = |axis: usize, output: usize, offset: usize| -> Option<usize> {
            let (stride, shift) = (spatial.strides[axis] as i64, (offset * spatial.dilations[axis]) as i64);
            let position = output as i64 * stride - spatial.begin[axis] as i64 + shift;
            usize::try_from(position).ok()
        };
        let reach = |axis: usize| (spatial.kernel[axis] - 1) * spatial.dilations[axis] + 1;
        let pads = |axis: usize| spatial.begin[axis] + spatial.end[axis];
        let outputs = |axis: usize| match transposed {
            true => (dims[2 + axis] - 1) * spatial.strides[axis] + reach(axis) - pads(axis),
            false => (dims[2 + axis] + pads(axis) - reach(axis)) / spatial.strides[axis] + 1,
        };
        let (height, width) = (dims[2], dims[3]);
        let mut sums = vec![0.0; dims[1] * spatial.kernel[0] * spatial.kernel[1]];
        for (plane, values) in values.chunks(height * width).enumerate() {
            for (offset, sum) in sums
                .chunks_mut(spatial.kernel[0] * spatial.kernel[1])
                .nth(plane % dims[1])
                .unwrap()
                .iter_mut()
                .enumerate()
            {
                let (ky, kx) = (offset / spatial.kernel[1], offset % spatial.kernel[1]);
                if transposed {
                    for (position, &value) in values.iter().enumerate() {
                        let lands = (at(0, position / width, ky), at(1, position % width, kx));
                        if let (Some(y), Some(x)) = lands
                            && y < outputs(0)
                            && x < outputs(1)
                        {
                            *sum += f64::from(value);
                        }
                    }
                } else {
                    for (oy, ox) in (0..outputs(0)).flat_map(|oy| (0..outputs(1)).map(move |ox| (oy, ox))) {
                        if let (Some(y), Some(x)) = (at(0, oy, ky), at(1, ox, kx))
                            && y < height
                            && x < width
                        {
                            *sum += f64::from(values[y * width + x]);
                        }
                    }
                }
            }
        }
        (sums, (dims[0] * outputs(0) * outputs(1)) as f64)
    }

    #[test]
    fn sliding_sums_are_those_of_every_position() {
        let dims = [2, 3, 7, 6];
        let values: Vec<f32> = (0..252).map(|at| ((at * 37) % 101) as f32 - 40.0).collect();
        let cases = [
            spatial(&[3, 3], &[1, 1], &[1, 1], &[1, 1], &[1, 1]),
            spatial(&[3, 2], &[2, 3], &[1, 2], &[0, 2], &[1, 0]),
            spatial(&[1, 1], &[2, 2], &[1, 1], &[0, 0], &[0, 0]),
            spatial(&[5, 3], &[1, 2], &[1, 2], &[2, 2], &[2, 1]),
        ];
        for case in &cases {
            for transposed in [false, true] {
                assert_eq!(
                    sliding(case, &dims, &values, transposed),
                    naive(case, &dims, &values, transposed),
                    "{case:?} {transposed}"
                );
            }
        }
    }

    #[test]
    fn same_padding_keeps_the_size() {
        let mut case = spatial(&[3], &[2], &[1], &[0], &[0]);
        case.same_upper = Some(true);
        // Six positions, three outputs, one zero after the end.
        let (sums, outputs) = sliding(&case, &[1, 1, 6], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], false);
        assert_eq!((sums, outputs), (vec![9.0, 12.0, 8.0], 3.0));
        case.same_upper = Some(false);
        let (sums, _) = sliding(&case, &[1, 1, 6], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], false);
        assert_eq!(sums, vec![6.0, 9.0, 12.0]);
    }

    #[test]
    fn rows_of_a_matrix_either_way() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(matrix(false, &[3, 2], &values), (vec![9.0, 12.0], 3.0));
        assert_eq!(matrix(true, &[3, 2], &values), (vec![3.0, 7.0, 11.0], 2.0));
        assert_eq!(matrix(false, &[2], &[1.0, 2.0]), (vec![1.0, 2.0], 1.0));
    }

    #[test]
    fn another_form_of_input_gives_nothing() {
        let case = spatial(&[3, 3], &[1, 1], &[1, 1], &[0, 0], &[0, 0]);
        assert_eq!(sliding(&case, &[1, 2, 9], &[0.0; 18], false), (vec![], 0.0));
    }
}
