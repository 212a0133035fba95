//! What is different for single layers: a TOML file of rules.

use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::{CodeType, Granularity, Spelling};
use crate::error::{Error, Result};

/// What is different for the layers whose weights or nodes match; what is `None` is as for all others.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRule {
    /// A glob over tensor and node names.
    #[serde(rename = "match")]
    pub matching: String,
    /// Type of the codes of the weights; `Some(None)` leaves them float.
    #[serde(default, deserialize_with = "code_type")]
    pub weights: Option<Option<CodeType>>,
    /// Type of the codes of the activation that the layer reads; `Some(None)` leaves it float.
    #[serde(default, deserialize_with = "code_type")]
    pub activations: Option<Option<CodeType>>,
    /// How many weights share a scale.
    #[serde(default, deserialize_with = "parsed")]
    pub granularity: Option<Granularity>,
    /// Whether the weights are the sum of two tensors.
    pub dual: Option<bool>,
    /// How these are written.
    pub spelling: Option<Spelling>,
    /// Whether the activation that the layer reads is rounded once, or what that leaves once more: 1 or 2.
    pub activation_terms: Option<usize>,
    /// Whether 8-bit weights use all codes, also where kernels of the target may saturate.
    pub full_range: Option<bool>,
    /// What a budget finds that has the weights so; `None` where a person says it.
    #[serde(skip)]
    pub weights_why: Option<Lift>,
    /// What a budget finds that has the activation so; `None` where a person says it.
    #[serde(skip)]
    pub activations_why: Option<Lift>,
}

/// Why a budget gives a tensor a form that was not asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Lift {
    /// The form whose noise says so, in words: the one asked for where the tensor gets a finer one, and its own where it gets a
    /// coarser one.
    pub from: Box<str>,
    /// The noise that this form alone brings: as a share of the outputs' energy, or of all noise, as the cause has it.
    pub noise: f64,
    /// What the form is for.
    pub cause: Cause,
}

/// What a tensor gets a form for that was not asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause {
    /// A budget is kept so.
    Limit,
    /// It brings much of the noise, and wider codes add few bytes.
    Share {
        /// Bytes that they add, as a share of the file.
        bytes: f64,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    #[serde(default)]
    layer: Vec<LayerRule>,
}

impl LayerRule {
    /// Reads the `[[layer]]` tables of a file.
    ///
    /// # Errors
    /// [`Error::Read`] where it cannot be opened, [`Error::Options`] naming the line whose key or value makes no sense.
    pub fn read(path: &Path) -> Result<Vec<Self>> {
        let text = crate::files::text(path)?;
        let wrong = |place: String, problem: &str| {
            let remedy = "a [[layer]] has the keys match, weights, activations, granularity, dual, spelling, activation_terms, full_range";
            Error::options(format!("{}: {place}: {}", path.display(), problem.replace('\n', " ")), remedy)
        };
        let rules: Rules = toml::from_str(&text).map_err(|error| {
            let line = |start: usize| 1 + text.bytes().take(start).filter(|&byte| byte == b'\n').count();
            let place =
                error.span().map_or_else(|| "file".into(), |span| format!("line {}", line(span.start)));
            wrong(place, error.message())
        })?;
        for rule in &rules.layer {
            if rule.weights == Some(Some(CodeType::Int16)) {
                return Err(wrong(format!("layer {:?}", rule.matching), "int16 is a type for activations"));
            }
            if let Some(Err(error)) = rule.activations.flatten().map(CodeType::check_activation) {
                return Err(wrong(format!("layer {:?}", rule.matching), &error.to_string()));
            }
            if rule.spelling == Some(Spelling::MatMulNBits) {
                let problem =
                    "spelling \"matmul-nbits\" is asked for with `.matmul_nbits`, for all layers that fit it";
                return Err(wrong(format!("layer {:?}", rule.matching), problem));
            }
            if let Some(terms) = rule.activation_terms.filter(|terms| !matches!(terms, 1 | 2)) {
                return Err(wrong(
                    format!("layer {:?}", rule.matching),
                    &format!("activation_terms {terms}, 1 or 2 are possible"),
                ));
            }
        }
        Ok(rules.layer)
    }
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err = Error>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map(Some).map_err(serde::de::Error::custom)
}

fn code_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<CodeType>>, D::Error> {
    let name = String::deserialize(deserializer)?;
    match name.as_str() {
        name if name.eq_ignore_ascii_case("float") => Ok(Some(None)),
        name => name.parse().map(|code_type| Some(Some(code_type))).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<LayerRule>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layers.toml");
        std::fs::write(&path, text).unwrap();
        LayerRule::read(&path)
    }

    #[test]
    fn rules_are_read() {
        let rules = read(
            "[[layer]]\nmatch = 'fc*'\nweights = 'int8'\nactivations = 'float'\ngranularity = 'block:32'\n\
             [[layer]]\nmatch = 'conv1'\ndual = true\nspelling = 'branches'\nactivation_terms = 2\nfull_range = true\n",
        )
        .unwrap();
        assert_eq!(rules[0].weights, Some(Some(CodeType::Int8)));
        assert_eq!(rules[0].activations, Some(None));
        assert_eq!((rules[0].granularity, rules[0].dual), (Some(Granularity::Block(32)), None));
        assert_eq!((rules[1].weights, rules[1].dual), (None, Some(true)));
        assert_eq!((rules[1].spelling, rules[1].activation_terms), (Some(Spelling::Branches), Some(2)));
        assert_eq!((rules[0].full_range, rules[1].full_range), (None, Some(true)));
        let narrow = read("[[layer]]\nmatch = 'a'\nweights = 'uint3'\n").unwrap();
        assert_eq!(narrow[0].weights, Some(Some(CodeType::Uint3)));
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, words) in [
            ("[[layer]]\nmatch = 'a'\nbits = 4\n", ["line 3", "bits"]),
            ("[[layer]]\nweights = 'int4'\n", ["line 1", "match"]),
            ("[[layer]]\nmatch = 'a'\nweights = 'int7'\n", ["line 3", "int7"]),
            ("[[layer]]\nmatch = 'a'\nactivations = 'int5'\n", ["layer \"a\"", "uint8, int8"]),
            ("[[layer]]\nmatch = 'a'\ngranularity = 'block:0'\n", ["line 3", "block:0"]),
            ("[[layer]]\nmatch = 'a'\ndual = 'yes'\n", ["line 3", "boolean"]),
            ("[[layer]]\nmatch = 'a'\nspelling = 'two'\n", ["line 3", "two"]),
            ("[[layer]]\nmatch = 'a'\nspelling = 'matmul-nbits'\n", ["layer \"a\"", "`.matmul_nbits`"]),
            ("[[layer]]\nmatch = 'a'\nactivation_terms = 3\n", ["layer \"a\"", "activation_terms 3"]),
            ("[[layers]]\nmatch = 'a'\n", ["line 1", "layers"]),
            ("match =\n", ["line 1", "layers.toml"]),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
        }
    }
}
