//! Files in tract as they are.

use fourbit::onnx::{Dtype, Model, tensor, tensor_f32};
use fourbit::rewrite::{Dialect, lower};
use fourbit::runtime::{Session, faults};

/// The file itself in tract, beside its view there.
pub fn agrees(name: &str, model: &Model, shipped: &Model, rounded: bool) {
    assert!(faults(shipped).is_empty(), "{name}: {:?}", faults(shipped));
    let input = model.inputs().next().expect("an input");
    let (dtype, dims) = fourbit::onnx::value_shape(input).expect("a shape");
    let dims: Vec<i64> = dims.into_iter().map(|dim| dim.unwrap_or(1)).collect();
    let count = dims.iter().product::<i64>() as usize;
    let feed = match dtype == Dtype::Float as i32 {
        true => {
            let values: Vec<f32> = (0..count).map(|at| ((at * 37 % 101) as f32 - 50.0) / 25.0).collect();
            tensor_f32(input.name(), &dims, &values)
        }
        false => {
            let bytes: Vec<u8> = (0..count).flat_map(|at| (at as i64 % 24).to_le_bytes()).collect();
            tensor(input.name(), Dtype::Int64, &dims, bytes)
        }
    };
    let run = |model: &Model| {
        let session = Session::new(model, "test", &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        session.run(std::slice::from_ref(&feed)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let view = run(&lower(shipped, Dialect::Folded).expect("a view"));
    for (wanted, found) in view.iter().zip(run(shipped)) {
        let largest = wanted.values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let (mut signal, mut noise) = (0.0f64, 0.0f64);
        for (wanted, found) in wanted.values.iter().zip(&found.values) {
            assert!(rounded || (wanted - found).abs() <= 1e-4 * largest, "{name}: {wanted} {found}");
            signal += f64::from(*wanted).powi(2);
            noise += f64::from(wanted - found).powi(2);
        }
        assert!(noise < signal * 1e-3, "{name}: {:.1} dB", 10.0 * (signal / noise).log10());
    }
}
