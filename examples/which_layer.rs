//! Says which layers cost a conversion most: the float model, with samples beside it.
//!
//!     cargo run --release --example which_layer -- models/shapes_mobile/model.onnx

use std::env;
use std::error::Error;

use fourbit::{Precision, Quantize, RankLayers};

fn main() -> Result<(), Box<dyn Error>> {
    run(env::args().skip(1))
}

pub fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let model = arguments.next().ok_or("give a model")?;
    let conversion = Quantize::new(model).precision(Precision::W4).max_samples(96);
    let found = RankLayers::of(&conversion).samples(64).layers(4).run()?;
    for layer in found.layers.iter().filter(|layer| layer.confirmed.is_some()) {
        println!("{}: --exclude {}", layer.tensor, layer.exclude);
    }
    Ok(())
}
