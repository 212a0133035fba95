use super::{floats, holds, integers};
use crate::onnx::{Dtype, attr, tensor};

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
        &[3.78351e-44, 0.313262, std::f32::consts::LN_2, 1.31326, 100.0],
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

#[test]
fn codes_are_rounded_to_even_saturate_and_have_scales_along_an_axis() {
    let codes = |dtype: Dtype, dims: &[i64], codes: &[u8]| tensor("", dtype, dims, codes.to_vec());
    holds(
        ("QuantizeLinear", 13),
        &[
            floats(&[7], &[-1000.0, -0.05, 0.05, 0.15, 0.25, 0.35, 1000.0]),
            floats(&[], &[0.1]),
            codes(Dtype::Uint8, &[], &[3]),
        ],
        &[],
        &[7],
        &[0.0, 3.0, 3.0, 5.0, 5.0, 7.0, 255.0],
    );
    holds(
        ("QuantizeLinear", 13),
        &[
            floats(&[2, 2], &[0.5, 1.5, -3.0, 301.0]),
            floats(&[2], &[1.0, 2.0]),
            codes(Dtype::Int8, &[2], &[0, 255]),
        ],
        &[attr::int("axis", 0)],
        &[2, 2],
        &[0.0, 2.0, -3.0, 127.0],
    );
    holds(
        ("DequantizeLinear", 13),
        &[
            codes(Dtype::Uint8, &[2, 2], &[0, 255, 7, 8]),
            floats(&[2], &[0.1, 3.0]),
            codes(Dtype::Uint8, &[2], &[1, 128]),
        ],
        &[attr::int("axis", 1)],
        &[2, 2],
        &[-0.1, 381.0, 0.6, -360.0],
    );
}
