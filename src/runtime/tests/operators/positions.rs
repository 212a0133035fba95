use super::{floats, holds, integers, none};
use crate::onnx::attr;

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
