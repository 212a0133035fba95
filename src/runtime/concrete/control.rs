//! If, Loop and Scan as the nodes that they come to.

use std::sync::Arc;

use tract_onnx::prelude::*;

use super::flat::{Flat, Scope, Value};
use crate::onnx::build::node;
use crate::onnx::proto::{GraphProto, NodeProto};
use crate::onnx::{attr, axis_of, int, ints, tensor_i64, tensor_of};

/// Rounds of one loop.
const MOST_ROUNDS: i64 = 1024;

fn body<'n>(node: &'n NodeProto, name: &str) -> Result<&'n GraphProto, String> {
    let attribute = node.attribute.iter().find(|attribute| attribute.name() == name);
    attribute.and_then(|attribute| attribute.g.as_ref()).ok_or_else(|| format!("it has no {name}"))
}

impl Flat<'_> {
    /// The branch that the condition takes.
    pub(super) fn branch(&mut self, node: &NodeProto, flat: &NodeProto, scope: &Scope) -> Result<(), String> {
        let condition = self.truth(flat.input.first().map_or("", String::as_str))?;
        let branch = body(node, if condition { "then_branch" } else { "else_branch" })?;
        let inner = self.inside(scope, flat);
        let made = self.graph(branch, &inner)?;
        self.passed(&made, &flat.output)
    }

    /// A loop, round after round.
    pub(super) fn repeat(&mut self, node: &NodeProto, flat: &NodeProto, scope: &Scope) -> Result<(), String> {
        let body = body(node, "body")?;
        let trips = match flat.input.first().filter(|name| !name.is_empty()) {
            Some(name) => first_integer(&*self.known(name)?)?,
            None => i64::MAX,
        };
        let mut state: Vec<String> = flat.input.iter().skip(2).cloned().collect();
        if body.input.len() != state.len() + 2 || body.output.len() <= state.len() {
            return Err("its body takes other values than it is given".into());
        }
        let count = body.output.len() - 1 - state.len();
        let mut gathered: Vec<Vec<String>> = vec![Vec::new(); count];
        let mut condition = flat.input.get(1).filter(|name| !name.is_empty()).cloned();
        let mut round = 0;
        while round < trips {
            let goes_on = match &condition {
                Some(name) => self.truth(name)?,
                None => true,
            };
            if !goes_on {
                break;
            }
            if round >= MOST_ROUNDS {
                return Err(format!("it goes on for more than {MOST_ROUNDS} rounds"));
            }
            let mut inner = self.inside(scope, flat);
            let at = self.add_constant("round", tensor_i64("", &[], &[round]))?;
            let on = match &condition {
                Some(name) => name.clone(),
                None => {
                    let one = tensor_of("", crate::onnx::Dtype::Bool, &[], &[1.0]);
                    self.add_constant("goes_on", one)?
                }
            };
            let given = [at, on].into_iter().chain(state.iter().cloned());
            inner.names.extend(body.input.iter().map(|input| input.name().to_owned()).zip(given));
            let made = self.graph(body, &inner)?;
            condition = made.first().cloned();
            state = made[1..=state.len()].to_vec();
            for (values, value) in gathered.iter_mut().zip(&made[1 + state.len()..]) {
                values.push(value.clone());
            }
            round += 1;
        }
        self.passed(&state, flat.output.get(..state.len()).unwrap_or_default())?;
        let declared = body.output.iter().skip(1 + state.len());
        let outputs: Vec<String> = flat.output.iter().skip(state.len()).cloned().collect();
        for ((values, output), declared) in gathered.into_iter().zip(outputs).zip(declared) {
            self.stacked(values, 0, &output, declared)?;
        }
        Ok(())
    }

    /// A scan, step after step.
    pub(super) fn scan(&mut self, node: &NodeProto, flat: &NodeProto, scope: &Scope) -> Result<(), String> {
        let body = body(node, "body")?;
        let scanned = int(node, "num_scan_inputs").and_then(|count| usize::try_from(count).ok());
        let scanned = scanned.filter(|&count| count > 0 && count <= flat.input.len());
        let scanned = scanned.ok_or("num_scan_inputs does not fit its inputs")?;
        let mut state: Vec<String> = flat.input[..flat.input.len() - scanned].to_vec();
        let inputs = flat.input[state.len()..].to_vec();
        let count = body.output.len().checked_sub(state.len()).ok_or("its body gives too few values")?;
        if body.input.len() != flat.input.len() {
            return Err("its body takes other values than it is given".into());
        }
        let list =
            |name: &str, at: usize| ints(node, name).and_then(|list| list.get(at).copied()).unwrap_or(0);
        let mut axes = Vec::new();
        let mut steps = None;
        for (at, name) in inputs.iter().enumerate() {
            let dims = self.dims(name)?;
            let axis = place(list("scan_input_axes", at), dims.len())?;
            axes.push(axis);
            if *steps.get_or_insert(dims[axis]) != dims[axis] {
                return Err("its inputs differ in length".into());
            }
        }
        let steps = steps.unwrap_or(0);
        if steps as i64 > MOST_ROUNDS {
            return Err(format!("it takes more than {MOST_ROUNDS} steps"));
        }
        let mut gathered: Vec<Vec<String>> = vec![Vec::new(); count];
        for step in 0..steps {
            let mut inner = self.inside(scope, flat);
            let mut given = state.clone();
            for (at, name) in inputs.iter().enumerate() {
                let place = if list("scan_input_directions", at) == 1 { steps - 1 - step } else { step };
                let index = self.add_constant("step", tensor_i64("", &[], &[place as i64]))?;
                let part = self.fresh("scanned");
                let axis = attr::int("axis", axes[at] as i64);
                self.push(node_of("Gather", &[name, &index], &part, &[axis]))?;
                given.push(part);
            }
            inner.names.extend(body.input.iter().map(|input| input.name().to_owned()).zip(given));
            let made = self.graph(body, &inner)?;
            state = made[..state.len()].to_vec();
            for (values, value) in gathered.iter_mut().zip(&made[state.len()..]) {
                values.push(value.clone());
            }
        }
        self.passed(&state, flat.output.get(..state.len()).unwrap_or_default())?;
        let outputs: Vec<String> = flat.output.iter().skip(state.len()).cloned().collect();
        let declared = body.output.iter().skip(state.len());
        for (at, ((mut values, output), declared)) in
            gathered.into_iter().zip(outputs).zip(declared).enumerate()
        {
            if list("scan_output_directions", at) == 1 {
                values.reverse();
            }
            self.stacked(values, list("scan_output_axes", at), &output, declared)?;
        }
        Ok(())
    }

    /// The scope of a body of the node `flat`.
    fn inside(&mut self, outer: &Scope, flat: &NodeProto) -> Scope {
        let label = flat.output.iter().find(|name| !name.is_empty()).map_or("body", String::as_str);
        let prefix = self.fresh(&format!("{label}/"));
        Scope { names: outer.names.clone(), prefix: Some(format!("{prefix}/")) }
    }

    /// Gives the values `made` the names `outputs`.
    pub(super) fn passed(&mut self, made: &[String], outputs: &[String]) -> Result<(), String> {
        if made.len() < outputs.len() {
            return Err("its body gives too few values".into());
        }
        for (value, output) in made.iter().zip(outputs).filter(|(_, output)| !output.is_empty()) {
            match self.value(value).cloned() {
                Some(known) if known.items.is_some() => self.set(output.clone(), known),
                _ => self.push(node_of("Identity", &[value], output, &[]))?,
            }
        }
        Ok(())
    }

    /// The values of all rounds along a new axis.
    fn stacked(
        &mut self,
        values: Vec<String>,
        axis: i64,
        output: &str,
        declared: &crate::onnx::proto::ValueInfoProto,
    ) -> Result<(), String> {
        if output.is_empty() {
            return Ok(());
        }
        if values.is_empty() {
            // No round says how long the other axes are.
            let (code, dims) =
                crate::onnx::value_shape(declared).ok_or("no round says what its outputs are like")?;
            let dims: Vec<i64> =
                std::iter::once(0).chain(dims.into_iter().map(|dim| dim.unwrap_or(0).max(0))).collect();
            let dtype = crate::onnx::Dtype::try_from(code).map_err(|error| error.to_string())?;
            let empty = self.add_constant("nothing", tensor_of("", dtype, &dims, &[]))?;
            return self.push(node_of("Identity", &[&empty], output, &[]));
        }
        let joined = self.joined(&values, axis, true)?;
        self.push(node_of("Identity", &[&joined], output, &[]))
    }

    /// `values` joined along `axis`, which is a new one where `new` says so. Gives the name of what comes out.
    pub(super) fn joined(&mut self, values: &[String], axis: i64, new: bool) -> Result<String, String> {
        let mut parts = Vec::new();
        let rank = self.dims(values.first().ok_or("there is nothing to join")?)?.len();
        let axis = place(axis, rank + usize::from(new))?;
        for value in values {
            if !new {
                parts.push(value.clone());
                continue;
            }
            let mut dims: Vec<i64> = self.dims(value)?.into_iter().map(|dim| dim as i64).collect();
            dims.insert(axis.min(dims.len()), 1);
            parts.push(self.reshaped(value, &dims)?);
        }
        let joined = self.fresh("joined");
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.push(node_of("Concat", &parts, &joined, &[attr::int("axis", axis as i64)]))?;
        Ok(joined)
    }

    /// A value in other dimensions, none of which is empty or taken over.
    pub(super) fn reshaped(&mut self, value: &str, dims: &[i64]) -> Result<String, String> {
        let shape = self.add_constant("shape", tensor_i64("", &[dims.len() as i64], dims))?;
        let name = self.fresh("reshaped");
        self.push(node_of("Reshape", &[value, &shape], &name, &[]))?;
        Ok(name)
    }

    fn truth(&mut self, name: &str) -> Result<bool, String> {
        let value: Arc<Tensor> = self.known(name)?;
        Ok(first_integer(&value)? != 0)
    }
}

/// A node that makes one value.
pub(super) fn node_of(
    operator: &str,
    inputs: &[&str],
    output: &str,
    attributes: &[crate::onnx::proto::AttributeProto],
) -> NodeProto {
    node(operator, "", inputs, &[output], attributes)
}

/// The only number of a scalar, or of a list of one.
pub(super) fn first_integer(value: &Tensor) -> Result<i64, String> {
    let one = || -> TractResult<i64> {
        if value.datum_type() == DatumType::Bool {
            let bits = value.try_as_plain_ram()?;
            return Ok(i64::from(bits.as_slice::<bool>()?.first().copied().unwrap_or(false)));
        }
        let integers = value.cast_to::<i64>()?;
        let plain = integers.try_as_plain_ram()?;
        Ok(plain.as_slice::<i64>()?.first().copied().unwrap_or(0))
    };
    match value.len() {
        1 => crate::runtime::guard::guarded(one),
        count => Err(format!("{count} numbers where one is expected")),
    }
}

/// Counts an axis from the front.
pub(super) fn place(axis: i64, rank: usize) -> Result<usize, String> {
    axis_of(axis, rank).ok_or_else(|| format!("there is no axis {axis} of {rank}"))
}

/// A value that is nothing but its parts.
pub(super) fn sequence_of(items: Vec<String>) -> Value {
    Value { items: Some(items), ..Value::default() }
}
