//! What tract reads otherwise or not at all, in a form that it reads: sparse initializers made dense, defaults written out.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::onnx::proto::{GraphProto, NodeProto, SparseTensorProto, TensorProto};
use crate::onnx::{
    Dtype, Model, attr, bodies, bodies_mut, build, element_count, integers, is_standard, tensor, tensor_f32,
};

/// Bytes of a sparse initializer made dense.
const MOST_BYTES: usize = 1 << 30;

/// `model` with these forms.
///
/// # Errors
/// [`Error::Invalid`] where a sparse initializer is damaged or too large.
pub(super) fn plain(model: Cow<'_, Model>) -> Result<Cow<'_, Model>> {
    if !concerns(model.graph()) {
        return Ok(model);
    }
    let mut model = model.into_owned();
    rewrite(model.graph_mut())?;
    Ok(Cow::Owned(model))
}

fn concerns(graph: &GraphProto) -> bool {
    !graph.sparse_initializer.is_empty()
        || graph.node.iter().any(|node| is_bare(node) || is_scaler(node) || bodies(node).any(concerns))
}

fn rewrite(graph: &mut GraphProto) -> Result<()> {
    for sparse in std::mem::take(&mut graph.sparse_initializer) {
        graph.initializer.push(dense(&sparse)?);
    }
    let nodes = std::mem::take(&mut graph.node);
    graph.node = nodes
        .into_iter()
        .flat_map(|node| if is_scaler(&node) { scaled(&node) } else { vec![node] })
        .collect();
    for node in &mut graph.node {
        if is_bare(node) {
            node.attribute.push(attr::tensor("value", tensor_f32("", &[1], &[0.0])));
        }
        bodies_mut(node).try_for_each(rewrite)?;
    }
    Ok(())
}

/// A ConstantOfShape whose value is left out.
fn is_bare(node: &NodeProto) -> bool {
    node.op_type() == "ConstantOfShape" && is_standard(node.domain()) && node.attribute.is_empty()
}

/// What scikit-learn's StandardScaler becomes.
pub(super) fn is_scaler(node: &NodeProto) -> bool {
    node.op_type() == "Scaler" && node.domain() == "ai.onnx.ml"
}

/// (x - offset) * scale, the two of which hold one number or one for each of the last axis.
fn scaled(scaler: &NodeProto) -> Vec<NodeProto> {
    let output = scaler.output.first().map_or("", String::as_str);
    let input = scaler.input.first().map_or("", String::as_str);
    let [float, offset, moved, scale] =
        ["float", "offset", "moved", "scale"].map(|part| format!("{output}/{part}"));
    let list = |name: &str, usual: f32| {
        let given = scaler.attribute.iter().find(|attribute| attribute.name() == name);
        let values = given.map(|attribute| attribute.floats.clone()).filter(|values| !values.is_empty());
        let values = values.unwrap_or_else(|| vec![usual]);
        attr::tensor("value", tensor_f32("", &[values.len() as i64], &values))
    };
    vec![
        build::node("Cast", &float, &[input], &[&float], &[attr::int("to", Dtype::Float as i64)]),
        build::node("Constant", &offset, &[], &[&offset], &[list("offset", 0.0)]),
        build::node("Sub", &moved, &[&float, &offset], &[&moved], &[]),
        build::node("Constant", &scale, &[], &[&scale], &[list("scale", 1.0)]),
        build::node("Mul", output, &[&moved, &scale], &[output], &[]),
    ]
}

/// All elements of a sparse tensor.
fn dense(sparse: &SparseTensorProto) -> Result<TensorProto> {
    let values = sparse.values.clone().unwrap_or_default();
    let name = values.name().to_owned();
    let damaged = |problem: &str| Error::invalid(format!("sparse initializer {name}"), problem);
    let raw = values.raw_data.clone().ok_or_else(|| damaged("its values are not stored as raw_data"))?;
    let given = element_count(&values)?;
    let width = raw.len().checked_div(given).unwrap_or(1).max(1);
    let dtype = Dtype::try_from(values.data_type()).unwrap_or(Dtype::Undefined);
    let dims: Option<Vec<usize>> = sparse.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    let dims = dims.ok_or_else(|| damaged("a dimension is negative"))?;
    let count = dims.iter().try_fold(width, |bytes, &dim| bytes.checked_mul(dim));
    let bytes = count.filter(|&bytes| bytes <= MOST_BYTES).ok_or_else(|| damaged("it is too large"))?;
    let places = match &sparse.indices {
        Some(indices) => integers(indices)?,
        None => Vec::new(),
    };
    let rank = places.len().checked_div(given).unwrap_or(0);
    if rank * given != places.len() || (rank != 1 && rank != dims.len()) && given > 0 {
        return Err(damaged("its indices do not fit its values"));
    }
    let mut whole = vec![0u8; bytes];
    for (value, place) in raw.chunks(width).zip(places.chunks(rank.max(1))) {
        let flat = match rank == dims.len() {
            true => place.iter().zip(&dims).try_fold(0usize, |flat, (&at, &dim)| {
                let at = usize::try_from(at).ok().filter(|&at| at < dim)?;
                Some(flat * dim + at)
            }),
            false => usize::try_from(place[0]).ok(),
        };
        let start = flat.and_then(|flat| flat.checked_mul(width));
        let target = start.and_then(|start| whole.get_mut(start..start.checked_add(width)?));
        target.ok_or_else(|| damaged("an index lies outside"))?.copy_from_slice(value);
    }
    Ok(tensor(name, dtype, &sparse.dims, whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{floats, tensor_i64};

    fn sparse(indices: TensorProto) -> SparseTensorProto {
        SparseTensorProto {
            values: Some(tensor_f32("s", &[2], &[5.0, 7.0])),
            indices: Some(indices),
            dims: vec![2, 3],
        }
    }

    #[test]
    fn scalers_are_differences_and_products() {
        let mut scaler = build::node("Scaler", "s", &["x"], &["y"], &[attr::float("unused", 0.0)]);
        scaler.domain = Some("ai.onnx.ml".into());
        scaler.attribute = vec![
            crate::onnx::proto::AttributeProto { floats: vec![1.0, 2.0], ..attr::ints("offset", &[]) },
            crate::onnx::proto::AttributeProto { floats: vec![10.0, 100.0], ..attr::ints("scale", &[]) },
        ];
        let mut graph = build::GraphBuilder::new(21);
        graph.input("x", &[1, 2]);
        graph.push(scaler);
        graph.output("y");
        let model = graph.model();
        assert_eq!(crate::runtime::faults(&model), []);
        let session = crate::runtime::Session::new(&model, "float", &[]).unwrap();
        let y = session.run(&[tensor_f32("x", &[1, 2], &[3.0, 3.0])]).unwrap();
        assert_eq!(y[0].values, [20.0, 100.0]);
    }

    #[test]
    fn sparse_tensors_have_all_elements() {
        for indices in [tensor_i64("", &[2], &[1, 5]), tensor_i64("", &[2, 2], &[0, 1, 1, 2])] {
            let made = dense(&sparse(indices)).unwrap();
            assert_eq!((made.name(), floats(&made).unwrap()), ("s", vec![0.0, 5.0, 0.0, 0.0, 0.0, 7.0]));
        }
        for indices in
            [tensor_i64("", &[2], &[1, 6]), tensor_i64("", &[2], &[-1, 0]), tensor_i64("", &[3], &[0, 1, 2])]
        {
            assert!(dense(&sparse(indices)).is_err());
        }
    }
}
