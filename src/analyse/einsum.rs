//! Einsum of weights and one other operand, where it is a sum over products of the two.

use super::rule::{Factor, Rule, Seen};
use crate::onnx::string;
use crate::plan::{Kernel, Partition, Work};

pub(super) const RULE: Rule = Rule {
    operator: "Einsum",
    is_foreign: false,
    slots: &[(1, Some(0)), (0, Some(1))],
    either: true,
    product: true,
    integer: false,
    factor,
};

fn factor(seen: &Seen) -> Result<Factor, String> {
    let equation: String =
        string(seen.node, "equation").unwrap_or("").chars().filter(|sign| !sign.is_whitespace()).collect();
    let unread = || format!("the equation {equation:?}");
    let (operands, result) = equation.split_once("->").ok_or_else(unread)?;
    let operands: Vec<&str> = operands.split(',').collect();
    let [_, _] = operands[..] else { return Err(format!("{} operands", operands.len())) };
    let (own, other) = (operands[seen.slot], operands[1 - seen.slot]);
    let plain = own.chars().all(char::is_alphabetic)
        && own.chars().enumerate().all(|(at, label)| own.chars().take(at).all(|before| before != label));
    if !plain || own.chars().count() != seen.dims.len() {
        return Err(unread());
    }
    let axes = |summed: bool| -> Vec<usize> {
        own.chars()
            .enumerate()
            .filter(|(_, label)| result.contains(*label) != summed)
            .map(|(at, _)| at)
            .collect()
    };
    let (summed, kept) = (axes(true), axes(false));
    let (Some(&input_axis), Some(&widest)) =
        (summed.first(), kept.iter().max_by_key(|&&axis| (seen.dims[axis], std::cmp::Reverse(axis))))
    else {
        return Err(format!("{equation:?} does not sum over products with the weights"));
    };
    let by_kernel = match (&summed[..], &kept[..]) {
        (_, &[axis]) => Partition::Channel { axis },
        // One scale for each index of all other axes.
        (&[axis], _) => Partition::Block { axis, size: usize::try_from(seen.dims[axis]).unwrap_or(0).max(1) },
        _ => Partition::Channel { axis: widest },
    };
    let mut labels = own.chars();
    let pair = (labels.next(), labels.next(), labels.next());
    let matrix = |summed: char, kept: char| {
        let rest = other.strip_suffix(summed);
        rest.is_some_and(|rest| {
            !rest.contains(kept) && !rest.contains('.') && result == format!("{rest}{kept}")
        })
    };
    let transposed = match pair {
        (Some(first), Some(second), None) if matrix(first, second) => Some(false),
        (Some(first), Some(second), None) if matrix(second, first) => Some(true),
        _ => None,
    };
    let kernel = transposed.map_or(Kernel::Other(Work::Unknown), |transposed| Kernel::Matrix {
        transposed,
        input_transposed: false,
        alpha: 1.0,
        beta: 1.0,
    });
    Ok(Factor { data: None, by_kernel, input_axis, bias: None, kernel })
}
