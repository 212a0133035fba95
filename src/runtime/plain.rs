//! What tract reads otherwise or not at all, in a form that it reads: sparse initializers made dense, defaults written out.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::onnx::proto::{GraphProto, SparseTensorProto, TensorProto};
use crate::onnx::{
    Dtype, Model, attr, bodies, bodies_mut, element_count, integers, is_standard, tensor, tensor_f32,
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
        || graph.node.iter().any(|node| {
            (node.op_type() == "ConstantOfShape" && is_standard(node.domain()) && node.attribute.is_empty())
                || bodies(node).any(concerns)
        })
}

fn rewrite(graph: &mut GraphProto) -> Result<()> {
    for sparse in std::mem::take(&mut graph.sparse_initializer) {
        graph.initializer.push(dense(&sparse)?);
    }
    for node in &mut graph.node {
        if node.op_type() == "ConstantOfShape" && is_standard(node.domain()) && node.attribute.is_empty() {
            node.attribute.push(attr::tensor("value", tensor_f32("", &[1], &[0.0])));
        }
        bodies_mut(node).try_for_each(rewrite)?;
    }
    Ok(())
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
