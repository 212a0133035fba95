//! Weights times columns is what tract's operator gives.

use crate::calibrate::columns::Columns;
use crate::onnx::attr;
use crate::onnx::build::GraphBuilder;
use crate::onnx::proto::AttributeProto;
use crate::onnx::{floats, tensor_f32};
use crate::plan::{Kernel, Layout, Spatial};
use crate::runtime::Session;

fn spatial(kernel: &[usize], groups: usize) -> Spatial {
    let fill = |value| vec![value; kernel.len()];
    Spatial {
        kernel: kernel.to_vec(),
        strides: fill(1),
        dilations: fill(1),
        begin: fill(0),
        end: fill(0),
        same_upper: None,
        output_padding: fill(0),
        groups,
    }
}

fn numbers(dims: &[i64]) -> Vec<f32> {
    let count = dims.iter().product::<i64>() as usize;
    (0..count).map(|at| ((at * 37 + 11) % 101) as f32 / 50.0 - 1.0).collect()
}

/// As tract computes it: the operator on `input` and weights of `dims`.
fn agrees(operator: &str, attributes: &[AttributeProto], kernel: Kernel, dims: &[i64], input: &[i64]) {
    let mut graph = GraphBuilder::new(17);
    let data = graph.input("x", input);
    let weights = graph.weights("w", dims);
    let product = graph.node(operator, &[&data, &weights], attributes);
    graph.output(&product);
    let model = graph.model();
    let weights = floats(&model.graph().initializer[0]).unwrap();
    let values = numbers(input);
    let outputs =
        Session::new(&model, "float", &[]).unwrap().run(&[tensor_f32("x", input, &values)]).unwrap();
    let expected = &outputs[0].values;

    let layout = Layout::new(&kernel, dims).unwrap();
    let matrix = matches!(kernel, Kernel::Matrix { .. });
    let columns = Columns { kernel, groups: layout.groups, features: layout.features };
    let sizes: Vec<usize> = input.iter().map(|&dim| dim as usize).collect();
    let field = columns.field(&sizes).unwrap();
    let channels = layout.groups * layout.rows;
    assert_eq!(field.positions() * channels, expected.len(), "{operator}");
    let plane = if matrix { 1 } else { outputs[0].dims[2..].iter().product() };
    // All positions, and some of them.
    for step in [1, 3] {
        let positions: Vec<usize> = (0..field.positions()).step_by(step).collect();
        let places = field.places(&positions);
        for group in 0..layout.groups {
            let filled = field.fill(&columns, group, &values, &places);
            assert_eq!(filled.len(), layout.features * positions.len());
            for row in 0..layout.rows {
                let weights = layout.row(&weights, group, row);
                for (column, &position) in positions.iter().enumerate() {
                    let met = filled[column..].iter().step_by(positions.len());
                    let sum: f64 =
                        weights.iter().zip(met).map(|(&weight, met)| f64::from(weight) * met).sum();
                    let channel = group * layout.rows + row;
                    let at = (position / plane * channels + channel) * plane + position % plane;
                    let gap = (sum - f64::from(expected[at])).abs();
                    assert!(
                        gap < 1e-4,
                        "{operator} {dims:?} on {input:?}: {sum} instead of {}",
                        expected[at]
                    );
                }
            }
        }
    }
}

#[test]
fn convolutions_are_met_as_they_slide() {
    let ints = attr::ints;
    agrees("Conv", &[], Kernel::Conv(spatial(&[3], 1)), &[4, 3, 3], &[2, 3, 9]);
    agrees("Conv", &[], Kernel::Conv(spatial(&[2, 3], 1)), &[4, 3, 2, 3], &[2, 3, 5, 6]);
    let strided = Spatial { strides: vec![2, 1], begin: vec![1, 0], end: vec![0, 2], ..spatial(&[3, 3], 1) };
    let attributes = [ints("strides", &[2, 1]), ints("pads", &[1, 0, 0, 2])];
    agrees("Conv", &attributes, Kernel::Conv(strided), &[4, 2, 3, 3], &[2, 2, 7, 6]);
    let dilated = Spatial { dilations: vec![2], begin: vec![2], end: vec![2], ..spatial(&[3], 2) };
    let attributes = [ints("dilations", &[2]), ints("pads", &[2, 2]), attr::int("group", 2)];
    agrees("Conv", &attributes, Kernel::Conv(dilated), &[4, 3, 3], &[1, 6, 8]);
    // Depthwise.
    let depthwise = Spatial { begin: vec![1, 1], end: vec![1, 1], ..spatial(&[3, 3], 5) };
    let attributes = [ints("pads", &[1, 1, 1, 1]), attr::int("group", 5)];
    agrees("Conv", &attributes, Kernel::Conv(depthwise), &[10, 1, 3, 3], &[2, 5, 4, 5]);
}

#[test]
fn padding_that_depends_on_the_input_is_met() {
    for (name, upper) in [("SAME_UPPER", true), ("SAME_LOWER", false)] {
        let same = Spatial { strides: vec![2, 2], same_upper: Some(upper), ..spatial(&[3, 2], 1) };
        let attributes = [attr::ints("strides", &[2, 2]), attr::string("auto_pad", name)];
        agrees("Conv", &attributes, Kernel::Conv(same), &[3, 2, 3, 2], &[1, 2, 6, 5]);
    }
}

#[test]
fn transposed_convolutions_are_met_backwards() {
    agrees("ConvTranspose", &[], Kernel::ConvTranspose(spatial(&[3], 1)), &[3, 4, 3], &[1, 3, 5]);
    let strided = Spatial {
        strides: vec![2, 2],
        begin: vec![1, 0],
        end: vec![1, 1],
        output_padding: vec![1, 1],
        ..spatial(&[3, 3], 2)
    };
    let attributes = [
        attr::ints("strides", &[2, 2]),
        attr::ints("pads", &[1, 0, 1, 1]),
        attr::ints("output_padding", &[1, 1]),
        attr::int("group", 2),
    ];
    agrees("ConvTranspose", &attributes, Kernel::ConvTranspose(strided), &[4, 3, 3, 3], &[1, 4, 4, 3]);
}

#[test]
fn matrices_are_met_row_by_row() {
    let matrix =
        |transposed, input_transposed| Kernel::Matrix { transposed, input_transposed, alpha: 1.0, beta: 1.0 };
    agrees("MatMul", &[], matrix(false, false), &[4, 3], &[2, 5, 4]);
    agrees("Gemm", &[attr::int("transB", 1)], matrix(true, false), &[3, 4], &[5, 4]);
    agrees("Gemm", &[attr::int("transA", 1)], matrix(false, true), &[4, 3], &[4, 5]);
}

#[test]
fn what_does_not_fit_has_no_field_and_what_is_not_finite_is_zero() {
    let columns = Columns { kernel: Kernel::Conv(spatial(&[2], 1)), groups: 1, features: 4 };
    assert!(columns.field(&[1, 3, 5]).is_none() && columns.field(&[2, 5]).is_none());
    assert!(columns.field(&[0, 2, 5]).is_none());
    assert_eq!(columns.field(&[1, 2, 1]).map(|field| field.positions()), Some(0));
    let field = columns.field(&[1, 2, 2]).unwrap();
    let filled = field.fill(&columns, 0, &[f32::NAN, 1.0, f32::INFINITY, 2.0], &field.places(&[0]));
    assert_eq!(filled, [0.0, 1.0, 0.0, 2.0]);
}
