//! Layers, pooling and resampling.

use fourbit::onnx::{attr, tensor_f32};

use super::cases::{Cases, floats, integers, left_out};

/// One number for each place of three channels of two.
const PLACES: [f32; 6] = [0.5, 1.5, 2.0, 0.25, 1.0, 3.0];

pub(super) fn layers(cases: &mut Cases) {
    for opset in [7, 9] {
        cases.one(
            "MatMul",
            opset,
            &[2, 3],
            &[tensor_f32("w", &[3, 2], &[1.0, -2.0, 0.5, 3.0, 0.1, -0.7])],
            &[],
        );
        let gemm = [tensor_f32("w", &[2, 3], &[1.0, -2.0, 0.5, 3.0, 0.1, -0.7]), floats("c", &[1.0, 2.0])];
        cases.one(
            "Gemm",
            opset,
            &[2, 3],
            &gemm,
            &[attr::int("transB", 1), attr::float("alpha", 0.5), attr::float("beta", 2.0)],
        );
    }
    let kernel = |name: &str, dims: &[i64]| {
        let count = dims.iter().product::<i64>();
        tensor_f32(name, dims, &(0..count).map(|at| (at as f32 * 0.7).sin()).collect::<Vec<f32>>())
    };
    let stride = attr::ints("strides", &[2, 2]);
    let same = |mode: &str| attr::string("auto_pad", mode);
    for mode in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
        cases.one(
            "Conv",
            7,
            &[1, 2, 7, 8],
            &[kernel("w", &[4, 1, 3, 3])],
            &[same(mode), attr::int("group", 2)],
        );
        cases.one(
            "ConvTranspose",
            7,
            &[1, 2, 7, 8],
            &[kernel("w", &[2, 3, 3, 3])],
            &[same(mode), stride.clone()],
        );
    }
    let sized = attr::ints("output_shape", &[14, 15]);
    cases.one("ConvTranspose", 7, &[1, 2, 7, 8], &[kernel("w", &[2, 3, 3, 3])], &[sized, stride.clone()]);
    let pool = [attr::ints("kernel_shape", &[3, 3]), stride.clone()];
    for (operator, opset) in
        [("MaxPool", 7), ("MaxPool", 8), ("AveragePool", 7), ("LpPool", 7), ("LpPool", 11)]
    {
        for mode in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
            cases.one(operator, opset, &[1, 2, 7, 8], &[], &[&pool[..], &[same(mode)]].concat());
        }
        cases.one(
            operator,
            opset,
            &[1, 2, 7, 8],
            &[],
            &[&pool[..], &[attr::ints("pads", &[1, 0, 1, 1])]].concat(),
        );
    }
    let ceil = [&pool[..], &[attr::ints("pads", &[1, 1, 1, 1]), attr::int("ceil_mode", 1)]].concat();
    for opset in [10, 11] {
        cases.one("MaxPool", opset, &[1, 2, 8, 10], &[], &ceil);
        cases.one("AveragePool", opset, &[1, 2, 8, 10], &[], &ceil);
        cases.one(
            "AveragePool",
            opset,
            &[1, 2, 8, 10],
            &[],
            &[&ceil[..], &[attr::int("count_include_pad", 1)]].concat(),
        );
    }
    let parameters = ["scale", "bias", "mean", "var"].map(|name| floats(name, &[0.5, 1.5, 2.0]));
    cases.one("BatchNormalization", 7, &[2, 3, 4], &parameters, &[attr::int("spatial", 1)]);
    let places = ["scale", "bias", "mean", "var"].map(|name| tensor_f32(name, &[3, 2], &PLACES));
    cases.one("BatchNormalization", 7, &[2, 3, 2], &places, &[attr::int("spatial", 0)]);
    cases.one("BatchNormalization", 9, &[2, 3, 4], &parameters, &[attr::float("momentum", 0.8)]);
    cases.one("BatchNormalization", 14, &[2, 3, 4], &parameters, &[]);
    cases.one("InstanceNormalization", 7, &[2, 3, 4], &parameters[..2], &[]);
    cases.one("LayerNormalization", 17, &[2, 3], &parameters[..2], &[]);
    let groups = [floats("scale", &[0.5, 1.5]), floats("bias", &[2.0, -1.0])];
    cases.one("GroupNormalization", 18, &[2, 6, 3], &groups, &[attr::int("num_groups", 2)]);
    cases.one("LRN", 7, &[1, 5, 2, 2], &[], &[attr::int("size", 3)]);
    for operator in ["LSTM", "GRU", "RNN"] {
        let gates = match operator {
            "LSTM" => 4,
            "GRU" => 3,
            _ => 1,
        };
        let rest = [kernel("w", &[1, gates * 2, 3]), kernel("r", &[1, gates * 2, 2])];
        cases.one(operator, 7, &[4, 1, 3], &rest, &[attr::int("hidden_size", 2)]);
    }
}

pub(super) fn resampling(cases: &mut Cases) {
    let mode = |mode: &str| attr::string("mode", mode);
    for kind in ["nearest", "linear"] {
        cases.one(
            "Upsample",
            7,
            &[1, 2, 3, 4],
            &[],
            &[mode(kind), attr::floats("scales", &[1.0, 1.0, 2.0, 2.5])],
        );
        cases.one("Upsample", 9, &[1, 2, 3, 4], &[floats("s", &[1.0, 1.0, 2.0, 2.5])], &[mode(kind)]);
        for (at, scales) in [[2.0, 3.0], [0.5, 1.0], [0.6, 0.6], [0.3, 0.7]].into_iter().enumerate() {
            let scales = floats(&format!("s{at}"), &[1.0, 1.0, scales[0], scales[1]]);
            cases.one("Resize", 10, &[1, 2, 5, 6], &[scales], &[mode(kind)]);
        }
        cases.add(&format!("Upsample {kind} computed scales"), 9, move |graph| {
            let x = graph.input("x", &[1, 2, 3, 4]);
            let half = graph.initializer(floats("half", &[0.5, 0.5, 1.0, 1.0]));
            let scales = graph.node("Add", &[&half, &half], &[]);
            vec![graph.node("Upsample", &[&x, &scales], &[mode(kind)])]
        });
    }
    cases.one("Resize", 10, &[1, 2, 5, 6], &[floats("s", &[1.0, 1.0, 0.6, 1.7])], &[mode("linear")]);
    let coordinates = |name: &str| attr::string("coordinate_transformation_mode", name);
    for (kind, how) in
        [("nearest", "half_pixel"), ("linear", "align_corners"), ("cubic", "pytorch_half_pixel")]
    {
        let scales = [floats("roi", &[]), floats("s", &[1.0, 1.0, 1.5, 2.0])];
        cases.one("Resize", 11, &[1, 2, 5, 6], &scales, &[mode(kind), coordinates(how)]);
        let sizes = [floats("roi", &[]), floats("s", &[]), integers("size", &[1, 2, 7, 3])];
        cases.one("Resize", 11, &[1, 2, 5, 6], &sizes, &[mode(kind), coordinates(how)]);
        let sizes = [left_out(), left_out(), integers("size", &[1, 2, 7, 3])];
        cases.one("Resize", 13, &[1, 2, 5, 6], &sizes, &[mode(kind), coordinates(how)]);
    }
    for rounding in [None, Some("floor"), Some("round_prefer_floor")] {
        let rounding: Vec<_> = rounding.iter().map(|how| attr::string("nearest_mode", how)).collect();
        let how = [&[mode("nearest"), coordinates("tf_half_pixel_for_nn")], &rounding[..]].concat();
        for (at, scales) in [[2.0, 3.0], [1.6, 0.6], [0.3, 0.5]].into_iter().enumerate() {
            let scales = floats(&format!("s{at}"), &[1.0, 1.0, scales[0], scales[1]]);
            cases.one("Resize", 11, &[1, 2, 5, 6], &[floats("roi", &[]), scales], &how);
        }
        let sizes = [floats("roi", &[]), floats("s", &[]), integers("size", &[1, 2, 7, 3])];
        cases.one("Resize", 11, &[1, 2, 5, 6], &sizes, &how);
    }
    let crop = [floats("roi", &[0.0, 0.0, 0.2, 0.1, 1.0, 1.0, 0.8, 0.9]), floats("s", &[1.0, 1.0, 0.5, 2.0])];
    cases.one("Resize", 11, &[1, 2, 5, 6], &crop, &[mode("linear"), coordinates("tf_crop_and_resize")]);
    let regions = [tensor_f32("rois", &[1, 4], &[0.5, 0.5, 4.0, 3.5]), integers("batch", &[0])];
    cases.one(
        "RoiAlign",
        10,
        &[1, 2, 6, 6],
        &regions,
        &[attr::int("output_height", 2), attr::int("output_width", 2)],
    );
    let grid = [tensor_f32("grid", &[1, 2, 2, 2], &[-0.9, 0.2, 0.4, 0.6, 1.2, -0.3, 0.0, 0.1])];
    cases.one("GridSample", 16, &[1, 2, 4, 5], &grid, &[]);
    for kind in ["bilinear", "bicubic", "nearest"] {
        cases.one("GridSample", 16, &[1, 2, 4, 5], &grid, &[mode(kind)]);
    }
}
