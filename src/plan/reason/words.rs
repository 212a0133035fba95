//! The words for reasons.

use std::fmt;

use super::{Criterion, Met, Reason, Reasons, Sharing, TwoTerms, Why};
use crate::options::{Cause, CodeType, Lift};

impl fmt::Display for Reasons {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, reason) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(formatter, "{comma}{reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Told(words) => words,
            Self::Criterion(Criterion::Output) => "least output error",
            Self::Criterion(Criterion::Exact) => "exact MMSE",
            Self::Criterion(Criterion::Searched) => "MMSE",
            Self::Criterion(Criterion::MinMax) => "min-max scales",
            Self::Sharing(sharing) => return sharing.fmt(formatter),
            Self::Type(code_type, why) => {
                return write!(formatter, "{} {why}", code_type.map_or("float", CodeType::name));
            }
            Self::TwoTerms(why) => return why.fmt(formatter),
            Self::TooLarge => "each weight rounded by itself, as estimating the layer's output takes too much memory",
            Self::Held => "codes limited to -64..64, so that no sum of two products exceeds 16 bits",
            Self::FullRange => "all codes, as requested; sums of two products can exceed 16 bits",
            Self::BetterSide(bits) => {
                let half = 1i64 << bits.saturating_sub(1);
                let less = half - 1;
                return write!(formatter, "range -{half}..{less} or -{less}..{half}, whichever fits better");
            }
            Self::BestZeroPoint(count) => return write!(formatter, "best of {count} zero points"),
            Self::Compensated(met) => return write!(formatter, "error compensation on {met}"),
            Self::Refitted => "scales refitted to the layer's output",
            Self::Cancelled { blocks: true } => "rounding errors balanced within each block",
            Self::Cancelled { blocks: false } => "rounding errors balanced within each output channel",
            Self::TooSmall => "stored as INT8, as unpacking so few weights takes more bytes than it saves",
            Self::NBits => "as MatMulNBits",
            Self::NotNBitsOfTwo => "not as MatMulNBits: two tensors",
            Self::NotNBits(why) => return write!(formatter, "not as MatMulNBits: {why}"),
            Self::WideScales(kind) => {
                return write!(formatter, "scales in FLOAT, as {kind} cannot hold them");
            }
            Self::WideScale => "scale in FLOAT, as half precision cannot hold it",
            Self::AlsoReadBy(others) => {
                return write!(formatter, "and dequantized for {others}, another consumer");
            }
            Self::Sampled => {
                "scales found on a sample of the weights, codes rounded to nearest, as too many weights share a scale"
            }
            Self::Bias { int32: true } => "bias as INT32, in steps of the integer accumulator",
            Self::Bias { int32: false } => "bias rounded to steps of the integer accumulator",
            Self::Calibrated { min_max: true } => "min-max range on the calibration samples",
            Self::Calibrated { min_max: false } => "MMSE range on the calibration samples",
            Self::MovedFrom(source) => {
                return write!(formatter, "same scale as {source}, whose values it holds");
            }
            Self::BetweenIntegers => "between integer operators",
            Self::WithinClip => "within the bounds of the Clip in front of it",
            Self::ChannelsWeighted => "channels weighted by the effect of their errors on the output",
            Self::Widest => "the widest type that its consumers request",
            Self::FloatOutput(why) => return write!(formatter, "the graph output stays float, {why}"),
        })
    }
}

impl fmt::Display for Sharing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tensor => "per-tensor",
            Self::Kernel => "per-channel",
            Self::Block => "per-block",
            Self::ReadersDiffer => "per-tensor, as its consumers use different axes",
            Self::SeveralKernels => "one scale for several output channels, as the opset has no blocks",
            Self::OneInputChannel => "per-channel, as there is one input channel only",
            Self::NoBlocks => "per-channel, as the opset has no blocks",
            Self::BlockOf(size, why) => return write!(formatter, "per-block ({size}), {why}"),
            Self::KernelOnly(why) => return write!(formatter, "per-channel, {why}"),
        })
    }
}

impl fmt::Display for TwoTerms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => formatter.write_str("two tensors, as requested"),
            Self::All => formatter.write_str("two tensors, as requested for all layers"),
            Self::Lifted(lift) => write!(formatter, "two tensors {}", Why::Lifted(lift.clone())),
            Self::Above { loses, threshold } => {
                write!(
                    formatter,
                    "two tensors, as one loses {loses:.2e} of the energy (threshold {threshold:.2e})"
                )
            }
            Self::Share { loses, share } => {
                let percent = 100.0 * share;
                write!(
                    formatter,
                    "two tensors, as one loses {loses:.2e} of the energy: among the worst {percent} % of the weights"
                )
            }
        }
    }
}

impl fmt::Display for Met {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Quantized => "inputs from the already quantized layers",
            Self::Float => "float inputs",
            Self::Normalised => "inputs with the statistics of their batch normalisation",
            Self::Usual => "assumed inputs",
        })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(words) => formatter.write_str(words),
            Self::Rule => formatter.write_str("by its rule in the layer file"),
            Self::Lifted(Lift { from, noise, cause: Cause::Limit }) => write!(
                formatter,
                "to meet the limit: as {from} it alone adds noise of {noise:.1e} of the outputs' energy"
            ),
            Self::Lifted(Lift { from, noise, cause: Cause::Share { bytes } }) => write!(
                formatter,
                "for {:.2} % more bytes: as {from} it alone brings {:.1} % of the noise",
                100.0 * bytes,
                100.0 * noise
            ),
            Self::First => formatter.write_str("as a first layer"),
            Self::Last => formatter.write_str("as a last layer"),
            Self::Target(takes) => write!(formatter, "as {takes}"),
            Self::NoActivations(target, code_type) => {
                write!(formatter, "as {target} takes no {code_type} activations")
            }
            Self::Split => formatter.write_str("as two products are added for it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_told_by_width() {
        let told = |bits| Reason::BetterSide(bits).to_string();
        assert_eq!(told(4), "range -8..7 or -7..8, whichever fits better");
        assert_eq!(told(2), "range -2..1 or -1..2, whichever fits better");
        assert_eq!(Reason::BestZeroPoint(16).to_string(), "best of 16 zero points");
    }

    #[test]
    fn reasons_return_from_files_as_their_words() {
        let lift = Lift { from: "int4".into(), noise: 0.0123, cause: Cause::Limit };
        let reasons: Reasons = [
            Reason::Criterion(Criterion::Exact),
            Reason::Sharing(Sharing::BlockOf(16, Why::Target("openvino takes blocks".into()))),
            Reason::Type(None, Why::Lifted(lift.clone())),
            Reason::TwoTerms(TwoTerms::Lifted(lift)),
            Reason::TwoTerms(TwoTerms::Share { loses: 0.004, share: 0.05 }),
            Reason::Bias { int32: true },
        ]
        .into_iter()
        .collect();
        let words = "exact MMSE, per-block (16), as openvino takes blocks, \
                     float to meet the limit: as int4 it alone adds noise of 1.2e-2 of the outputs' energy, \
                     two tensors to meet the limit: as int4 it alone adds noise of 1.2e-2 of the outputs' energy, \
                     two tensors, as one loses 4.00e-3 of the energy: among the worst 5 % of the weights, \
                     bias as INT32, in steps of the integer accumulator";
        assert_eq!(reasons.to_string(), words);
        let text = serde_json::to_string(&reasons).unwrap();
        assert_eq!(text, serde_json::to_string(words).unwrap());
        let read: Reasons = serde_json::from_str(&text).unwrap();
        assert_eq!(read, reasons);
        assert_eq!(read.iter().collect::<Vec<_>>(), [&Reason::Told(words.into())]);
        assert_ne!(read, Reasons::default());
    }
}
