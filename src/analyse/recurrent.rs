//! LSTM, GRU and RNN: weights `[directions, gates * hidden, in]` in W, which meet the input, and in R, which meet the hidden
//! state. One scale for each row of each gate.

use super::rule::{Factor, Rule, Seen};
use crate::plan::{Kernel, Partition, Work};

const fn rule(operator: &'static str) -> Rule {
    Rule {
        operator,
        is_foreign: false,
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

/// The input slot of the hidden state before the first step, `[directions, batch, hidden]`.
const INITIAL_H: usize = 5;

fn factor(seen: &Seen) -> Result<Factor, String> {
    let &[directions, _, length] = seen.dims else {
        return Err(format!("weights of {} axes", seen.dims.len()));
    };
    // Along one axis the rows of both directions would share their scales.
    let by_kernel = match directions {
        1 => Partition::Channel { axis: 1 },
        _ => Partition::Block { axis: 2, size: usize::try_from(length).unwrap_or(0).max(1) },
    };
    let matrix = Kernel::Matrix { transposed: true, input_transposed: false, alpha: 1.0, beta: 1.0 };
    // The hidden state before each step is no value of the graph; where a caller hands it on from run to run, the one before
    // the first step is, and is like the others.
    let given = |name: &String| !name.is_empty() && seen.index.initializer(name).is_none();
    let state = seen.node.input.get(INITIAL_H).is_some_and(given).then_some(INITIAL_H);
    let (kernel, data) = match (seen.slot, state) {
        (1, _) => (matrix, None),
        (_, Some(state)) => (matrix, Some(state)),
        (_, None) => (Kernel::Other(Work::Steps), None),
    };
    Ok(Factor { data, by_kernel, input_axis: 2, bias: None, kernel })
}
