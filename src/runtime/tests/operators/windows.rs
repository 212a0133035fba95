use super::{floats, holds};
use crate::onnx::attr;

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
