//! Forms on the way, and the options that they come to.

use super::*;
use crate::options::{CodeType, Precision, Storage};

fn form(tensor: &str, words: &str, weights: Option<Option<CodeType>>) -> Alternative {
    let rule = weights.map(|weights| LayerRule {
        matching: tensor.into(),
        weights: Some(weights),
        ..LayerRule::default()
    });
    Alternative { tensor: tensor.into(), words: words.into(), stored: 0.0, rules: rule.into_iter().collect() }
}

fn rungs(of: &[(f64, f64)]) -> Vec<Rung> {
    of.iter().map(|&(bytes, noise)| Rung { bytes, noise, macs: 0 }).collect()
}

#[test]
fn tensors_start_at_their_coarsest_form_and_rise() {
    let narrow = |bits| Some(Some(CodeType::Int8.with_bits(bits)));
    let low = vec![
        form("low", "int2", narrow(2)),
        form("low", "int3", narrow(3)),
        form("low", "int4", None),
        form("low", "float", Some(None)),
    ];
    let edge = vec![form("edge", "int8", None), form("edge", "float", Some(None))];
    let ladders =
        vec![rungs(&[(2.0, 16.0), (3.0, 4.0), (4.0, 1.0), (32.0, 0.0)]), rungs(&[(8.0, 0.1), (32.0, 0.0)])];
    let way = Way { alternatives: vec![low, edge], steps: steps(&ladders), ladders };
    let asked = Options { layers: vec![LayerRule::default()], ..Options::new(Precision::W4) };
    let taken = |count| {
        let options = way.options(&asked, count);
        let (own, lifted) = options.layers.split_last().expect("the rule of the person");
        assert_eq!(own, &LayerRule::default());
        let weights = |rule: &LayerRule| rule.weights.flatten().map_or("float", CodeType::name);
        lifted.iter().map(|rule| format!("{} {}", rule.matching, weights(rule))).collect::<Vec<String>>()
    };
    assert_eq!(taken(0), ["low int2"]);
    assert_eq!(taken(1), ["low int3"]);
    assert!(taken(2).is_empty(), "as asked for");
    assert_eq!(taken(3), ["low float"]);
    assert_eq!(taken(4), ["low float", "edge float"]);
    assert_eq!(way.in_the_way(0)[0].0, "low as int2");
}

#[test]
fn storage_that_gains_nothing_by_other_widths_is_not_offered_them() {
    for name in ["w4", "w4a8", "w8"] {
        for storage in [Storage::Packed, Storage::Int8] {
            let options = Options { storage, ..Options::new(name.parse().expect("a precision")) };
            assert!(coarser(&options).is_empty(), "{name}");
            assert_eq!(alternatives::finer(&options), [CodeType::Int8], "{name}");
        }
    }
}
