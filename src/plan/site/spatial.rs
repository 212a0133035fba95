//! Where convolutions multiply what.

/// How a sliding operator's kernel meets its input: what decides which elements of the input
/// one kernel element is multiplied with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spatial {
    /// Kernel size an axis.
    pub kernel: Vec<usize>,
    /// Stride an axis.
    pub strides: Vec<usize>,
    /// Dilation an axis.
    pub dilations: Vec<usize>,
    /// Padding before each axis; for ConvTranspose what is cropped.
    pub begin: Vec<usize>,
    /// Padding after each axis.
    pub end: Vec<usize>,
    /// Padding that depends on the input size: `Some(true)` for SAME_UPPER, `Some(false)` for
    /// SAME_LOWER.
    pub same_upper: Option<bool>,
    /// Added to the output size of ConvTranspose an axis.
    pub output_padding: Vec<usize>,
    /// Number of groups.
    pub groups: usize,
}

impl Spatial {
    /// What is added before and after axis `at` of an input that is `input` long there; for ConvTranspose what is cropped.
    pub fn padding(&self, at: usize, input: usize, transposed: bool) -> (usize, usize) {
        let (stride, reach) = (self.strides[at], (self.kernel[at].max(1) - 1) * self.dilations[at] + 1);
        match self.same_upper {
            Some(upper) if !transposed => {
                let total = ((input.div_ceil(stride).max(1) - 1) * stride + reach).saturating_sub(input);
                let small = total / 2;
                if upper { (small, total - small) } else { (total - small, small) }
            }
            Some(upper) => {
                let full = (input.max(1) - 1) * stride + self.output_padding[at] + reach;
                let total = full.saturating_sub(input * stride);
                let small = total / 2;
                if upper { (small, total - small) } else { (total - small, small) }
            }
            _ => (self.begin[at], self.end[at]),
        }
    }

    /// How the kernel meets axis `at` of an input that is `input` long there.
    pub fn window(&self, at: usize, input: usize, transposed: bool) -> Window {
        let (stride, dilation, offsets) = (self.strides[at], self.dilations[at], self.kernel[at]);
        let reach = (offsets.max(1) - 1) * dilation + 1;
        let (begin, end) = self.padding(at, input, transposed);
        let outputs = match transposed {
            true => {
                let full = (input.max(1) - 1) * stride + self.output_padding[at] + reach;
                full.saturating_sub(begin + end)
            }
            false => (input + begin + end).checked_sub(reach).map_or(0, |room| room / stride + 1),
        };
        Window { offsets, outputs, input, stride, dilation, begin, transposed }
    }
}

/// How a kernel meets its input along one axis: which of its offsets is multiplied with which input position for which output
/// position. In a convolution output `o` and offset `k` meet input `o * stride + k * dilation - begin`; in a transposed one input
/// `i` and offset `k` land on output `i * stride + k * dilation - begin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Kernel size.
    pub offsets: usize,
    /// Number of output positions.
    pub outputs: usize,
    input: usize,
    stride: usize,
    dilation: usize,
    begin: usize,
    transposed: bool,
}

impl Window {
    /// The input position that `offset` meets for `output`; `None` in the padding, or between inputs that are spread out.
    pub fn meets(&self, offset: usize, output: usize) -> Option<usize> {
        let shift = offset * self.dilation;
        let position = match self.transposed {
            true => {
                let ahead = (output + self.begin).checked_sub(shift)?;
                ahead.is_multiple_of(self.stride).then_some(ahead / self.stride)?
            }
            false => (output * self.stride + shift).checked_sub(self.begin)?,
        };
        (position < self.input).then_some(position)
    }

    /// All input positions that `offset` meets, each for one output: the first, the step from one to the next, and how many.
    pub fn run(&self, offset: usize) -> (usize, usize, usize) {
        let (stride, begin, shift) = (self.stride, self.begin, offset * self.dilation);
        let first = begin.saturating_sub(shift).div_ceil(stride);
        // Behind the last output, or input where transposed, that lies within the other.
        let limit = |length: usize| (length + begin).saturating_sub(shift).div_ceil(stride);
        match self.transposed {
            true => (first, 1, limit(self.outputs).min(self.input).saturating_sub(first)),
            false => {
                let count = limit(self.input).min(self.outputs).saturating_sub(first);
                ((first * stride + shift).saturating_sub(begin), stride, count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_the_positions_that_are_met() {
        for (kernel, stride, dilation, begin, end) in [
            (3, 1, 1, 1, 1),
            (3, 2, 1, 0, 1),
            (2, 3, 2, 2, 0),
            (5, 2, 2, 3, 2),
            (1, 2, 1, 0, 0),
            (4, 1, 3, 0, 9),
        ] {
            for same_upper in [None, Some(true), Some(false)] {
                let spatial = Spatial {
                    kernel: vec![kernel],
                    strides: vec![stride],
                    dilations: vec![dilation],
                    begin: vec![begin],
                    end: vec![end],
                    same_upper,
                    output_padding: vec![stride - 1],
                    groups: 1,
                };
                for (input, transposed) in (0..12).flat_map(|input| [(input, false), (input, true)]) {
                    let window = spatial.window(0, input, transposed);
                    for offset in 0..kernel {
                        let mut met: Vec<usize> =
                            (0..window.outputs).filter_map(|output| window.meets(offset, output)).collect();
                        met.sort_unstable();
                        let (first, step, count) = window.run(offset);
                        let run: Vec<usize> = (0..count).map(|at| first + at * step).collect();
                        assert_eq!(run, met, "{spatial:?} {input} {transposed} {offset}");
                    }
                }
            }
        }
    }
}
