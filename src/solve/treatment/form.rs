//! Which elements share a scale, and in what form a site's weights can be written.

use crate::onnx::Index;
use crate::options::{CodeType, Granularity, Options, Storage, fits_nbits};
use crate::plan::{
    Kernel, Partition, Read, Reader, WeightSite, fits_nbits_weights, is_depthwise, lie_by_rows,
};

/// Whether every reader is a product that could be split into several.
pub(super) fn splits(site: &WeightSite) -> bool {
    let linear = |read: &Read| {
        read.is_outer()
            && read.slot == 1
            && matches!(read.operator.as_str(), "Conv" | "ConvTranspose" | "Gemm" | "MatMul")
    };
    site.reads().all(linear)
        && site.readers.iter().all(|reader| reader.chain.is_empty())
        && site.others.is_none()
        && site.scale_float() == site.float
}

/// Whether sums of products of INT8 weights at `site` with `activation` can saturate in some reader's kernel on the target.
pub(super) fn saturates(site: &WeightSite, options: &Options, activation: Option<CodeType>) -> bool {
    // Codes of sixteen unsigned values stay below 16 in 8-bit storage too; signed ones are shifted by 128.
    let wide = |code_type: CodeType| {
        code_type != CodeType::Uint4 && options.storage.of_activation(code_type).bits() == 8
    };
    let eight = activation.is_some_and(wide);
    let depthwise = |kernel: &Kernel| match kernel {
        Kernel::Conv(spatial) | Kernel::ConvTranspose(spatial) => {
            is_depthwise(&site.dims, spatial.groups as i64)
        }
        _ => false,
    };
    let can = |reader: &Reader| {
        options.target.saturating.contains(&reader.read.operator.as_str()) && !depthwise(&reader.kernel)
    };
    eight && site.readers.iter().any(can)
}

/// The partition of a site's weights, which can have `blocks` or not, and why it is not the one asked for where it is not.
pub(super) fn partition(
    site: &WeightSite,
    granularity: Granularity,
    blocks: bool,
) -> (Partition, &'static str) {
    let (by_kernel, why) = match site.by_kernel {
        Some(by_kernel) => (by_kernel, "one scale a kernel"),
        None => (Partition::Tensor, "one scale: its readers take different axes"),
    };
    let (by_kernel, why) = match by_kernel {
        Partition::Block { .. } if !blocks => (
            by_kernel.without_blocks(&site.dims),
            "one scale for several kernels, as the opset has no blocks",
        ),
        _ => (by_kernel, why),
    };
    match (granularity, site.input_axis) {
        (Granularity::Tensor, _) => (Partition::Tensor, "one scale a tensor"),
        (Granularity::Channel, _) => (by_kernel, why),
        (Granularity::Block(_), None) => (by_kernel, why),
        (Granularity::Block(_), Some(axis)) if site.dims.get(axis).is_none_or(|&dim| dim <= 1) => {
            (by_kernel, "one scale a kernel, which has one input channel and no blocks")
        }
        (Granularity::Block(_), Some(_)) if !blocks && site.by_kernel == Some(by_kernel) => {
            (by_kernel, "one scale a kernel, as the opset has no blocks for it")
        }
        (Granularity::Block(_), Some(_)) if !blocks => (by_kernel, why),
        (Granularity::Block(size), Some(axis)) => (Partition::Block { axis, size }, "one scale a block"),
    }
}

/// What is asked of one layer, as far as its form depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub code_type: Option<CodeType>,
    pub activation: Option<CodeType>,
    pub granularity: Granularity,
    pub storage: Storage,
}

/// Whether the weights of `site`, in a model of `opset`, can be written as MatMulNBits; or why not.
pub(super) fn nbits(site: &WeightSite, index: &Index, opset: i64, setting: Setting) -> Result<(), String> {
    if setting.storage != Storage::Packed {
        return Err("codes are stored one to a byte".into());
    }
    fits_nbits_weights(setting.code_type, site.reads(), &site.dims, site.float)?;
    if setting.activation.is_some() {
        return Err("its input is quantized too".into());
    }
    lie_by_rows(&site.tensor, site.reads(), index, opset).map_err(|misfit| misfit.why)?;
    match setting.granularity {
        Granularity::Block(size) if !fits_nbits(size) => Err(format!("blocks of {size}")),
        _ => Ok(()),
    }
}
