//! What the options let through.

use crate::error::{Error, Result};
use crate::onnx::node_label;
use crate::onnx::proto::NodeProto;
use crate::options::{Globs, Options};
use crate::plan::Keep;

pub(super) struct Filter<'o> {
    options: &'o Options,
    include: Globs,
    exclude: Globs,
}

impl<'o> Filter<'o> {
    pub fn new(options: &'o Options, known: impl Iterator<Item = &'static str>) -> Result<Self> {
        let known: Vec<&str> = known.collect();
        if let Some(unknown) = options.op_types.iter().find(|name| !known.contains(&name.as_str())) {
            let remedy = format!("choose among {}", known.join(", "));
            return Err(Error::options(format!("no rule for operator {unknown:?}"), remedy));
        }
        Ok(Self { options, include: Globs::new(&options.include)?, exclude: Globs::new(&options.exclude)? })
    }

    pub fn check(&self, tensor: &str, node: &NodeProto, dims: &[i64]) -> Result<(), Keep> {
        let names = [tensor, node_label(node)];
        let hit = |set: &Globs| names.iter().any(|name| set.is_match(name));
        let operator = || self.options.op_types.iter().any(|name| name == node.op_type());
        let elements = dims.iter().product::<i64>();
        if !self.options.quantizes_weights() && !self.options.quantizes_activations() {
            Err(Keep::FloatAsked)
        } else if !self.options.include.is_empty() && !hit(&self.include)
            || hit(&self.exclude)
            || !self.options.op_types.is_empty() && !operator()
        {
            Err(Keep::Excluded)
        } else if usize::try_from(elements).is_ok_and(|elements| elements < self.options.min_elements) {
            Err(Keep::Small { least: self.options.min_elements })
        } else {
            Ok(())
        }
    }
}
