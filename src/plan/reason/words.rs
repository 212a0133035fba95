//! The words for reasons.

use std::fmt;

use super::{Criterion, Met, Reason, Reasons, Sharing, TwoTerms, Why};
use crate::options::{CodeType, Lift};

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
            Self::TooLarge => "each weight for itself as it takes too much memory to foresee their output",
            Self::Held => "codes held to -64..64 so that no sum of two products exceeds 16 bits",
            Self::FullRange => "all codes as asked, whose products can exceed 16 bits in pairs",
            Self::BetterSide => "odd code on the better side",
            Self::BestZeroPoint => "best of 16 zero points",
            Self::Compensated(met) => return write!(formatter, "output error compensated on {met}"),
            Self::Refitted => "scales refitted to the output",
            Self::Cancelled { blocks: true } => "rounding errors of each block cancelled",
            Self::Cancelled { blocks: false } => "rounding errors of each kernel cancelled",
            Self::NBits => "as MatMulNBits",
            Self::NotNBitsOfTwo => "not as MatMulNBits: two terms",
            Self::NotNBits(why) => return write!(formatter, "not as MatMulNBits: {why}"),
            Self::WideScales(kind) => {
                return write!(formatter, "scales in FLOAT, as {kind} cannot hold them");
            }
            Self::WideScale => "scale in FLOAT, as half precision cannot hold it",
            Self::AlsoReadBy(others) => {
                return write!(formatter, "and dequantized for {others}, which reads them too");
            }
            Self::Sampled => {
                "but scales found on a sample and each code the nearest, as too many weights share a scale"
            }
            Self::Bias { int32: true } => "bias as INT32 in steps of an integer accumulator",
            Self::Bias { int32: false } => "bias in steps of an integer accumulator",
            Self::Calibrated { min_max: true } => "range on the calibration samples",
            Self::Calibrated { min_max: false } => "MMSE range on the calibration samples",
            Self::MovedFrom(source) => {
                return write!(formatter, "scale of {source}, which it is moved from");
            }
            Self::BetweenIntegers => "between integer operators",
            Self::WithinClip => "within what the Clip before it lets through",
            Self::ChannelsWeighted => "channels weighted by what their errors do to the output",
            Self::Widest => "the widest that its readers ask for",
            Self::FloatOutput(why) => return write!(formatter, "the model's output float, {why}"),
        })
    }
}

impl fmt::Display for Sharing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tensor => "one scale a tensor",
            Self::Kernel => "one scale a kernel",
            Self::Block => "one scale a block",
            Self::ReadersDiffer => "one scale: its readers take different axes",
            Self::SeveralKernels => "one scale for several kernels, as the opset has no blocks",
            Self::OneInputChannel => "one scale a kernel, which has one input channel and no blocks",
            Self::NoBlocks => "one scale a kernel, as the opset has no blocks for it",
            Self::BlockOf(size, why) => return write!(formatter, "one scale a block of {size}, {why}"),
            Self::KernelOnly(why) => return write!(formatter, "one scale a kernel, {why}"),
        })
    }
}

impl fmt::Display for TwoTerms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => formatter.write_str("two terms as asked"),
            Self::All => formatter.write_str("two terms as asked for all"),
            Self::Lifted(lift) => write!(formatter, "two terms {}", Why::Lifted(lift.clone())),
            Self::Above { loses, threshold } => {
                write!(formatter, "two terms, as one loses {loses:.2e} of {threshold:.2e}")
            }
            Self::Share { loses, share } => {
                let percent = 100.0 * share;
                write!(
                    formatter,
                    "two terms, as one loses {loses:.2e}, among the most in {percent} % of the weights"
                )
            }
        }
    }
}

impl fmt::Display for Met {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Quantized => "the quantized network's inputs",
            Self::Float => "the float network's inputs",
            Self::Normalised => "inputs as batch normalisation makes them",
            Self::Usual => "inputs as they usually are",
        })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(words) => formatter.write_str(words),
            Self::Rule => formatter.write_str("as its rule says"),
            Self::Lifted(Lift { from, noise }) => write!(
                formatter,
                "for the budget, since {from} alone brings {noise:.1e} of the outputs' energy"
            ),
            Self::First => formatter.write_str("as a first layer"),
            Self::Last => formatter.write_str("as a last layer"),
            Self::Target(takes) => write!(formatter, "as {takes}"),
            Self::NoActivations(target, code_type) => {
                write!(formatter, "as {target} takes no {code_type} activations")
            }
            Self::Split => formatter.write_str("as two products are added up for it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_return_from_files_as_their_words() {
        let lift = Lift { from: "int4".into(), noise: 0.0123 };
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
        let words = "exact MMSE, one scale a block of 16, as openvino takes blocks, \
                     float for the budget, since int4 alone brings 1.2e-2 of the outputs' energy, \
                     two terms for the budget, since int4 alone brings 1.2e-2 of the outputs' energy, \
                     two terms, as one loses 4.00e-3, among the most in 5 % of the weights, \
                     bias as INT32 in steps of an integer accumulator";
        assert_eq!(reasons.to_string(), words);
        let text = serde_json::to_string(&reasons).unwrap();
        assert_eq!(text, serde_json::to_string(words).unwrap());
        let read: Reasons = serde_json::from_str(&text).unwrap();
        assert_eq!(read, reasons);
        assert_eq!(read.iter().collect::<Vec<_>>(), [&Reason::Told(words.into())]);
        assert_ne!(read, Reasons::default());
    }
}
