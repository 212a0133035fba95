use super::*;
use crate::onnx::proto::TensorProto;
use crate::onnx::{CONTRIB, floats, int};
use crate::rewrite::{Dialect, apply, lower};

fn held<'m>(model: &'m Model, name: &str) -> &'m TensorProto {
    model.graph().initializer.iter().find(|tensor| tensor.name() == name).unwrap()
}

/// A MatMul, or a Gemm with a bias of the dimensions given, whose weights have `rows` output channels.
fn product(opset: i64, by_rows: Option<bool>, (depth, rows): (i64, i64), bias: Option<&[i64]>) -> Model {
    let mut graph = GraphBuilder::new(opset);
    let x = graph.input("x", &[2, depth]);
    let dims = if by_rows == Some(true) { [rows, depth] } else { [depth, rows] };
    let w = graph.weights("w", &dims);
    let y = match by_rows {
        None => graph.node("MatMul", &[&x, &w], &[]),
        Some(by_rows) => {
            let mut inputs = vec![x, w];
            inputs.extend(bias.map(|dims| graph.weights("c", dims)));
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            graph.node("Gemm", &inputs, &[attr::int("transB", i64::from(by_rows))])
        }
    };
    graph.push(node("Relu", "last", &[&y], &["end"], &[]));
    graph.output("end");
    graph.model()
}

/// Weights as MatMulNBits in blocks of `size`, or with one scale a channel, and zero points of all sorts.
fn decision(model: &Model, code_type: CodeType, by_rows: bool, size: Option<usize>) -> WeightDecision {
    let axis = if by_rows { 0 } else { 1 };
    let mut decision = weight(model, "w", code_type, Some(axis), &[(0, 1)]);
    let term = &mut decision.terms[0];
    if let Some(size) = size {
        term.partition = Partition::Block { axis: 1 - axis, size };
    }
    let groups = term.groups(&decision.dims).unwrap().count();
    term.scales = (1..=groups).map(|at| at as f32 * 0.125).collect();
    let (lowest, _) = code_type.range();
    term.zero_points = (0..groups).map(|at| (lowest + (at * 5 % 16) as i32) as i16).collect();
    decision.spelling = Spelling::MatMulNBits;
    decision
}

#[test]
fn codes_lie_by_rows_in_whole_blocks_filled_up_with_zeros() {
    for code_type in [CodeType::Int4, CodeType::Uint4] {
        for by_rows in [false, true] {
            for (depth, size, block) in
                [(37, Some(16), 16), (32, Some(32), 32), (5, Some(64), 16), (20, None, 32), (600, None, 256)]
            {
                let model = product(17, Some(by_rows), (depth as i64, 3), None);
                let decision = decision(&model, code_type, by_rows, size);
                let out = apply(&model, &plan(vec![Decision::Weight(decision.clone())]), None).unwrap();
                let blocks = (depth as usize).div_ceil(block);
                let codes = held(&out, "w_quantized");
                assert_eq!(codes.dims, [3, blocks as i64, block as i64 / 2]);
                assert_eq!(held(&out, "w_scale").dims, [3, blocks as i64]);
                let zeros = held(&out, "w_zero_point");
                assert_eq!(zeros.dims, [3, blocks.div_ceil(2) as i64]);
                let (bytes, zeros) = (codes.raw_data.clone().unwrap(), zeros.raw_data.clone().unwrap());
                let scales = floats(held(&out, "w_scale")).unwrap();
                let nibble = |byte: u8, at: usize| f32::from(byte >> (at % 2 * 4) & 15);
                let wanted = decision.decode();
                for row in 0..3 {
                    for input in 0..blocks * block {
                        let group = input / block;
                        let zero = nibble(zeros[row * blocks.div_ceil(2) + group / 2], group);
                        let code = nibble(bytes[(row * blocks * block + input) / 2], input);
                        let found = (code - zero) * scales[row * blocks + group];
                        let at = if by_rows { row * depth as usize + input } else { input * 3 + row };
                        let wanted = if input < depth as usize { wanted[at] } else { 0.0 };
                        assert_eq!(found, wanted, "{code_type} {by_rows} {depth} {size:?}: {row} {input}");
                    }
                }
                let view = lower(&out, Dialect::Folded).unwrap();
                let values = floats(held(&view, "w")).unwrap();
                for (at, value) in values.iter().enumerate() {
                    let (input, row) = (at / 3, at % 3);
                    let at = if by_rows { row * depth as usize + input } else { at };
                    assert_eq!(value.to_bits(), (wanted[at] + 0.0).to_bits());
                }
                assert_eq!(view.graph().initializer.len(), 1, "nothing dead");
            }
        }
    }
}

#[test]
fn zero_points_in_the_middle_are_left_out_and_versions_stay() {
    let model = product(13, None, (16, 4), None);
    let mut decision = decision(&model, CodeType::Int4, false, Some(16));
    decision.terms[0].zero_points.fill(0);
    let out = apply(&model, &plan(vec![Decision::Weight(decision)]), None).unwrap();
    let node = &out.graph().node[0];
    assert_eq!((node.op_type(), node.domain(), node.name()), ("MatMulNBits", CONTRIB, "matmul_0_node"));
    assert_eq!(node.input, ["x", "w_quantized", "w_scale"]);
    assert_eq!(node.output, model.graph().node[0].output);
    let sizes = ["K", "N", "bits", "block_size", "accuracy_level"].map(|name| int(node, name).unwrap());
    assert_eq!(sizes, [16, 4, 4, 16, 1]);
    assert_eq!((out.opset(), out.proto.ir_version()), (13, model.proto.ir_version()));
    let imports = out.proto.opset_import.iter().map(|import| (import.domain(), import.version()));
    assert_eq!(imports.collect::<Vec<_>>(), [("", 13), (CONTRIB, 1)]);
}

#[test]
fn biases_that_are_rows_go_in_and_others_behind() {
    let of = |dims: &[i64], change: bool| {
        let model = product(17, Some(true), (16, 4), Some(dims));
        let mut decision = decision(&model, CodeType::Int4, true, None);
        if change {
            decision.biases = vec![super::bias(&model, 0, 2, Some("c"), &[1.0, 2.0, 3.0, 4.0])];
        }
        apply(&model, &plan(vec![Decision::Weight(decision)]), None).unwrap()
    };
    for (dims, name) in [(&[4][..], "c"), (&[1, 4][..], "gemm_0_node_bias")] {
        for change in [false, true] {
            let out = of(dims, change);
            assert_eq!(out.graph().node.len(), 2);
            assert_eq!(out.graph().node[0].input[4..], [String::new(), name.to_owned()]);
            assert_eq!(held(&out, name).dims, [4]);
            let there = floats(held(&out, name)).unwrap();
            assert_eq!(there == [1.0, 2.0, 3.0, 4.0], change);
            assert_eq!(out.graph().initializer.len(), 4, "nothing dead");
            let view = lower(&out, Dialect::Folded).unwrap();
            let operators: Vec<_> = view.graph().node.iter().map(|node| node.op_type()).collect();
            assert_eq!(operators, ["MatMul", "Add", "Relu"]);
        }
    }
    for dims in [&[2, 1][..], &[1], &[]] {
        let out = of(dims, false);
        let [product, add, _] = out.graph().node.as_slice() else { panic!("three nodes") };
        assert_eq!((product.op_type(), product.name()), ("MatMulNBits", "gemm_0_node"));
        assert_eq!(add.input, [product.output[0].as_str(), "c"]);
        assert_eq!(add.output, ["gemm_0"]);
    }
}

#[test]
fn a_plan_that_asks_the_impossible_is_refused() {
    type Change = fn(&mut WeightDecision);
    let cases: [(&str, Change); 7] = [
        ("per-tensor scales", |it| {
            it.terms[0].partition = Partition::Tensor;
            it.terms[0].scales.truncate(1);
            it.terms[0].zero_points.truncate(1);
        }),
        ("2 terms", |it| it.terms.push(it.terms[0].clone())),
        ("blocks of 8", |it| {
            it.terms[0].partition = Partition::Block { axis: 0, size: 8 };
            it.terms[0].scales = vec![1.0; 8];
            it.terms[0].zero_points = vec![0; 8];
        }),
        ("DOUBLE", |it| it.float = Float::Double),
        ("left factor", |it| it.reads[0].slot = 0),
        ("laid out otherwise", |it| {
            it.terms[0].partition = Partition::Channel { axis: 0 };
            it.terms[0].scales = vec![1.0; 16];
            it.terms[0].zero_points = vec![0; 16];
        }),
        ("others read", |it| it.reads.clear()),
    ];
    let model = product(17, None, (16, 4), None);
    for (expected, change) in cases {
        let mut decision = decision(&model, CodeType::Int4, false, None);
        change(&mut decision);
        let found = apply(&model, &plan(vec![Decision::Weight(decision)]), None).unwrap_err().to_string();
        assert!(found.contains("decision on w") && found.contains(expected), "{expected}: {found}");
    }
    let mut model = product(17, Some(false), (16, 4), None);
    model.graph_mut().node[0].attribute.push(attr::float("alpha", 0.5));
    let decision = decision(&model, CodeType::Int4, false, None);
    let found = apply(&model, &plan(vec![Decision::Weight(decision)]), None).unwrap_err().to_string();
    assert!(found.contains("alpha 0.5"), "{found}");
}

/// A lone MatMulNBits of somebody else's: 3 rows, 20 inputs in blocks of 16.
fn foreign(change: impl FnOnce(&mut Model)) -> Model {
    let mut graph = GraphBuilder::new(17);
    graph.input("x", &[2, 20]);
    let codes = (0..48u8).map(|at| at.wrapping_mul(37)).collect::<Vec<u8>>();
    graph.initializer(crate::onnx::tensor("b", Dtype::Uint8, &[3, 2, 8], codes));
    graph.initializer(tensor_f32("s", &[6], &[0.5; 6]));
    graph.initializer(crate::onnx::tensor("z", Dtype::Uint8, &[3], vec![0x73; 3]));
    let attributes = [("K", 20), ("N", 3), ("bits", 4), ("block_size", 16)];
    let attributes: Vec<_> = attributes.iter().map(|&(name, value)| attr::int(name, value)).collect();
    let mut node = node("MatMulNBits", "mine", &["x", "b", "s", "z"], &["y"], &attributes);
    node.domain = Some(CONTRIB.into());
    graph.push(node);
    graph.output("y");
    let mut model = graph.model();
    change(&mut model);
    model
}

#[test]
fn anybodys_matmulnbits_is_read_or_left_alone() {
    let first = |model: &Model| {
        let view = lower(model, Dialect::Folded).unwrap();
        let [node] = view.graph().node.as_slice() else { panic!("one node") };
        (node.op_type() == "MatMul").then(|| floats(held(&view, &node.input[1])).unwrap())
    };
    let values = first(&foreign(|_| {})).unwrap();
    assert_eq!(values.len(), 60);
    // Input 17 of row 1: byte 8 + 16 of the codes, in the high half.
    let code = f32::from((24u8.wrapping_mul(37)) >> 4);
    assert_eq!(values[17 * 3 + 1], (code - 7.0) * 0.5);
    assert!(first(&foreign(|it| it.graph_mut().node[0].input.extend(["g".into()]))).is_none(), "reordered");
    assert!(first(&foreign(|it| it.graph_mut().node[0].input[1] = "x".into())).is_none(), "not constant");
    assert!(first(&foreign(|it| it.graph_mut().node[0].domain = Some("other".into()))).is_none());
    assert!(first(&foreign(|it| it.graph_mut().node[0].attribute[2].i = Some(3))).is_none(), "unknown bits");
    // Zero points in floats, one a block; the middle code where there are none.
    let floats = first(&foreign(|it| it.graph_mut().initializer[2] = tensor_f32("z", &[3, 2], &[7.0; 6])));
    assert_eq!(floats.unwrap()[17 * 3 + 1], (code - 7.0) * 0.5);
    let none = first(&foreign(|it| it.graph_mut().node[0].input.truncate(3)));
    assert_eq!(none.unwrap()[17 * 3 + 1], (code - 8.0) * 0.5);
    let wide = first(&foreign(|it| {
        let codes = (0..96u8).collect::<Vec<u8>>();
        let graph = it.graph_mut();
        graph.node[0].attribute[2].i = Some(8);
        graph.node[0].input.truncate(3);
        graph.initializer[0] = crate::onnx::tensor("b", Dtype::Uint8, &[3, 2, 16], codes);
    }));
    assert_eq!(wide.unwrap()[17 * 3 + 1], (49.0 - 128.0) * 0.5);
}

#[test]
fn hostile_sizes_are_errors() {
    type Change = fn(&mut Model);
    let cases: [Change; 9] = [
        |it| it.graph_mut().node[0].attribute[0].i = Some(i64::MAX),
        |it| it.graph_mut().node[0].attribute[0].i = Some(0),
        |it| it.graph_mut().node[0].attribute[1].i = Some(-3),
        |it| it.graph_mut().node[0].attribute[1].i = Some(i64::from(i32::MAX)),
        |it| it.graph_mut().node[0].attribute[3].i = Some(24),
        |it| it.graph_mut().node[0].attribute[3].i = Some(i64::MAX),
        |it| it.graph_mut().initializer[1] = tensor_f32("s", &[5], &[0.5; 5]),
        |it| it.graph_mut().initializer[2].dims = vec![4],
        |it| it.graph_mut().initializer[2].data_type = Some(Dtype::Int64 as i32),
    ];
    for (at, change) in cases.into_iter().enumerate() {
        let error = lower(&foreign(change), Dialect::Folded).unwrap_err().to_string();
        assert!(error.starts_with("node mine: "), "{at}: {error}");
    }
    let short = foreign(|it| it.graph_mut().initializer[0].raw_data = Some(vec![1; 40].into()));
    assert!(lower(&short, Dialect::Folded).unwrap_err().to_string().starts_with("tensor b: "));
}
