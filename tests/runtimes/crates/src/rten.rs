//! rten, which has no INT64 and takes INT32 in its place.

use std::sync::Arc;

use rten::{Model, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use super::{Array, Loaded, Outcome};

struct Rten(Model, Arc<ThreadPool>);

pub fn load(path: &str) -> Outcome<Box<dyn Loaded>> {
    Ok(Box::new(Rten(Model::load_file(path)?, Arc::new(ThreadPool::with_num_threads(1)))))
}

impl Loaded for Rten {
    fn run(&self, inputs: &[Array]) -> Outcome<Vec<Array>> {
        let Rten(model, pool) = self;
        let inputs = inputs
            .iter()
            .map(|input| Ok((model.node_id(&input.name)?, ValueOrView::from(value(input)?))))
            .collect::<Outcome<Vec<_>>>()?;
        let mut options = RunOptions::default();
        options.thread_pool = Some(pool.clone());
        let outputs = model.run(inputs, model.output_ids(), Some(options))?;
        let named = |id: &_| model.node_info(*id).and_then(|node| node.name().map(str::to_owned));
        let names = model.output_ids().iter().map(|id| named(id).unwrap_or_default());
        names.zip(outputs).map(|(name, value)| array(name, value)).collect()
    }
}

fn value(input: &Array) -> Outcome<Value> {
    let dims = &input.dims[..];
    Ok(match &*input.dtype {
        "float32" => Tensor::from_data(dims, input.values(f32::from_le_bytes)).into(),
        "int32" => Tensor::from_data(dims, input.values(i32::from_le_bytes)).into(),
        "int64" => {
            let values = input.values(i64::from_le_bytes).into_iter().map(i32::try_from);
            Tensor::from_data(dims, values.collect::<Result<Vec<_>, _>>()?).into()
        }
        "int8" => Tensor::from_data(dims, input.values(i8::from_le_bytes)).into(),
        "uint8" => Tensor::from_data(dims, input.bytes.clone()).into(),
        other => return Err(format!("{}: no {other} here", input.name).into()),
    })
}

fn array(name: String, value: Value) -> Outcome<Array> {
    let (dtype, dims, bytes) = match value {
        Value::FloatTensor(it) => {
            ("float32", it.shape().to_vec(), it.iter().flat_map(|it| it.to_le_bytes()).collect())
        }
        Value::Int32Tensor(it) => {
            ("int32", it.shape().to_vec(), it.iter().flat_map(|it| it.to_le_bytes()).collect())
        }
        Value::Int8Tensor(it) => {
            ("int8", it.shape().to_vec(), it.iter().flat_map(|it| it.to_le_bytes()).collect())
        }
        Value::UInt8Tensor(it) => ("uint8", it.shape().to_vec(), it.iter().copied().collect()),
        _ => return Err(format!("{name} is no tensor").into()),
    };
    Ok(Array { name, dtype: dtype.into(), dims, bytes })
}
