//! LSTM, GRU and RNN: weights `[directions, gates * hidden, in]` in W, which meet the input, and in R, which meet the hidden
//! state. One scale for each row of each gate.

use super::rule::{Factor, Rule, Seen};
use crate::plan::{Kernel, Partition, Work};

const fn rule(operator: &'static str) -> Rule {
    Rule {
        operator,
        slots: &[(1, Some(0)), (2, Some(0))],
        either: false,
        product: true,
        integer: false,
        factor,
    }
}

pub(super) const LSTM: Rule = rule("LSTM");
pub(super) const GRU: Rule = rule("GRU");
pub(super) const RNN: Rule = rule("RNN");

fn factor(seen: &Seen) -> Result<Factor, String> {
    let &[directions, _, length] = seen.dims else {
        return Err(format!("weights of {} axes", seen.dims.len()));
    };
    // Along one axis the rows of both directions would share their scales.
    let by_kernel = match directions {
        1 => Partition::Channel { axis: 1 },
        _ => Partition::Block { axis: 2, size: usize::try_from(length).unwrap_or(0).max(1) },
    };
    let kernel = match seen.slot {
        1 => Kernel::Matrix { transposed: true, input_transposed: false, alpha: 1.0, beta: 1.0 },
        // No value of the graph is the hidden state before each step.
        _ => Kernel::Other(Work::Steps),
    };
    Ok(Factor { by_kernel, input_axis: 2, bias: None, kernel })
}
