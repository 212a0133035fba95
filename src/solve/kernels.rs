//! A weight tensor as one slice of values a scale.

/// The elements that share a scale: `outer` blocks of `inner` neighbours, `axis` blocks apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partition {
    /// Number of scales.
    pub channels: usize,
    inner: usize,
    outer: usize,
}

impl Partition {
    /// One scale an index of `axis`, or one in all.
    pub fn new(dims: &[i64], axis: Option<usize>) -> Self {
        let product = |dims: &[i64]| dims.iter().map(|&dim| dim.max(0) as usize).product();
        match axis {
            Some(axis) => Self {
                channels: dims[axis].max(0) as usize,
                inner: product(&dims[axis + 1..]),
                outer: product(&dims[..axis]),
            },
            None => Self { channels: 1, inner: product(dims), outer: 1 },
        }
    }

    /// The positions of the elements of `channel`, in storage order.
    pub fn positions(self, channel: usize) -> impl Iterator<Item = usize> {
        let Self { channels, inner, outer } = self;
        (0..outer).flat_map(move |block| {
            let start = (block * channels + channel) * inner;
            start..start + inner
        })
    }
}
