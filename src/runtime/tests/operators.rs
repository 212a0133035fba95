//! Operators of our own, with values that onnxruntime 1.32 gave.

use crate::onnx::build::GraphBuilder;
use crate::onnx::proto::{AttributeProto, TensorProto};
use crate::onnx::{Dtype, attr, tensor_f32, tensor_i64};
use crate::runtime::{Session, faults};

fn floats(dims: &[i64], values: &[f32]) -> TensorProto {
    tensor_f32("", dims, values)
}

fn integers(dims: &[i64], values: &[i64]) -> TensorProto {
    tensor_i64("", dims, values)
}

/// An input that is left out.
fn none() -> TensorProto {
    TensorProto::default()
}

/// Demands that an operator of an opset, of inputs of which all but the first are constants, gives these values.
#[track_caller]
fn holds(
    (operator, opset): (&str, i64),
    inputs: &[TensorProto],
    attributes: &[AttributeProto],
    dims: &[usize],
    values: &[f32],
) {
    let mut graph = GraphBuilder::new(opset);
    let names: Vec<String> = inputs
        .iter()
        .enumerate()
        .map(|(at, input)| match (at, input.data_type) {
            (0, Some(dtype)) => graph.typed_input("x", Dtype::try_from(dtype).unwrap(), &input.dims),
            (_, None) => String::new(),
            (_, Some(_)) => graph.initializer(TensorProto { name: Some(format!("c{at}")), ..input.clone() }),
        })
        .collect();
    let y = graph.node(operator, &names.iter().map(String::as_str).collect::<Vec<_>>(), attributes);
    graph.output(&y);
    let model = graph.model();
    assert_eq!(faults(&model), []);
    let made = Session::new(&model, "float", &[]).unwrap().run(&inputs[..1]).unwrap().remove(0);
    assert_eq!(made.dims, dims);
    let largest =
        values.iter().filter(|value| value.is_finite()).fold(0.0_f32, |top, value| top.max(value.abs()));
    for (found, wanted) in made.values.iter().zip(values) {
        assert!(
            found == wanted || (found - wanted).abs() < 1e-5 * largest,
            "{:?} is not {values:?}",
            made.values
        );
    }
}

#[test]
fn recurrent_operators_with_all_that_they_can_be_asked_for() {
    holds(
        ("RNN", 14),
        &[
            floats(&[3, 1, 2], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[1, 2, 2], &[0.3, 0.84, 0.99, 0.68]),
            floats(&[1, 2, 2], &[0.3, 1.0, 0.24, -0.87]),
        ],
        &[
            attr::int("hidden_size", 2),
            attr::strings("activations", &["Relu"]),
            attr::string("direction", "reverse"),
        ],
        &[3, 1, 1, 2],
        &[1.93048, 0.196002, 0.3756, 0.9466, 0.0, 0.0],
    );
    holds(
        ("RNN", 14),
        &[
            floats(&[3, 1, 2], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[1, 2, 2], &[0.3, 0.84, 0.99, 0.68]),
            floats(&[1, 2, 2], &[0.3, 1.0, 0.24, -0.87]),
        ],
        &[
            attr::int("hidden_size", 2),
            attr::strings("activations", &["LeakyRelu"]),
            attr::floats("activation_alpha", &[0.3]),
            attr::float("clip", 0.4),
        ],
        &[3, 1, 1, 2],
        &[0.4, 0.4, 0.4, 0.4, -0.12, -0.12],
    );
    holds(
        ("GRU", 14),
        &[
            floats(&[3, 1, 2], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[1, 6, 2], &[0.3, 0.84, 0.99, 0.68, 0.04, -0.61, -0.98, -0.88, -0.37, 0.31, 0.85, 0.99]),
            floats(&[1, 6, 2], &[0.3, 1.0, 0.24, -0.87, -0.71, 0.49, 0.97, 0.02, -0.96, -0.54, 0.67, 0.89]),
            floats(&[1, 12], &[0.3, 0.99, 0.6, -0.44, -1.0, -0.46, 0.58, 0.99, 0.32, -0.7, -0.95, -0.17]),
        ],
        &[
            attr::int("hidden_size", 2),
            attr::strings("activations", &["Sigmoid", "Relu"]),
            attr::int("linear_before_reset", 1),
        ],
        &[3, 1, 1, 2],
        &[0.0, 0.0361591, 0.0, 0.0549411, 0.0, 0.035083],
    );
    holds(
        ("GRU", 14),
        &[
            floats(&[3, 1, 2], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[1, 6, 2], &[0.3, 0.84, 0.99, 0.68, 0.04, -0.61, -0.98, -0.88, -0.37, 0.31, 0.85, 0.99]),
            floats(&[1, 6, 2], &[0.3, 1.0, 0.24, -0.87, -0.71, 0.49, 0.97, 0.02, -0.96, -0.54, 0.67, 0.89]),
            none(),
            integers(&[1], &[2]),
        ],
        &[attr::int("hidden_size", 2), attr::strings("activations", &["HardSigmoid", "Softsign"])],
        &[3, 1, 1, 2],
        &[0.0490591, 0.169743, -0.065667, 0.275551, 0.0, 0.0],
    );
    holds(
        ("LSTM", 14),
        &[
            floats(&[3, 1, 2], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(
                &[1, 8, 2],
                &[
                    0.3, 0.84, 0.99, 0.68, 0.04, -0.61, -0.98, -0.88, -0.37, 0.31, 0.85, 0.99, 0.66, 0.02,
                    -0.63, -0.98,
                ],
            ),
            floats(
                &[1, 8, 2],
                &[
                    0.3, 1.0, 0.24, -0.87, -0.71, 0.49, 0.97, 0.02, -0.96, -0.54, 0.67, 0.89, -0.19, -1.0,
                    -0.34, 0.81,
                ],
            ),
            none(),
            none(),
            none(),
            none(),
            floats(&[1, 6], &[0.3, 0.64, 0.89, 1.0, 0.95, 0.75]),
        ],
        &[
            attr::int("hidden_size", 2),
            attr::strings("activations", &["Sigmoid", "Relu", "Tanh"]),
            attr::int("input_forget", 1),
        ],
        &[3, 1, 1, 2],
        &[0.0601045, 0.0, 0.21462, 0.0, 0.181843, 0.245639],
    );
    holds(
        ("LSTM", 14),
        &[
            floats(&[3, 1, 2], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(
                &[2, 8, 2],
                &[
                    0.3, 0.84, 0.99, 0.68, 0.04, -0.61, -0.98, -0.88, -0.37, 0.31, 0.85, 0.99, 0.66, 0.02,
                    -0.63, -0.98, -0.88, -0.36, 0.33, 0.86, 0.99, 0.65, 0.01, -0.64, -0.98, -0.87, -0.34,
                    0.34, 0.87, 0.98, 0.64, -0.01,
                ],
            ),
            floats(
                &[2, 8, 2],
                &[
                    0.3, 1.0, 0.24, -0.87, -0.71, 0.49, 0.97, 0.02, -0.96, -0.54, 0.67, 0.89, -0.19, -1.0,
                    -0.34, 0.81, 0.78, -0.4, -0.99, -0.13, 0.92, 0.62, -0.59, -0.94, 0.08, 0.98, 0.44, -0.75,
                    -0.84, 0.3, 1.0, 0.24,
                ],
            ),
        ],
        &[attr::int("hidden_size", 2), attr::string("direction", "bidirectional"), attr::float("clip", 0.5)],
        &[3, 2, 1, 2],
        &[
            0.0498281,
            -0.1057,
            0.122461,
            0.0912964,
            0.144652,
            -0.16443,
            0.0409414,
            0.0916814,
            0.0174444,
            -0.00107675,
            -0.1057,
            -0.0948222,
        ],
    );
}

#[test]
fn padding_in_every_mode() {
    holds(
        ("Pad", 18),
        &[floats(&[1, 4], &[0.3, 0.93, 0.86, 0.14]), integers(&[4], &[0, 2, 0, 3]), floats(&[], &[9.0])],
        &[attr::string("mode", "reflect")],
        &[1, 9],
        &[0.86, 0.93, 0.3, 0.93, 0.86, 0.14, 0.86, 0.93, 0.3],
    );
    holds(
        ("Pad", 18),
        &[floats(&[1, 4], &[0.3, 0.93, 0.86, 0.14]), integers(&[4], &[0, 1, 0, 2]), floats(&[], &[9.0])],
        &[attr::string("mode", "edge")],
        &[1, 7],
        &[0.3, 0.3, 0.93, 0.86, 0.14, 0.14, 0.14],
    );
    holds(
        ("Pad", 18),
        &[floats(&[1, 4], &[0.3, 0.93, 0.86, 0.14]), integers(&[4], &[0, -1, 0, 1]), floats(&[], &[9.0])],
        &[attr::string("mode", "constant")],
        &[1, 4],
        &[0.93, 0.86, 0.14, 9.0],
    );
    holds(
        ("Pad", 19),
        &[floats(&[1, 4], &[0.3, 0.93, 0.86, 0.14]), integers(&[4], &[0, 2, 0, 5])],
        &[attr::string("mode", "wrap")],
        &[1, 11],
        &[0.86, 0.14, 0.3, 0.93, 0.86, 0.14, 0.3, 0.93, 0.86, 0.14, 0.3],
    );
    holds(
        ("Pad", 10),
        &[floats(&[1, 4], &[0.3, 0.93, 0.86, 0.14])],
        &[attr::string("mode", "constant"), attr::ints("pads", &[0, 1, 0, 0]), attr::float("value", 2.0)],
        &[1, 5],
        &[2.0, 0.3, 0.93, 0.86, 0.14],
    );
}

#[test]
fn resizing_by_any_scale() {
    holds(
        ("Resize", 10),
        &[floats(&[1, 1, 1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]), floats(&[4], &[1.0, 1.0, 1.0, 1.5])],
        &[attr::string("mode", "nearest")],
        &[1, 1, 1, 7],
        &[1.0, 1.0, 2.0, 3.0, 3.0, 4.0, 5.0],
    );
    holds(
        ("Resize", 10),
        &[floats(&[1, 1, 1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]), floats(&[4], &[1.0, 1.0, 1.0, 0.6])],
        &[attr::string("mode", "nearest")],
        &[1, 1, 1, 3],
        &[1.0, 3.0, 5.0],
    );
    holds(
        ("Resize", 11),
        &[
            floats(&[1, 1, 1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]),
            floats(&[0], &[]),
            floats(&[4], &[1.0, 1.0, 1.0, 1.7]),
        ],
        &[
            attr::string("mode", "nearest"),
            attr::string("coordinate_transformation_mode", "half_pixel"),
            attr::string("nearest_mode", "round_prefer_floor"),
        ],
        &[1, 1, 1, 8],
        &[1.0, 1.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0],
    );
    holds(
        ("Resize", 11),
        &[
            floats(&[1, 1, 1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]),
            floats(&[0], &[]),
            floats(&[4], &[1.0, 1.0, 1.0, 1.7]),
        ],
        &[
            attr::string("mode", "nearest"),
            attr::string("coordinate_transformation_mode", "pytorch_half_pixel"),
            attr::string("nearest_mode", "round_prefer_floor"),
        ],
        &[1, 1, 1, 8],
        &[1.0, 1.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0],
    );
    holds(
        ("Resize", 11),
        &[
            floats(&[1, 1, 1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]),
            floats(&[0], &[]),
            floats(&[4], &[1.0, 1.0, 1.0, 1.7]),
        ],
        &[
            attr::string("mode", "nearest"),
            attr::string("coordinate_transformation_mode", "align_corners"),
            attr::string("nearest_mode", "round_prefer_floor"),
        ],
        &[1, 1, 1, 8],
        &[1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 5.0],
    );
    holds(
        ("Resize", 11),
        &[
            floats(&[1, 1, 1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]),
            floats(&[0], &[]),
            floats(&[4], &[1.0, 1.0, 1.0, 1.7]),
        ],
        &[
            attr::string("mode", "nearest"),
            attr::string("coordinate_transformation_mode", "asymmetric"),
            attr::string("nearest_mode", "round_prefer_floor"),
        ],
        &[1, 1, 1, 8],
        &[1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 5.0, 5.0],
    );
    holds(
        ("Resize", 13),
        &[floats(&[1, 1, 1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]), none(), none(), integers(&[4], &[1, 1, 1, 3])],
        &[attr::string("mode", "linear"), attr::string("coordinate_transformation_mode", "align_corners")],
        &[1, 1, 1, 3],
        &[1.0, 3.0, 5.0],
    );
    holds(
        ("Resize", 13),
        &[floats(&[1, 1, 1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]), none(), floats(&[4], &[1.0, 1.0, 1.0, 1.5])],
        &[attr::string("mode", "cubic"), attr::int("exclude_outside", 1)],
        &[1, 1, 1, 7],
        &[0.898649, 1.37143, 2.21296, 2.78704, 3.5, 4.24346, 4.88392],
    );
    holds(
        ("Resize", 18),
        &[floats(&[1, 1, 1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]), none(), floats(&[1], &[0.5])],
        &[attr::string("mode", "linear"), attr::int("antialias", 1), attr::ints("axes", &[3])],
        &[1, 1, 1, 2],
        &[1.625, 3.5],
    );
    holds(
        ("Resize", 13),
        &[
            floats(&[1, 1, 1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]),
            floats(&[8], &[0.0, 0.0, 0.0, 0.2, 1.0, 1.0, 1.0, 1.2]),
            floats(&[4], &[1.0, 1.0, 1.0, 1.2]),
        ],
        &[
            attr::string("mode", "linear"),
            attr::string("coordinate_transformation_mode", "tf_crop_and_resize"),
            attr::float("extrapolation_value", 7.0),
        ],
        &[1, 1, 1, 6],
        &[1.8, 2.6, 3.4, 4.2, 5.0, 7.0],
    );
}

#[test]
fn samples_of_grids() {
    holds(
        ("GridSample", 20),
        &[
            floats(&[1, 1, 2, 3], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[1, 1, 3, 2], &[-1.4, -0.6, 0.2, 0.9, 0.7, 1.3]),
        ],
        &[attr::string("mode", "linear"), attr::string("padding_mode", "zeros")],
        &[1, 1, 1, 3],
        &[0.0, -0.4698, -0.19],
    );
    holds(
        ("GridSample", 20),
        &[
            floats(&[1, 1, 2, 3], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[1, 1, 3, 2], &[-1.4, -0.6, 0.2, 0.9, 0.7, 1.3]),
        ],
        &[attr::string("mode", "linear"), attr::string("padding_mode", "border")],
        &[1, 1, 1, 3],
        &[0.3, -0.783, -1.0],
    );
    holds(
        ("GridSample", 20),
        &[
            floats(&[1, 1, 2, 3], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[1, 1, 3, 2], &[-1.4, -0.6, 0.2, 0.9, 0.7, 1.3]),
        ],
        &[attr::string("mode", "linear"), attr::string("padding_mode", "reflection")],
        &[1, 1, 1, 3],
        &[0.363, -0.783, -1.0],
    );
    holds(
        ("GridSample", 20),
        &[
            floats(&[1, 1, 2, 3], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[1, 1, 3, 2], &[-1.4, -0.6, 0.2, 0.9, 0.7, 1.3]),
        ],
        &[attr::string("mode", "nearest"), attr::string("padding_mode", "zeros")],
        &[1, 1, 1, 3],
        &[0.0, -0.69, 0.0],
    );
    holds(
        ("GridSample", 20),
        &[
            floats(&[1, 1, 2, 3], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[1, 1, 3, 2], &[-1.4, -0.6, 0.2, 0.9, 0.7, 1.3]),
        ],
        &[attr::string("mode", "nearest"), attr::string("padding_mode", "border")],
        &[1, 1, 1, 3],
        &[0.3, -0.69, -1.0],
    );
    holds(
        ("GridSample", 20),
        &[
            floats(&[1, 1, 2, 3], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[1, 1, 3, 2], &[-1.4, -0.6, 0.2, 0.9, 0.7, 1.3]),
        ],
        &[attr::string("mode", "nearest"), attr::string("padding_mode", "reflection")],
        &[1, 1, 1, 3],
        &[0.3, -0.69, -1.0],
    );
    holds(
        ("GridSample", 20),
        &[
            floats(&[1, 1, 2, 3], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[1, 1, 3, 2], &[-1.4, -0.6, 0.2, 0.9, 0.7, 1.3]),
        ],
        &[attr::string("mode", "cubic"), attr::string("padding_mode", "zeros")],
        &[1, 1, 1, 3],
        &[-0.017321, -0.769199, -0.214007],
    );
    holds(
        ("GridSample", 20),
        &[
            floats(&[1, 1, 2, 3], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[1, 1, 3, 2], &[-1.4, -0.6, 0.2, 0.9, 0.7, 1.3]),
        ],
        &[attr::string("mode", "cubic"), attr::string("padding_mode", "border")],
        &[1, 1, 1, 3],
        &[0.30972, -1.06757, -1.05533],
    );
    holds(
        ("GridSample", 20),
        &[
            floats(&[1, 1, 2, 3], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[1, 1, 3, 2], &[-1.4, -0.6, 0.2, 0.9, 0.7, 1.3]),
        ],
        &[attr::string("mode", "cubic"), attr::string("padding_mode", "reflection")],
        &[1, 1, 1, 3],
        &[0.370904, -1.20062, -1.23527],
    );
    holds(
        ("GridSample", 20),
        &[
            floats(&[1, 1, 2, 3], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[1, 1, 3, 2], &[-1.4, -0.6, 0.2, 0.9, 0.7, 1.3]),
        ],
        &[attr::string("mode", "linear"), attr::int("align_corners", 1)],
        &[1, 1, 1, 3],
        &[0.1608, -0.6686, -0.77095],
    );
}

#[test]
fn windows_that_round_up_and_outputs_of_given_shapes() {
    holds(
        ("LpPool", 18),
        &[floats(&[1, 1, 5], &[0.3, 0.93, 0.86, 0.14, -0.69])],
        &[
            attr::ints("kernel_shape", &[2]),
            attr::int("p", 3),
            attr::ints("strides", &[2]),
            attr::ints("pads", &[1, 0]),
        ],
        &[1, 1, 3],
        &[0.3, 1.12935, 0.691916],
    );
    holds(
        ("LpPool", 18),
        &[floats(&[1, 1, 5], &[0.3, 0.93, 0.86, 0.14, -0.69])],
        &[attr::ints("kernel_shape", &[2]), attr::ints("strides", &[2]), attr::int("ceil_mode", 1)],
        &[1, 1, 3],
        &[0.97719, 0.871321, 0.69],
    );
    holds(
        ("GlobalLpPool", 2),
        &[floats(&[1, 1, 5], &[0.3, 0.93, 0.86, 0.14, -0.69])],
        &[],
        &[1, 1, 1],
        &[1.47993],
    );
    holds(
        ("AveragePool", 19),
        &[floats(&[1, 1, 5], &[0.3, 0.93, 0.86, 0.14, -0.69])],
        &[
            attr::ints("kernel_shape", &[3]),
            attr::ints("strides", &[2]),
            attr::int("ceil_mode", 1),
            attr::ints("pads", &[0, 1]),
            attr::int("count_include_pad", 1),
        ],
        &[1, 1, 3],
        &[0.696667, 0.103333, -0.345],
    );
    holds(
        ("AveragePool", 19),
        &[floats(&[1, 1, 5], &[0.3, 0.93, 0.86, 0.14, -0.69])],
        &[
            attr::ints("kernel_shape", &[2]),
            attr::ints("strides", &[2]),
            attr::int("ceil_mode", 1),
            attr::string("auto_pad", "VALID"),
        ],
        &[1, 1, 3],
        &[0.615, 0.5, -0.69],
    );
    holds(
        ("MaxPool", 12),
        &[floats(&[1, 1, 5], &[0.3, 0.93, 0.86, 0.14, -0.69])],
        &[
            attr::ints("kernel_shape", &[2]),
            attr::ints("strides", &[2]),
            attr::int("ceil_mode", 1),
            attr::string("auto_pad", "VALID"),
        ],
        &[1, 1, 3],
        &[0.93, 0.86, -0.69],
    );
    holds(
        ("ConvTranspose", 11),
        &[
            floats(&[1, 2, 3], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[2, 1, 2], &[0.3, 0.72, 0.96, 0.97]),
        ],
        &[attr::ints("strides", &[2]), attr::ints("output_shape", &[5])],
        &[1, 1, 5],
        &[0.3518, -0.3834, 0.000299992, -0.702, -0.3508],
    );
    holds(
        ("ConvTranspose", 11),
        &[
            floats(&[1, 2, 3], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[2, 1, 2], &[0.3, 0.72, 0.96, 0.97]),
        ],
        &[attr::ints("strides", &[2]), attr::string("auto_pad", "SAME_UPPER"), attr::int("group", 2)],
        &[1, 2, 6],
        &[0.09, 0.216, 0.279, 0.6696, 0.258, 0.6192, 0.1344, 0.1358, -0.6624, -0.6693, -0.96, -0.97],
    );
    holds(
        ("ConvTranspose", 11),
        &[
            floats(&[1, 2, 3], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0]),
            floats(&[2, 1, 2], &[0.3, 0.72, 0.96, 0.97]),
        ],
        &[attr::ints("strides", &[3]), attr::string("auto_pad", "SAME_LOWER")],
        &[1, 1, 8],
        &[0.2244, 0.3518, 0.0, -0.3834, 0.000299992, 0.0, -0.702, -0.3508],
    );
}

#[test]
fn functions_of_elements_and_sums_that_do_not_overflow() {
    holds(
        ("Celu", 12),
        &[floats(&[5], &[-3.0, -0.5, 0.0, 0.5, 100.0])],
        &[attr::float("alpha", 0.3)],
        &[5],
        &[-0.299986, -0.243337, 0.0, 0.5, 100.0],
    );
    holds(
        ("Softplus", 1),
        &[floats(&[5], &[-100.0, -1.0, 0.0, 1.0, 100.0])],
        &[],
        &[5],
        &[3.78351e-44, 0.313262, 0.693147, 1.31326, 100.0],
    );
    holds(
        ("Mod", 13),
        &[integers(&[4], &[-7, 7, -7, 7]), integers(&[4], &[3, 3, -3, -3])],
        &[],
        &[4],
        &[2.0, 1.0, -1.0, -2.0],
    );
    holds(
        ("Mod", 13),
        &[floats(&[3], &[-7.5, 7.5, -7.5]), floats(&[3], &[2.0, -2.0, -2.0])],
        &[attr::int("fmod", 1)],
        &[3],
        &[-1.5, 1.5, -1.5],
    );
    holds(
        ("LogSoftmax", 13),
        &[floats(&[1, 3], &[1.0, 200.0, -300.0])],
        &[],
        &[1, 3],
        &[-199.0, 0.0, -500.0],
    );
    holds(
        ("LogSoftmax", 11),
        &[floats(&[2, 2, 2], &[0.3, 0.93, 0.86, 0.14, -0.69, -1.0, -0.55, 0.31])],
        &[attr::int("axis", 1)],
        &[2, 2, 2],
        &[-1.70118, -1.07118, -1.14118, -1.86118, -1.72312, -2.03312, -1.58312, -0.723124],
    );
    holds(
        ("ReduceLogSumExp", 18),
        &[floats(&[2, 2], &[500.0, 501.0, -3.0, 4.0]), integers(&[1], &[1])],
        &[],
        &[2, 1],
        &[501.313, 4.00091],
    );
    holds(
        ("ReduceMax", 18),
        &[floats(&[2, 2], &[f32::NEG_INFINITY, f32::NEG_INFINITY, 2.0, 3.0]), integers(&[1], &[1])],
        &[attr::int("keepdims", 0)],
        &[2],
        &[f32::NEG_INFINITY, 3.0],
    );
}
