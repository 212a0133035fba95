//! candle-onnx, which interprets the file anew in each run.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_onnx::onnx::ModelProto;

use super::{Array, Loaded, Outcome};

struct Candle(ModelProto);

pub fn load(path: &str) -> Outcome<Box<dyn Loaded>> {
    Ok(Box::new(Candle(candle_onnx::read_file(path)?)))
}

impl Loaded for Candle {
    fn run(&self, inputs: &[Array]) -> Outcome<Vec<Array>> {
        let values = inputs.iter().map(|input| Ok((input.name.clone(), tensor(input)?)));
        let mut found = candle_onnx::simple_eval(&self.0, values.collect::<Outcome<HashMap<_, _>>>()?)?;
        let outputs = self.0.graph.iter().flat_map(|graph| &graph.output);
        let mut take = |name: &str| found.remove(name).ok_or_else(|| format!("no output {name}"));
        outputs.map(|output| array(&output.name, &take(&output.name)?)).collect()
    }
}

fn tensor(input: &Array) -> Outcome<Tensor> {
    let (dims, device) = (&input.dims[..], &Device::Cpu);
    Ok(match &*input.dtype {
        "float32" => Tensor::from_vec(input.values(f32::from_le_bytes), dims, device)?,
        "int64" => Tensor::from_vec(input.values(i64::from_le_bytes), dims, device)?,
        "uint8" => Tensor::from_vec(input.bytes.clone(), dims, device)?,
        other => return Err(format!("{}: no {other} here", input.name).into()),
    })
}

fn array(name: &str, tensor: &Tensor) -> Outcome<Array> {
    let flat = tensor.flatten_all()?;
    let (dtype, bytes) = match tensor.dtype() {
        DType::F32 => ("float32", flat.to_vec1::<f32>()?.iter().flat_map(|it| it.to_le_bytes()).collect()),
        DType::I64 => ("int64", flat.to_vec1::<i64>()?.iter().flat_map(|it| it.to_le_bytes()).collect()),
        DType::U8 => ("uint8", flat.to_vec1::<u8>()?),
        other => return Err(format!("{name}: no {other:?} here").into()),
    };
    Ok(Array { name: name.into(), dtype: dtype.into(), dims: tensor.dims().to_vec(), bytes })
}
