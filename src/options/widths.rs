//! Which widths of codes can go together with the rest of the options.

use super::{CodeType, Keys, Options, Storage};
use crate::error::{Error, Result};

impl Options {
    /// Refuses weights of a width that the storage has no form for, and activations of a type for weights.
    ///
    /// # Errors
    /// [`Error::Options`] that says what to choose.
    pub fn check_widths(&self) -> Result<()> {
        stored(self.weights, self.storage, "")?;
        self.check_dual()?;
        self.activations.map_or(Ok(()), CodeType::check_activation)?;
        for rule in &self.layers {
            stored(rule.weights.flatten(), self.storage, &format!(" of layer {:?}", rule.matching))?;
            rule.activations.flatten().map_or(Ok(()), CodeType::check_activation)?;
        }
        Ok(())
    }

    /// Refuses to look for layers of two terms, which have 4 bits, where weights have a width that stands between.
    fn check_dual(&self) -> Result<()> {
        let between = self.weights.filter(|code_type| !matches!(code_type.bits(), 4 | 8));
        let Some(code_type) = between.filter(|_| self.dual.keys != Keys::None) else { return Ok(()) };
        Err(Error::options(
            format!("two tensors per layer are a form of 4-bit weights, and these are {code_type}"),
            "choose `.weights` int4 or uint4, or name the layers that are to have two 4-bit tensors by `.dual.layers`",
        ))
    }
}

/// Refuses `weights`, which are those of `place`, where `storage` has no form for them.
fn stored(weights: Option<CodeType>, storage: Storage, place: &str) -> Result<()> {
    let Some(code_type) = weights.filter(|code_type| !storage.holds(code_type.bits())) else { return Ok(()) };
    let remedy = match code_type.bits() {
        9.. => "choose 8 bits or fewer".to_owned(),
        _ => format!("choose `.storage` bytes, which takes 2 to 8 bits, or {}", nearest(code_type)),
    };
    let problem = format!("`.storage` {} has no form for the {code_type} weights{place}", storage.name());
    Err(Error::options(problem, remedy))
}

/// The next type of the same sign that every storage has a form for.
fn nearest(code_type: CodeType) -> CodeType {
    code_type.with_bits(if code_type.bits() <= 4 { 4 } else { 8 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Dual, LayerRule, Precision};

    fn refused(options: &Options) -> String {
        options.check_widths().unwrap_err().to_string()
    }

    #[test]
    fn what_the_storage_has_no_form_for_is_refused_with_what_to_choose() {
        for name in Precision::NAMES {
            let options = Options::new(name.parse().unwrap());
            let bits = options.weights.unwrap().bits();
            assert_eq!(options.check_widths().is_ok(), matches!(bits, 4 | 8), "{name}");
            let wide = Options { storage: Storage::Int8, ..options };
            assert!(wide.check_widths().is_ok(), "{name}");
        }
        let options = Options { weights: Some(CodeType::Uint3), ..Options::default() };
        let error = refused(&options);
        assert!(error.contains("`.storage` packed has no form for the uint3 weights"), "{error}");
        assert!(error.contains("`.storage` bytes") && error.contains("or uint4"), "{error}");
        let options = Options { weights: Some(CodeType::Int16), storage: Storage::Int8, ..options };
        assert!(refused(&options).contains("8 bits or fewer"));
    }

    #[test]
    fn two_terms_are_looked_for_among_4_bit_weights_only() {
        let dual = |keys| Dual { keys, ..Dual::default() };
        let options = Options { storage: Storage::Int8, dual: dual(Keys::All), ..Options::default() };
        assert!(options.check_widths().is_ok());
        let narrow = Options { weights: Some(CodeType::Int3), ..options };
        assert!(refused(&narrow).contains("these are int3"));
        assert!(Options { dual: dual(Keys::None), ..narrow }.check_widths().is_ok());
    }

    #[test]
    fn so_are_rules_for_single_layers() {
        let rule = |rule: LayerRule| Options {
            layers: vec![LayerRule { matching: "fc*".into(), ..rule }],
            ..Options::default()
        };
        let five = rule(LayerRule { weights: Some(Some(CodeType::Int5)), ..LayerRule::default() });
        let error = refused(&five);
        assert!(error.contains("int5 weights of layer \"fc*\"") && error.contains("or int8"), "{error}");
        assert!(Options { storage: Storage::Int8, ..five }.check_widths().is_ok());
        let float = rule(LayerRule { weights: Some(None), ..LayerRule::default() });
        assert!(float.check_widths().is_ok());
        let narrow = rule(LayerRule { activations: Some(Some(CodeType::Int6)), ..LayerRule::default() });
        assert!(refused(&narrow).contains("int6 is a type for weights"));
        let options = Options { activations: Some(CodeType::Uint2), ..Options::default() };
        assert!(refused(&options).contains("uint8, int8, uint4, int4 or int16"));
    }
}
