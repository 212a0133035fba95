//! The input vectors that a layer's kernels meet, one output position a column.

use super::means::finite;
use crate::plan::{Kernel, Spatial, Window};

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
    geometry: Geometry,
}

enum Geometry {
    Sliding {
        axes: Vec<AxisMap>,
        channels: usize,
        plane: usize,
        sizes: Vec<usize>,
        batch: usize,
    },
    /// Distance from one feature to the next, and from one position to the next in each run of neighbours; runs are as far
    /// apart as all their elements take.
    Matrix {
        features: usize,
        feature: usize,
        position: usize,
        run: usize,
    },
}

/// In the padding.
const NOWHERE: usize = usize::MAX;

/// See [`Field::places`].
pub(super) struct Places {
    /// `[offsets, positions]`: distances from where a channel, or feature, begins.
    places: Vec<usize>,
    positions: usize,
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
                let &[.., features, run] = dims else { return None };
                let geometry = Geometry::Matrix { features, feature: run, position: 1, run };
                (features == self.features).then_some(Field { positions: count / features, geometry })
            }
            Kernel::Matrix { .. } => {
                let features = *dims.last()?;
                let geometry = Geometry::Matrix { features, feature: 1, position: features, run: 1 };
                (features == self.features).then_some(Field { positions: count / features, geometry })
            }
            Kernel::Other(_) => None,
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
            (0..rank).map(|at| AxisMap::new(spatial.window(at, dims[2 + at], transposed))).collect();
        let outputs: usize = axes.iter().map(|axis| axis.outputs).product();
        let sizes = dims[2..].to_vec();
        let plane = sizes.iter().product();
        let geometry = Geometry::Sliding { axes, channels, plane, sizes, batch: dims[0] };
        Some(Field { positions: dims[0] * outputs, geometry })
    }
}

impl AxisMap {
    fn new(window: Window) -> Self {
        let Window { offsets, outputs, .. } = window;
        let meets =
            (0..offsets).flat_map(|offset| (0..outputs).map(move |output| window.meets(offset, output)));
        Self { offsets, outputs, meets: meets.collect() }
    }
}

impl Field {
    /// The number of output positions.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Where in the input each kernel offset meets each of `positions`; the same for all channels and groups.
    pub fn places(&self, positions: &[usize]) -> Places {
        let places = match &self.geometry {
            Geometry::Matrix { features, position, run, .. } => {
                let place = |&at: &usize| at / run * features * run + at % run * position;
                positions.iter().map(place).collect()
            }
            Geometry::Sliding { axes, channels, plane, sizes, batch } => {
                let outputs = axes.iter().map(|axis| axis.outputs).product::<usize>().max(1);
                let offsets: usize = axes.iter().map(|axis| axis.offsets).product();
                let mut places = Vec::with_capacity(offsets * positions.len());
                for offset in 0..offsets {
                    places.extend(positions.iter().map(|&position| {
                        let image = (position / outputs).min(batch - 1);
                        let met = met(axes, sizes, offset, position % outputs);
                        met.map_or(NOWHERE, |place| image * channels * plane + place)
                    }));
                }
                places
            }
        };
        Places { places, positions: positions.len() }
    }

    /// The input at `places` as `[features, positions]` of one group. What is not finite counts as 0.
    pub fn fill(&self, columns: &Columns, group: usize, values: &[f32], places: &Places) -> Vec<f64> {
        let positions = places.positions;
        let mut filled = Vec::with_capacity(columns.features * positions);
        let mut gather = |from: usize, places: &[usize]| {
            let values = values.get(from..).unwrap_or_default();
            filled.extend(places.iter().map(|&place| values.get(place).copied().map_or(0.0, finite)));
        };
        match &self.geometry {
            Geometry::Matrix { features, feature, .. } => {
                (0..*features).for_each(|at| gather(at * feature, &places.places))
            }
            Geometry::Sliding { axes, plane, .. } => {
                let offsets: usize = axes.iter().map(|axis| axis.offsets).product();
                let per_group = columns.features / offsets.max(1);
                for channel in group * per_group..(group + 1) * per_group {
                    places.places.chunks(positions.max(1)).for_each(|places| gather(channel * plane, places));
                }
            }
        }
        filled
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
