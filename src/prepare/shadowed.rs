//! Initializers that are listed among the inputs as well, as exporters once had to.

use std::collections::HashSet;

use super::{Change, changed};
use crate::error::Result;
use crate::onnx::Model;

/// The first IR version in which an initializer need not be an input.
const OPTIONAL_SINCE: i64 = 4;

/// Below IR 4 every initializer had to be an input, so the listing says nothing. From IR 4 on it
/// makes the initializer a default that a caller may replace, and is left alone, except where
/// it holds for every single initializer: that is the habit of an old exporter, not a wish.
pub(super) fn remove(model: &mut Model) -> Result<Option<Change>> {
    let version = model.proto.ir_version();
    let graph = model.graph_mut();
    let inputs: HashSet<&str> = graph.input.iter().map(|input| input.name()).collect();
    if version >= OPTIONAL_SINCE && !graph.initializer.iter().all(|tensor| inputs.contains(tensor.name())) {
        return Ok(None);
    }
    let given: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name()).collect();
    let before = graph.input.len();
    graph.input.retain(|input| !given.contains(input.name()));
    let count = before - graph.input.len();
    if version < OPTIONAL_SINCE {
        model.proto.ir_version = Some(OPTIONAL_SINCE);
    }
    Ok(changed("remove-shadowed-inputs", count, || {
        format!("inputs that repeat an initializer, as exporters of IR version {version} wrote them")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;

    fn inputs_left(ir_version: i64, shadowed: &[&str]) -> usize {
        let mut graph = GraphBuilder::new(9).ir_version(ir_version);
        let x = graph.input("x", &[1, 4]);
        let w = graph.weights("w", &[4, 3]);
        let b = graph.weights("b", &[3]);
        for name in shadowed {
            graph.input(name, &[3]);
        }
        let y = graph.node("Gemm", &[&x, &w, &b], &[]);
        graph.output(&y);
        let mut model = graph.model();
        remove(&mut model).unwrap();
        assert!(model.proto.ir_version() >= 4);
        model.graph().input.len()
    }

    #[test]
    fn a_default_of_the_callers_is_kept() {
        assert_eq!(inputs_left(3, &["w"]), 1);
        assert_eq!(inputs_left(4, &["w"]), 2);
        assert_eq!(inputs_left(4, &["w", "b"]), 1);
        assert_eq!(inputs_left(8, &[]), 1);
    }
}
