//! The input vectors that a layer's kernels meet, one output position a column.

use crate::plan::{Kernel, Spatial};

/// How the input of one read of weights is laid out as columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Columns {
    pub kernel: Kernel,
    pub groups: usize,
    pub features: usize,
}

/// Along one axis: the input position that each kernel offset meets at each output position, `None` in the padding.
struct AxisMap {
    offsets: usize,
    outputs: usize,
    meets: Vec<Option<usize>>,
}

/// The output positions of one input, and what is met there.
pub(super) struct Field {
    positions: usize,
    form: Form,
}

enum Form {
    Sliding {
        axes: Vec<AxisMap>,
        channels: usize,
        plane: usize,
        sizes: Vec<usize>,
        batch: usize,
    },
    /// Distance from one feature to the next, and from one position to the next.
    Matrix {
        features: usize,
        feature: usize,
        position: usize,
        length: usize,
    },
}

impl Columns {
    /// The field over an input of these dimensions; `None` where they do not fit the kernel.
    pub fn field(&self, dims: &[usize]) -> Option<Field> {
        let count: usize = dims.iter().product();
        if count == 0 {
            return None;
        }
        match &self.kernel {
            Kernel::Conv(spatial) => self.sliding(spatial, dims, false),
            Kernel::ConvTranspose(spatial) => self.sliding(spatial, dims, true),
            Kernel::Matrix { input_transposed: true, .. } => {
                let &[features, positions] = dims else { return None };
                let form = Form::Matrix { features, feature: positions, position: 1, length: count };
                (features == self.features).then_some(Field { positions, form })
            }
            Kernel::Matrix { .. } => {
                let features = *dims.last()?;
                let form = Form::Matrix { features, feature: 1, position: features, length: count };
                (features == self.features).then_some(Field { positions: count / features, form })
            }
        }
    }

    fn sliding(&self, spatial: &Spatial, dims: &[usize], transposed: bool) -> Option<Field> {
        let rank = spatial.kernel.len();
        if dims.len() != rank + 2 {
            return None;
        }
        let offsets: usize = spatial.kernel.iter().product();
        let channels = dims[1];
        if channels * offsets != self.groups * self.features {
            return None;
        }
        let axes: Vec<AxisMap> =
            (0..rank).map(|at| axis_map(spatial, at, dims[2 + at], transposed)).collect();
        let outputs: usize = axes.iter().map(|axis| axis.outputs).product();
        let sizes = dims[2..].to_vec();
        let plane = sizes.iter().product();
        let form = Form::Sliding { axes, channels, plane, sizes, batch: dims[0] };
        Some(Field { positions: dims[0] * outputs, form })
    }
}

fn axis_map(spatial: &Spatial, at: usize, input: usize, transposed: bool) -> AxisMap {
    let (stride, dilation, kernel) = (spatial.strides[at], spatial.dilations[at], spatial.kernel[at]);
    let reach = (kernel.max(1) - 1) * dilation + 1;
    let (begin, end) = spatial.padding(at, input, transposed);
    let outputs = match transposed {
        true => {
            ((input.max(1) - 1) * stride + spatial.output_padding[at] + reach).saturating_sub(begin + end)
        }
        false => (input + begin + end).checked_sub(reach).map_or(0, |room| room / stride + 1),
    };
    let meet = |offset: usize, output: usize| {
        if transposed {
            // Input i lands on i * stride - begin + offset * dilation.
            let ahead = (output + begin).checked_sub(offset * dilation)?;
            (ahead % stride == 0 && ahead / stride < input).then_some(ahead / stride)
        } else {
            let position = (output * stride + offset * dilation).checked_sub(begin)?;
            (position < input).then_some(position)
        }
    };
    let meets = (0..kernel).flat_map(|offset| (0..outputs).map(move |output| meet(offset, output))).collect();
    AxisMap { offsets: kernel, outputs, meets }
}

impl Field {
    /// The number of output positions.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// The input at `positions` as `[features, positions]` of one group. What is not finite counts as 0.
    pub fn fill(&self, columns: &Columns, group: usize, values: &[f32], positions: &[usize]) -> Vec<f64> {
        match &self.form {
            Form::Matrix { features, feature, position, length } => {
                let mut filled = Vec::with_capacity(features * positions.len());
                for at in 0..*features {
                    filled.extend(positions.iter().map(|&place| {
                        let met = at * feature + place * position;
                        debug_assert!(met < *length);
                        values.get(met).copied().map_or(0.0, finite)
                    }));
                }
                filled
            }
            Form::Sliding { axes, channels, plane, sizes, batch } => {
                let outputs: usize = axes.iter().map(|axis| axis.outputs).product();
                let offsets: usize = axes.iter().map(|axis| axis.offsets).product();
                let per_group = columns.features / offsets.max(1);
                let mut filled = vec![0.0; columns.features * positions.len()];
                // Where each offset meets the plane at each position; the same for all channels.
                let mut places = vec![usize::MAX; positions.len()];
                for offset in 0..offsets {
                    for (place, &position) in places.iter_mut().zip(positions) {
                        *place = met(axes, sizes, offset, position % outputs.max(1)).unwrap_or(usize::MAX);
                    }
                    for channel in 0..per_group {
                        let row =
                            &mut filled[(channel * offsets + offset) * positions.len()..][..positions.len()];
                        let source = group * per_group + channel;
                        for ((slot, &place), &position) in row.iter_mut().zip(&places).zip(positions) {
                            if place != usize::MAX {
                                let image = (position / outputs.max(1)).min(batch - 1);
                                let at = (image * channels + source) * plane + place;
                                *slot = values.get(at).copied().map_or(0.0, finite);
                            }
                        }
                    }
                }
                filled
            }
        }
    }
}

/// The place in a plane that kernel offset `offset` meets at output `position`, both row-major over the axes.
fn met(axes: &[AxisMap], sizes: &[usize], offset: usize, position: usize) -> Option<usize> {
    let (mut offset, mut position) = (offset, position);
    let (mut place, mut step) = (0, 1);
    for (axis, &size) in axes.iter().zip(sizes).rev() {
        let (k, o) = (offset % axis.offsets, position % axis.outputs);
        (offset, position) = (offset / axis.offsets, position / axis.outputs);
        place += axis.meets[k * axis.outputs + o]? * step;
        step *= size;
    }
    Some(place)
}

fn finite(value: f32) -> f64 {
    if value.is_finite() { f64::from(value) } else { 0.0 }
}
