//! Which elements share a scale, and in what form a site's weights can be written.

use crate::onnx::Index;
use crate::options::{CodeType, Granularity, Options, Storage, fits_nbits};
use crate::plan::{
    Kernel, Partition, Read, Reader, Sharing, WeightSite, fits_nbits_weights, is_depthwise, lie_by_rows,
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

/// The partition of a site's weights, which can have `blocks` or not, and which weights share a scale so.
pub(super) fn partition(site: &WeightSite, granularity: Granularity, blocks: bool) -> (Partition, Sharing) {
    let (by_kernel, sharing) = match site.by_kernel {
        Some(by_kernel) => (by_kernel, Sharing::Kernel),
        None => (Partition::Tensor, Sharing::ReadersDiffer),
    };
    let (by_kernel, sharing) = match by_kernel {
        Partition::Block { .. } if !blocks => (by_kernel.without_blocks(&site.dims), Sharing::SeveralKernels),
        _ => (by_kernel, sharing),
    };
    match (granularity, site.input_axis) {
        (Granularity::Tensor, _) => (Partition::Tensor, Sharing::Tensor),
        (Granularity::Channel, _) => (by_kernel, sharing),
        (Granularity::Block(_), None) => (by_kernel, sharing),
        (Granularity::Block(_), Some(axis)) if site.dims.get(axis).is_none_or(|&dim| dim <= 1) => {
            (by_kernel, Sharing::OneInputChannel)
        }
        (Granularity::Block(_), Some(_)) if !blocks && site.by_kernel == Some(by_kernel) => {
            (by_kernel, Sharing::NoBlocks)
        }
        (Granularity::Block(_), Some(_)) if !blocks => (by_kernel, sharing),
        (Granularity::Block(size), Some(axis)) => (Partition::Block { axis, size }, Sharing::Block),
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
    if !setting.storage.has_nbits() {
        return Err(format!("codes are stored as {}", setting.storage.name()));
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
