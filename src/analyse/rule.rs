//! What a rule says of one node.

use crate::onnx::proto::NodeProto;
use crate::onnx::{Dtype, Index, int, ints, string};
use crate::plan::{BiasSlot, Kernel, Partition, Read, Spatial};

/// Where one operator keeps its weights.
pub(super) struct Rule {
    pub operator: &'static str,
    /// Whether it is onnxruntime's own.
    pub is_foreign: bool,
    /// Input slots that may hold weights, and where the data that they meet come in, if anywhere.
    pub slots: &'static [(usize, Option<usize>)],
    /// Whether only one of the slots holds weights, the first of those listed that is constant.
    pub either: bool,
    /// Whether it is always a product, so that one without weights is worth a word.
    pub product: bool,
    /// Whether runtimes compute it in integers, so that rounding its data gains anything.
    pub integer: bool,
    /// Reads a node whose weights have the dimensions given. The error says what about it no rule covers.
    pub factor: fn(&Seen) -> Result<Factor, String>,
}

/// A node, as a rule sees it.
pub(super) struct Seen<'s, 'g> {
    pub node: &'g NodeProto,
    /// Its position.
    pub at: usize,
    /// Which input holds the weights.
    pub slot: usize,
    /// Dimensions of the weights there.
    pub dims: &'s [i64],
    pub index: &'s Index<'g>,
}

/// How one node multiplies with its weights.
pub(super) struct Factor {
    /// One scale a kernel: what one output channel is made with.
    pub by_kernel: Partition,
    /// The axis that is summed over, first of those there are.
    pub input_axis: usize,
    pub kernel: Kernel,
    /// Where the data come in, if not where the rule says.
    pub data: Option<usize>,
    pub bias: Option<BiasSlot>,
}

/// The bias in `slot`, or the place for one: a constant of `channels` elements, or none yet. `None` where something else
/// is there.
pub(super) fn bias_slot(seen: &Seen, slot: usize, channels: i64) -> Option<BiasSlot> {
    let read = Read::new(seen.node, seen.at, slot);
    match seen.node.input.get(slot).map(String::as_str).filter(|name| !name.is_empty()) {
        None => Some(BiasSlot { read, tensor: None }),
        Some(name) => {
            is_row(name, channels, seen.index).then(|| BiasSlot { read, tensor: Some(name.to_owned()) })
        }
    }
}

/// Whether `name` is a FLOAT constant of `channels` elements along its last axis.
pub(super) fn is_row(name: &str, channels: i64, index: &Index) -> bool {
    let row = |dims: &[i64]| dims.last() == Some(&channels) && dims.iter().rev().skip(1).all(|&dim| dim == 1);
    index.constant(name).is_some_and(|tensor| tensor.data_type() == Dtype::Float as i32 && row(&tensor.dims))
}

/// Largest pad, stride, dilation, number of groups and length of a kernel: what is larger is no convolution that anybody runs.
const LARGEST: usize = 1 << 20;

/// The geometry of Conv and ConvTranspose, from the attributes and the weights' dimensions, the first of which is that of the
/// channels called `channels`.
pub(super) fn spatial(node: &NodeProto, dims: &[i64], channels: &str) -> Result<Spatial, String> {
    if !(3..=5).contains(&dims.len()) {
        return Err(format!("weights of {} axes", dims.len()));
    }
    let size = |value: i64| {
        let size = usize::try_from(value).ok().filter(|&size| size <= LARGEST);
        size.ok_or_else(|| format!("{value} in its dimensions or attributes"))
    };
    let kernel = dims[2..].iter().map(|&dim| size(dim)).collect::<Result<Vec<_>, _>>()?;
    let rank = kernel.len();
    let list =
        |name: &str, default: usize, length: usize| match ints(node, name).filter(|list| !list.is_empty()) {
            None => Ok(vec![default; length]),
            Some(list) if list.len() == length => list.iter().map(|&value| size(value)).collect(),
            Some(list) => Err(format!("{name} {list:?} with {rank} spatial axes")),
        };
    let at_least_one = |name: &str, list: Vec<usize>| match list.contains(&0) {
        true => Err(format!("0 among its {name}")),
        false => Ok(list),
    };
    let same_upper = match string(node, "auto_pad").unwrap_or("NOTSET") {
        "SAME_UPPER" => Some(true),
        "SAME_LOWER" => Some(false),
        _ => None,
    };
    let pads = match string(node, "auto_pad") {
        Some("SAME_UPPER" | "SAME_LOWER" | "VALID") => vec![0; 2 * rank],
        _ => list("pads", 0, 2 * rank)?,
    };
    let groups = size(int(node, "group").unwrap_or(1))?;
    if groups == 0 || dims[0] % groups as i64 != 0 {
        return Err(format!("{} {channels} channels in {groups} groups", dims[0]));
    }
    Ok(Spatial {
        strides: at_least_one("strides", list("strides", 1, rank)?)?,
        dilations: at_least_one("dilations", list("dilations", 1, rank)?)?,
        begin: pads[..rank].to_vec(),
        end: pads[rank..].to_vec(),
        same_upper,
        output_padding: list("output_padding", 0, rank)?,
        groups,
        kernel: at_least_one("kernel's lengths", kernel)?,
    })
}
