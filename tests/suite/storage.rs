//! 4-bit codes in 8-bit tensors.

use fourbit::onnx::Dtype;
use fourbit::onnx::build::GraphBuilder;
use fourbit::options::{Opset, Options, Precision, Storage};
use fourbit::pipeline::{Job, quantize};
use fourbit::progress::Silent;

#[test]
fn eight_bit_storage_knows_no_four_bit_types_and_leaves_the_opset() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (input, output) = (folder.path().join("m.onnx"), folder.path().join("q.onnx"));
    let mut graph = GraphBuilder::new(13);
    let x = graph.input("x", &[1, 32]);
    let w = graph.weights("w", &[32, 32]);
    let y = graph.node("MatMul", &[&x, &w], &[]);
    graph.output(&y);
    fourbit::onnx::write(&graph.model(), &input, false).expect("it is written");
    let wished = Options {
        storage: Storage::Int8,
        opset: Opset::usual(Storage::Int8, false),
        ..Options::new("w4".parse::<Precision>().expect("a precision"))
    };
    let job = Job { output: Some(output.clone()), ..Job::new(&input, wished) };
    let outcome = quantize(&job, &Silent).expect("it converts");
    let written = fourbit::onnx::read(&output).expect("the file");
    assert_eq!((written.opset(), written.proto.ir_version(), outcome.opsets), (13, 8, (13, 13)));
    let kinds: Vec<i32> = written.graph().initializer.iter().map(|tensor| tensor.data_type()).collect();
    assert_eq!(kinds, [Dtype::Int8 as i32, Dtype::Float as i32], "codes and scales, and no zero points");
    assert!(written.graph().node.iter().all(|node| node.domain().is_empty()));
    assert!(outcome.sizes.quantized_bits.is_some_and(|bits| bits > 8.0));
}
