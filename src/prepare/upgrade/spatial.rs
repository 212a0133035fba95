//! Convolution, pooling and resampling.

use super::Row;
use super::legacy::{scales_together, whole_norm};
use super::scope::{Scope, input, set_input};
use crate::onnx::proto::NodeProto;
use crate::onnx::{attr, attribute, set_attribute, string, without_attribute};

pub(super) const ROWS: &[Row] = &[
    // At 11 the description of ConvTranspose's automatic padding was corrected to what all
    // runtimes did before already.
    Row { operators: &["Conv", "ConvTranspose"], versions: &[1, 11, 22], changed: &[] },
    Row { operators: &["DeformConv"], versions: &[19, 22], changed: &[] },
    Row { operators: &["AveragePool"], versions: &[1, 7, 10, 11, 19, 22], changed: &[] },
    Row { operators: &["MaxPool"], versions: &[1, 8, 10, 11, 12, 22], changed: &[] },
    Row { operators: &["LpPool"], versions: &[1, 2, 11, 18, 22], changed: &[(2, whole_norm)] },
    Row {
        operators: &["GlobalAveragePool", "GlobalMaxPool", "MaxRoiPool"],
        versions: &[1, 22],
        changed: &[],
    },
    Row { operators: &["GlobalLpPool"], versions: &[1, 2, 22], changed: &[(2, whole_norm)] },
    Row { operators: &["MaxUnpool"], versions: &[9, 11, 22], changed: &[] },
    Row {
        operators: &["Upsample"],
        versions: &[1, 7, 9, 10],
        changed: &[(7, scales_together), (9, scales_to_input), (10, upsample_to_resize)],
    },
    Row {
        operators: &["Resize"],
        versions: &[10, 11, 13, 18, 19],
        changed: &[(11, resize_coordinates), (13, resize_optional_inputs)],
    },
    Row { operators: &["RoiAlign"], versions: &[10, 16, 22], changed: &[(16, roi_align_mode)] },
    Row { operators: &["GridSample"], versions: &[16, 20, 22], changed: &[(20, grid_sample_mode)] },
    Row { operators: &["AffineGrid"], versions: &[20], changed: &[] },
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
        Some("tf_half_pixel_for_nn") => half_pixel(&mut node)?,
        Some("tf_crop_and_resize") => {}
        _ if node.input.len() > 1 => node.input[1].clear(),
        _ => {}
    }
    if input(&node, 3).is_some() {
        set_input(&mut node, 2, String::new());
    }
    Some(vec![node])
}

/// `tf_half_pixel_for_nn` is gone from the standard. It lay half a pixel further than `half_pixel`, so that the
/// nearest pixel is the same where half a pixel less turns one way of rounding into another:
/// `floor(v) = round_prefer_ceil(v - 0.5)` and `round_prefer_floor(v) = ceil(v - 0.5)`.
fn half_pixel(node: &mut NodeProto) -> Option<()> {
    if string(node, "mode").unwrap_or("nearest") != "nearest" {
        return None;
    }
    let rounding = match string(node, "nearest_mode").unwrap_or("round_prefer_floor") {
        "floor" => "round_prefer_ceil",
        "round_prefer_floor" => "ceil",
        _ => return None,
    };
    set_attribute(node, attr::string("nearest_mode", rounding));
    set_attribute(node, attr::string("coordinate_transformation_mode", "half_pixel"));
    node.input.get_mut(1)?.clear();
    Some(())
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
