//! Sequences as lists of the values that they hold.

use super::control::{first_integer, node_of, place, sequence_of};
use super::flat::Flat;
use crate::onnx::proto::NodeProto;
use crate::onnx::{attr, int, tensor_i64};

impl Flat<'_> {
    /// Takes the node `flat`, an operator on sequences.
    pub(super) fn sequence(&mut self, operator: &str, flat: &NodeProto) -> Result<(), String> {
        let output = flat.output.first().cloned().unwrap_or_default();
        let input = |slot: usize| flat.input.get(slot).filter(|name| !name.is_empty());
        match operator {
            "SequenceEmpty" => self.set(output, sequence_of(Vec::new())),
            "SequenceConstruct" => self.set(output, sequence_of(flat.input.clone())),
            "SequenceInsert" => {
                let mut items = self.items(input(0))?;
                let at = match input(2) {
                    // Behind the last is a place as well; from the back it counts as in the list there is.
                    Some(name) => match first_integer(&*self.known(name)?)? {
                        at if at == items.len() as i64 => items.len(),
                        at => place(at, items.len())?,
                    },
                    None => items.len(),
                };
                items.insert(at, input(1).ok_or("it is given nothing to insert")?.clone());
                self.set(output, sequence_of(items));
            }
            "SequenceErase" => {
                let mut items = self.items(input(0))?;
                let at = match input(1) {
                    Some(name) => self.position(name, items.len())?,
                    None => items.len().checked_sub(1).ok_or("the sequence is empty")?,
                };
                items.remove(at);
                self.set(output, sequence_of(items));
            }
            "SequenceAt" => {
                let items = self.items(input(0))?;
                let at = self.position(input(1).ok_or("it has no position")?, items.len())?;
                self.push(node_of("Identity", &[&items[at]], &output, &[]))?;
            }
            "SequenceLength" => {
                let count = self.items(input(0))?.len() as i64;
                let count = self.add_constant("length", tensor_i64("", &[], &[count]))?;
                self.push(node_of("Identity", &[&count], &output, &[]))?;
            }
            "ConcatFromSequence" => {
                let items = self.items(input(0))?;
                let axis = int(flat, "axis").ok_or("it has no axis")?;
                let joined = self.joined(&items, axis, int(flat, "new_axis") == Some(1))?;
                self.push(node_of("Identity", &[&joined], &output, &[]))?;
            }
            "SplitToSequence" => {
                let items = self.split(flat)?;
                self.set(output, sequence_of(items));
            }
            other => return Err(format!("{other} is not supported")),
        }
        Ok(())
    }

    fn items(&self, name: Option<&String>) -> Result<Vec<String>, String> {
        let name = name.ok_or("it is given no sequence")?;
        let items = self.value(name).and_then(|value| value.items.clone());
        items.ok_or_else(|| format!("{name} is no sequence that is known"))
    }

    fn position(&mut self, name: &str, length: usize) -> Result<usize, String> {
        place(first_integer(&*self.known(name)?)?, length)
    }

    /// The parts of a tensor along an axis.
    fn split(&mut self, flat: &NodeProto) -> Result<Vec<String>, String> {
        let value = flat.input.first().cloned().unwrap_or_default();
        let dims = self.dims(&value)?;
        let axis = place(int(flat, "axis").unwrap_or(0), dims.len())?;
        let length = dims[axis];
        let given = flat.input.get(1).filter(|name| !name.is_empty()).cloned();
        let lengths: Vec<usize> = match &given {
            None => vec![1; length],
            Some(name) => {
                let known = self.known(name)?;
                let numbers = crate::runtime::guard::guarded(|| {
                    let integers = known.cast_to::<i64>()?;
                    Ok(integers.try_as_plain_ram()?.as_slice::<i64>()?.to_vec())
                })?;
                let numbers: Vec<usize> =
                    numbers.into_iter().map(|number| usize::try_from(number).unwrap_or(0)).collect();
                match (known.rank(), numbers.first().copied()) {
                    (0, Some(each @ 1..)) => {
                        let whole = length / each;
                        let rest = Some(length % each).filter(|&rest| rest > 0);
                        std::iter::repeat_n(each, whole).chain(rest).collect()
                    }
                    (1, _) if numbers.iter().sum::<usize>() == length => numbers,
                    _ => return Err(format!("its split does not come to {length}")),
                }
            }
        };
        let flattened = given.is_none() && int(flat, "keepdims") == Some(0);
        let mut items = Vec::new();
        let mut start = 0;
        for part in lengths {
            let name = self.fresh("part");
            if flattened {
                let at = self.add_constant("at", tensor_i64("", &[], &[start as i64]))?;
                self.push(node_of("Gather", &[&value, &at], &name, &[attr::int("axis", axis as i64)]))?;
            } else {
                let one = |number: usize| tensor_i64("", &[1], &[number as i64]);
                let from = self.add_constant("from", one(start))?;
                let to = self.add_constant("to", one(start + part))?;
                let along = self.add_constant("along", one(axis))?;
                self.push(node_of("Slice", &[&value, &from, &to, &along], &name, &[]))?;
            }
            start += part;
            items.push(name);
        }
        Ok(items)
    }
}
