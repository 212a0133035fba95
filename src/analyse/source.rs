//! From a node's input back to the constant that it is: through nodes that only cast it or turn its axes, which others may
//! read too, so that they cannot be computed beforehand.

use crate::onnx::proto::TensorProto;
use crate::onnx::{Index, int, ints, is_standard};
use crate::plan::{Float, Kernel, Partition};

/// Nodes that are followed.
const REACH: usize = 8;

/// A constant, as one of its readers sees it.
pub(super) struct Source<'g> {
    pub tensor: &'g TensorProto,
    /// Positions of the nodes between, the reader's neighbour first.
    pub chain: Vec<usize>,
    /// For each axis that the reader sees the tensor's.
    order: Vec<usize>,
    /// The type that the reader gets.
    pub float: Option<Float>,
}

impl<'g> Source<'g> {
    /// What `name` comes from, if that is a constant.
    pub fn of(index: &Index<'g>, name: &str) -> Option<Self> {
        let mut name = name;
        let (mut chain, mut turns): (Vec<usize>, Vec<Option<&[i64]>>) = (Vec::new(), Vec::new());
        let mut float = None;
        for _ in 0..=REACH {
            if let Some(tensor) = index.constant(name) {
                let mut order: Vec<usize> = (0..tensor.dims.len()).collect();
                for turn in turns.iter().rev() {
                    order = turned(&order, *turn)?;
                }
                return Some(Self { tensor, chain, order, float: float.or(Float::of(tensor.data_type())) });
            }
            let at = index.producer_at(name)?;
            let node = &index.graph().node[at];
            match node.op_type() {
                _ if !is_standard(node.domain()) || node.output.len() != 1 => return None,
                "Identity" => {}
                "Transpose" => turns.push(ints(node, "perm")),
                "Cast" => {
                    let to = int(node, "to").and_then(|to| i32::try_from(to).ok()).and_then(Float::of)?;
                    float = float.or(Some(to));
                }
                _ => return None,
            }
            chain.push(at);
            name = node.input.first()?;
        }
        None
    }

    /// Dimensions as the reader sees them.
    pub fn dims(&self) -> Vec<i64> {
        self.order.iter().map(|&axis| self.tensor.dims[axis]).collect()
    }

    /// The tensor's own axis for one of the reader's.
    pub fn axis(&self, axis: usize) -> usize {
        self.order.get(axis).copied().unwrap_or(axis)
    }

    /// The same of a partition.
    pub fn partition(&self, partition: Partition) -> Partition {
        match partition {
            Partition::Tensor => Partition::Tensor,
            Partition::Channel { axis } => Partition::Channel { axis: self.axis(axis) },
            Partition::Block { axis, size } => Partition::Block { axis: self.axis(axis), size },
        }
    }

    /// How the reader multiplies with the tensor as it is stored.
    pub fn kernel(&self, kernel: Kernel) -> Kernel {
        if self.order.iter().enumerate().all(|(at, &axis)| at == axis) {
            return kernel;
        }
        match kernel {
            Kernel::Matrix { transposed, input_transposed, alpha, beta } if self.order.len() == 2 => {
                Kernel::Matrix { transposed: !transposed, input_transposed, alpha, beta }
            }
            Kernel::Other(work) => Kernel::Other(work),
            _ => Kernel::Other(crate::plan::Work::Unknown),
        }
    }
}

/// `order` after a Transpose by `perm`, which turns it round where it is left out.
fn turned(order: &[usize], perm: Option<&[i64]>) -> Option<Vec<usize>> {
    match perm {
        None => Some(order.iter().rev().copied().collect()),
        Some(perm) if perm.len() == order.len() => {
            let mut seen = vec![false; order.len()];
            let take = |&axis: &i64| {
                let axis = usize::try_from(axis).ok().filter(|&axis| axis < order.len())?;
                (!std::mem::replace(&mut seen[axis], true)).then(|| order[axis])
            };
            perm.iter().map(take).collect()
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::attr;
    use crate::onnx::build::GraphBuilder;

    #[test]
    fn axes_are_followed_through_turns_and_casts() {
        let mut graph = GraphBuilder::new(21);
        let w = graph.weights("w", &[2, 3, 4]);
        let a = graph.node("Transpose", &[&w], &[attr::ints("perm", &[1, 2, 0])]);
        let b = graph.node("Cast", &[&a], &[attr::int("to", 11)]);
        let c = graph.node("Transpose", &[&b], &[]);
        let d = graph.node("Relu", &[&c], &[]);
        graph.output(&d);
        let model = graph.model();
        let index = Index::new(model.graph());
        let source = Source::of(&index, &c).unwrap();
        assert_eq!((source.dims(), source.chain.clone()), (vec![2, 4, 3], vec![2, 1, 0]));
        assert_eq!((source.axis(1), source.float), (2, Some(Float::Double)));
        assert!(Source::of(&index, &d).is_none());
    }
}
