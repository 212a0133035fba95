use super::*;

fn output(name: &str, dims: &[usize], values: Vec<f32>) -> Output {
    assert_eq!(dims.iter().product::<usize>(), values.len());
    Output { name: name.into(), dims: dims.to_vec(), values }
}

/// Scores and boxes of 20 places, of which those given hold a face.
fn faces(found: &[(usize, f32, [f32; 4])]) -> [Output; 2] {
    let (mut scores, mut boxes) = (Vec::new(), Vec::new());
    for place in 0..20 {
        let here = found.iter().find(|(at, ..)| *at == place);
        let (score, corners) =
            here.map_or((0.01, [0.0, 0.0, 0.1, 0.1]), |&(_, score, corners)| (score, corners));
        scores.extend([1.0 - score, score]);
        boxes.extend(corners);
    }
    [output("scores", &[1, 20, 2], scores), output("boxes", &[1, 20, 4], boxes)]
}

#[test]
fn boxes_of_two_outputs_are_matched_and_the_background_is_none() {
    let float = faces(&[
        (2, 0.9, [0.1, 0.1, 0.3, 0.3]),
        (3, 0.8, [0.1, 0.1, 0.31, 0.3]),
        (9, 0.7, [0.6, 0.6, 0.8, 0.9]),
    ]);
    // The neighbour of a surer box goes; one box moved out of its place; one is lost.
    let moved = faces(&[(3, 0.9, [0.1, 0.1, 0.31, 0.3]), (12, 0.6, [0.0, 0.6, 0.2, 0.9])]);
    let mut matches = Matches::default();
    let same = matches.add(&float, &float).unwrap();
    assert_eq!((same.float, same.quantized, same.matched), (2, 2, 2));
    let found = matches.add(&float, &moved).unwrap();
    assert_eq!((found.float, found.quantized, found.matched), (2, 2, 1));
    let whole = matches.whole().unwrap();
    assert_eq!((whole.float, whole.quantized, whole.matched, whole.f1), (4, 4, 3, Some(0.75)));
    assert!(whole.mean_iou.is_some_and(|iou| iou > 0.98 && iou < 1.0), "{whole:?}");
    assert_eq!(whole.form, "boxes of boxes, scores of scores");
}

/// A grid of 24 places as YOLOv8 gives it: centre, size, two classes, by columns.
fn grid(found: &[(usize, usize, f32)]) -> Output {
    let mut values = vec![0.0; 6 * 24];
    for place in 0..24 {
        let (x, y) = (place % 6 * 20, place / 6 * 20);
        [x as f32, y as f32, 15.0, 15.0]
            .iter()
            .enumerate()
            .for_each(|(at, it)| values[at * 24 + place] = *it);
    }
    for &(place, class, score) in found {
        values[(4 + class) * 24 + place] = score;
    }
    output("output0", &[1, 6, 24], values)
}

#[test]
fn a_grid_by_columns_is_one_form() {
    let mut matches = Matches::default();
    let (float, other) = ([grid(&[(3, 0, 0.9), (10, 1, 0.5)])], [grid(&[(3, 0, 0.8), (10, 0, 0.5)])]);
    let found = matches.add(&float, &other).unwrap();
    // The same place with another class is another box.
    assert_eq!((found.float, found.quantized, found.matched), (2, 2, 1));
    assert!(matches.whole().unwrap().form.contains("by columns"));
}

#[test]
fn rows_with_a_chance_of_an_object_are_another() {
    let mut values = Vec::new();
    for place in 0..20 {
        let score = if place == 4 { 0.9 } else { 0.01 };
        values.extend([place as f32 * 30.0, 50.0, 20.0, 20.0, score, 0.2, 0.7]);
    }
    let float = [output("y", &[1, 20, 7], values)];
    let mut matches = Matches::default();
    let found = matches.add(&float, &float).unwrap();
    assert_eq!((found.float, found.matched), (1, 1));
}

#[test]
fn reduced_boxes_are_taken_as_they_are() {
    let rows = vec![
        10.0, 10.0, 50.0, 60.0, 0.9, 2.0, 11.0, 10.0, 50.0, 60.0, 0.8, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
    ];
    let float = [output("y", &[1, 3, 6], rows)];
    let mut matches = Matches::default();
    assert_eq!(matches.add(&float, &float).unwrap().float, 2);

    let listed = [
        output("num", &[1], vec![2.0]),
        output("detection_boxes", &[1, 2, 4], vec![0.1, 0.1, 0.4, 0.4, 0.5, 0.5, 0.9, 0.9]),
        output("detection_scores", &[1, 2], vec![0.9, 0.3]),
        output("detection_classes", &[1, 2], vec![1.0, 7.0]),
    ];
    let mut matches = Matches::default();
    assert_eq!(matches.add(&listed, &listed).unwrap().matched, 2);
}

#[test]
fn other_outputs_are_no_boxes() {
    let logits = |name: &str, dims: &[usize]| {
        let count = dims.iter().product::<usize>();
        output(name, dims, (0..count).map(|at| (at % 7) as f32 - 3.0).collect())
    };
    let shares = output("softmax", &[1, 6], vec![0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    for outputs in [
        vec![logits("scores", &[1, 10])],
        vec![logits("logits", &[1, 20, 30])],
        vec![logits("logits", &[1, 20, 6])],
        vec![shares],
        vec![logits("a", &[1, 20, 4]), logits("b", &[1, 20, 3])],
        vec![],
    ] {
        let mut matches = Matches::default();
        assert_eq!(matches.add(&outputs, &outputs), None, "{outputs:?}");
        assert_eq!(matches.whole(), None);
    }
}

#[test]
fn offsets_from_anchors_and_nan_are_no_boxes() {
    let [scores, mut boxes] = faces(&[(2, 0.9, [0.1, -0.2, 0.0, -0.3])]);
    let mut matches = Matches::default();
    assert_eq!(matches.add(&[scores, boxes.clone()], &[]), None);
    // Of the quantized model they are lost.
    let float = faces(&[(2, 0.9, [0.1, 0.1, 0.3, 0.3])]);
    boxes.values.fill(f32::NAN);
    let mut matches = Matches::default();
    let found = matches.add(&float, &[float[0].clone(), boxes]).unwrap();
    assert_eq!((found.float, found.matched), (1, 0));
}
