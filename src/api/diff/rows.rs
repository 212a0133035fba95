//! Which tensors of several conversions are the same.

use std::collections::HashMap;

use super::sides::{Entry, Read};
use crate::plan::{DifferenceRow, Treated};

/// Weights and then activations of all sides, a row each: the same tensor by name, or else what the same node reads.
pub(super) fn aligned(sides: &[Read]) -> Vec<DifferenceRow> {
    let weights: Vec<&[Entry]> = sides.iter().map(|side| side.weights.as_slice()).collect();
    let activations: Vec<&[Entry]> = sides.iter().map(|side| side.activations.as_slice()).collect();
    let mut rows = of_kind(&weights, false);
    for row in &mut rows {
        for (cell, side) in row.cells.iter_mut().zip(sides).filter(|(cell, _)| cell.is_none()) {
            let float = side
                .floats
                .iter()
                .find(|entry| entry.tensor == row.tensor || entry.nodes.contains(&row.layer));
            *cell = float.map(|entry| entry.treated.clone());
        }
    }
    rows.extend(of_kind(&activations, true));
    for row in &mut rows {
        row.differs = differ(&row.cells);
    }
    rows
}

fn of_kind(sides: &[&[Entry]], is_activation: bool) -> Vec<DifferenceRow> {
    let mut rows: Vec<DifferenceRow> = Vec::new();
    let (mut by_tensor, mut by_node) = (HashMap::new(), HashMap::<String, Vec<usize>>::new());
    for (side, entries) in sides.iter().enumerate() {
        // Rows that this side has already.
        let mut taken = vec![false; rows.len()];
        for entry in *entries {
            let free = |at: &usize| !taken.get(*at).copied().unwrap_or(true);
            let named = by_tensor.get(&entry.tensor).copied().filter(free);
            // Nodes read several activations: only names tell these apart.
            let nodes = entry.nodes.iter().filter(|_| !is_activation);
            let found =
                named.or_else(|| nodes.filter_map(|node| by_node.get(node)).flatten().copied().find(free));
            let at = match found {
                Some(at) => {
                    taken[at] = true;
                    at
                }
                None => {
                    rows.push(DifferenceRow {
                        is_activation,
                        tensor: entry.tensor.clone(),
                        layer: entry.nodes.first().cloned().unwrap_or_else(|| entry.tensor.clone()),
                        operator: entry.operator.clone(),
                        cells: vec![None; sides.len()],
                        differs: false,
                    });
                    rows.len() - 1
                }
            };
            rows[at].cells[side] = Some(entry.treated.clone());
            by_tensor.entry(entry.tensor.clone()).or_insert(at);
            for node in &entry.nodes {
                let rows = by_node.entry(node.clone()).or_default();
                if !rows.contains(&at) {
                    rows.push(at);
                }
            }
        }
    }
    rows
}

fn differ(cells: &[Option<Treated>]) -> bool {
    let form = |cell: &Option<Treated>| cell.as_ref().map(|cell| cell.form.clone());
    cells.windows(2).any(|pair| form(&pair[0]) != form(&pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Side;

    fn side(weights: &[(&str, &str, &str)], floats: &[&str]) -> Read {
        let entry = |&(tensor, node, form): &(&str, &str, &str)| Entry {
            tensor: tensor.into(),
            nodes: vec![node.into()],
            operator: "Conv".into(),
            treated: Treated { form: form.into(), ..Treated::default() },
        };
        let float = |name: &&str| Entry { nodes: Vec::new(), ..entry(&(name, "", "float")) };
        Read {
            side: Side::default(),
            weights: weights.iter().map(entry).collect(),
            activations: vec![entry(&("x", "conv1", "uint8"))],
            floats: floats.iter().map(float).collect(),
        }
    }

    #[test]
    fn tensors_meet_by_name_or_by_the_node_that_reads_them() {
        let one = side(&[("a", "conv1", "int4"), ("b", "conv2", "int4"), ("c", "conv3", "int4")], &[]);
        let other =
            side(&[("a_codes", "conv1", "int4"), ("b", "conv2", "int8"), ("d", "conv4", "int8")], &["c"]);
        let rows = aligned(&[one, other]);
        let told: Vec<_> = rows
            .iter()
            .map(|row| {
                let form =
                    |cell: &Option<Treated>| cell.as_ref().map_or("-".into(), |cell| cell.form.clone());
                let forms: Vec<String> = row.cells.iter().map(form).collect();
                format!("{} {} {}", row.tensor, forms.join(" "), row.differs)
            })
            .collect();
        assert_eq!(
            told,
            [
                "a int4 int4 false",
                "b int4 int8 true",
                "c int4 float true",
                "d - int8 true",
                "x uint8 uint8 false"
            ]
        );
    }

    #[test]
    fn two_tensors_of_one_node_stay_apart() {
        let one = || side(&[("w", "lstm", "int4"), ("r", "lstm", "int8")], &[]);
        let other = side(&[("w_codes", "lstm", "int4"), ("r_codes", "lstm", "int8")], &[]);
        let rows = aligned(&[one(), other]);
        assert!(rows.len() == 3 && rows.iter().all(|row| !row.differs), "{rows:?}");
    }
}
