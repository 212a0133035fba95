//! What the options let through.

use crate::error::{Error, Result};
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{element_count, node_label};
use crate::options::{CodeType, Globs, Options};
use crate::plan::{Float, Keep};

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

    pub fn check(&self, tensor: &TensorProto, node: &NodeProto) -> Result<(), Keep> {
        let names = [tensor.name(), node_label(node)];
        let hit = |set: &Globs| names.iter().any(|name| set.is_match(name));
        let operator = || self.options.op_types.iter().any(|name| name == node.op_type());
        // Of dimensions that do not fit, damage is told where the tensor is read.
        let elements = element_count(tensor).unwrap_or(usize::MAX);
        if !self.options.quantizes_weights() && !self.options.quantizes_activations() {
            Err(Keep::FloatAsked)
        } else if !self.options.include.is_empty() && !hit(&self.include)
            || hit(&self.exclude)
            || !self.options.op_types.is_empty() && !operator()
        {
            Err(Keep::Excluded)
        } else if elements < self.options.min_elements {
            Err(Keep::Small { least: self.options.min_elements, saves: self.saves(tensor) })
        } else {
            Ok(())
        }
    }

    /// Bytes less in a file in which `tensor` is low-bit: codes and one scale in the place of floats.
    fn saves(&self, tensor: &TensorProto) -> u64 {
        let float = Float::of(tensor.data_type()).unwrap_or_default();
        let elements = element_count(tensor).unwrap_or(0) as u64;
        let bits = u64::from(self.options.weights.map_or(4, CodeType::bits));
        let low = (elements * bits).div_ceil(8) + float.of_scale().bytes();
        (elements * float.bytes()).saturating_sub(low)
    }
}
