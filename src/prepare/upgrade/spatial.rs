//! Convolution, pooling and resampling.

use super::scope::{Scope, input, set_input};
use super::table::{Row, Step::Convert, Step::Refused, Step::Widened};
use crate::onnx::proto::NodeProto;
use crate::onnx::{attr, attribute, set_attribute, string, without_attribute};

pub(super) const ROWS: &[Row] = &[
    // At 11 the description of ConvTranspose's automatic padding was corrected to what all
    // runtimes did before already.
    Row { operators: &["Conv", "ConvTranspose"], since: 1, steps: &[(11, Widened)] },
    Row { operators: &["DeformConv"], since: 19, steps: &[] },
    Row {
        operators: &["AveragePool"],
        since: 1,
        steps: &[(7, Widened), (10, Widened), (11, Widened), (19, Widened)],
    },
    Row {
        operators: &["MaxPool"],
        since: 1,
        steps: &[(8, Widened), (10, Widened), (11, Widened), (12, Widened)],
    },
    Row { operators: &["LpPool"], since: 2, steps: &[(11, Widened), (18, Widened)] },
    Row { operators: &["GlobalAveragePool", "GlobalMaxPool", "MaxRoiPool"], since: 1, steps: &[] },
    Row { operators: &["GlobalLpPool"], since: 2, steps: &[] },
    Row { operators: &["MaxUnpool"], since: 9, steps: &[(11, Widened)] },
    Row {
        operators: &["Upsample"],
        since: 1,
        steps: &[(7, Refused), (9, Convert(scales_to_input)), (10, Convert(upsample_to_resize))],
    },
    Row {
        operators: &["Resize"],
        since: 10,
        steps: &[
            (11, Convert(resize_coordinates)),
            (13, Convert(resize_optional_inputs)),
            (18, Widened),
            (19, Widened),
        ],
    },
    Row { operators: &["RoiAlign"], since: 10, steps: &[(16, Convert(roi_align_mode))] },
    Row { operators: &["GridSample"], since: 16, steps: &[(20, Convert(grid_sample_mode))] },
    Row { operators: &["AffineGrid"], since: 20, steps: &[] },
];

fn scales_to_input(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let scales = without_attribute(&mut node, "scales")?.floats;
    let scales = scope.floats(&node, "scales", &scales);
    set_input(&mut node, 1, scales);
    Some(vec![node])
}

/// An Upsample's scales are at least 1 by definition, and enlarging took the pixel at or before.
fn upsample_to_resize(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let shrinks = |scales: Vec<f32>| scales.iter().any(|&scale| scale < 1.0);
    if scope.facts.floats(input(&node, 1)?).is_some_and(shrinks) {
        return None;
    }
    node.op_type = Some("Resize".into());
    set_attribute(&mut node, attr::string("nearest_mode", "floor"));
    Some(vec![node])
}

/// Resize 10 knew no modes of coordinates: it divided by the scale, and for the nearest pixel
/// rounded down when enlarging and up when shrinking. Both at once, or scales that are not
/// known here, have no such mode.
fn resize_coordinates(mut node: NodeProto, scope: &mut Scope) -> Option<Vec<NodeProto>> {
    let scales = input(&node, 1)?.to_owned();
    let known = attribute(&node, "nearest_mode").is_some();
    match string(&node, "mode").unwrap_or("nearest") {
        "nearest" if !known => {
            let values = scope.facts.floats(&scales)?;
            let mode = match () {
                () if values.iter().all(|&scale| scale >= 1.0) => "floor",
                () if values.iter().all(|&scale| scale <= 1.0) => "ceil",
                () => return None,
            };
            set_attribute(&mut node, attr::string("nearest_mode", mode));
        }
        "nearest" => {}
        "linear" => drop(without_attribute(&mut node, "nearest_mode")),
        _ => return None,
    }
    set_attribute(&mut node, attr::string("coordinate_transformation_mode", "asymmetric"));
    let roi = scope.floats(&node, "roi", &[]);
    set_input(&mut node, 1, roi);
    set_input(&mut node, 2, scales);
    Some(vec![node])
}

/// From 13 on an input that is not used is left out instead of empty.
fn resize_optional_inputs(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    match string(&node, "coordinate_transformation_mode") {
        // Gone from the standard, with nothing in its place.
        Some("tf_half_pixel_for_nn") => return None,
        Some("tf_crop_and_resize") => {}
        _ if node.input.len() > 1 => node.input[1].clear(),
        _ => {}
    }
    if input(&node, 3).is_some() {
        set_input(&mut node, 2, String::new());
    }
    Some(vec![node])
}

/// The default became `half_pixel`.
fn roi_align_mode(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    set_attribute(&mut node, attr::string("coordinate_transformation_mode", "output_half_pixel"));
    Some(vec![node])
}

fn grid_sample_mode(mut node: NodeProto, _: &mut Scope) -> Option<Vec<NodeProto>> {
    let mode = match string(&node, "mode").unwrap_or("bilinear") {
        "bilinear" => "linear",
        "bicubic" => "cubic",
        "nearest" => "nearest",
        _ => return None,
    };
    set_attribute(&mut node, attr::string("mode", mode));
    Some(vec![node])
}
