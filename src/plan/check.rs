//! Whether a decision is consistent in itself.

use super::{ActivationDecision, ActivationTerm, Decision, NBits, Saturation, WeightDecision, WeightTerm};
use crate::options::{CodeType, Spelling};

/// More terms than this are no use to anybody: each costs a product of its own.
const MOST_TERMS: usize = 8;
/// A pair and, for what it leaves, one more.
const MOST_ACTIVATION_TERMS: usize = 2;

impl Decision {
    /// What is inconsistent in this decision, if anything.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Weight(weight) => weight.problem(),
            Self::Activation(activation) => activation.problem(),
        }
    }
}

impl WeightDecision {
    /// What is inconsistent in this decision, if anything.
    pub fn problem(&self) -> Option<String> {
        if let Some(problem) = count(self.terms.len(), MOST_TERMS) {
            return Some(problem);
        }
        let terms = self.terms.iter().enumerate();
        let problem = terms.filter_map(|(at, term)| Some((at, term.problem(&self.dims)?))).next();
        if let Some((at, problem)) = problem {
            return Some(named(at, self.terms.len(), problem));
        }
        if let (Some(Saturation::Avoided), Some(range)) = (self.saturation, self.code_range()) {
            let stray = |code: &i16| !(range.0..=range.1).contains(&i32::from(*code));
            if let Some(code) = self.terms.iter().find_map(|term| term.codes.iter().find(stray)) {
                return Some(format!("code {code}, though codes are held to {}..{}", range.0, range.1));
            }
        }
        if self.spelling == Spelling::MatMulNBits
            && let Err(problem) = NBits::of(self)
        {
            return Some(format!("no MatMulNBits: {problem}"));
        }
        let infinite = |change: &&super::BiasChange| change.values.iter().any(|value| !value.is_finite());
        self.biases.iter().find(infinite).map(|change| format!("bias of {} is not finite", change.read.node))
    }
}

impl WeightTerm {
    /// What is inconsistent in this term of weights of `dims`, if anything.
    fn problem(&self, dims: &[i64]) -> Option<String> {
        let (scales, zeros) = (self.scales.len(), self.zero_points.len());
        let Some(groups) = self.partition.groups(dims) else {
            return Some(format!("no scale by {:?} of {dims:?}", self.partition));
        };
        let (bits, signed) = (self.codes.bits(), self.codes.is_signed());
        // Of the right width and sign no code is out of range.
        let right = bits == self.code_type.bits() && signed == self.code_type.is_signed();
        if !right || self.codes.len() != groups.elements() {
            let sign = if signed { "signed " } else { "" };
            return Some(format!(
                "{} {sign}codes of {bits} bits for {} {dims:?}",
                self.codes.len(),
                self.code_type
            ));
        }
        if scales != groups.count() || zeros != scales {
            return Some(format!(
                "{scales} scales and {zeros} zero points by {:?} of {dims:?}, which has {} groups",
                self.partition,
                groups.count()
            ));
        }
        if let Some(problem) = self.scales.iter().find_map(|&scale| not_positive(scale)) {
            return Some(problem);
        }
        self.zero_points.iter().find_map(|&code| stray("code", code, self.code_type))
    }
}

impl ActivationDecision {
    /// What is inconsistent in this decision, if anything.
    pub fn problem(&self) -> Option<String> {
        if let Some(problem) = count(self.terms.len(), MOST_ACTIVATION_TERMS) {
            return Some(problem);
        }
        let problem = |term: &ActivationTerm| {
            let wrong =
                not_positive(term.scale).or_else(|| stray("zero point", term.zero_point, term.code_type));
            wrong.or_else(|| no_activation(term.code_type))
        };
        let terms = self.terms.iter().enumerate();
        let found = terms.filter_map(|(at, term)| Some((at, problem(term)?))).next();
        found.map(|(at, problem)| named(at, self.terms.len(), problem))
    }
}

fn count(terms: usize, most: usize) -> Option<String> {
    (!(1..=most).contains(&terms)).then(|| format!("{terms} terms, from 1 to {most} are possible"))
}

/// With the number of the term, where there are several.
fn named(at: usize, terms: usize, problem: String) -> String {
    if terms > 1 { format!("term {at}: {problem}") } else { problem }
}

fn not_positive(scale: f32) -> Option<String> {
    (!(scale.is_finite() && scale > 0.0)).then(|| format!("scale {scale} is not above zero and finite"))
}

fn no_activation(code_type: CodeType) -> Option<String> {
    (!CodeType::ACTIVATIONS.contains(&code_type)).then(|| format!("{code_type} is a type for weights"))
}

fn stray(what: &str, code: i16, code_type: CodeType) -> Option<String> {
    let (lowest, highest) = code_type.range();
    let outside = !(lowest..=highest).contains(&i32::from(code));
    outside.then(|| format!("{what} {code} is no {code_type} code"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Codes, Float, Partition, Reasons};

    fn weight() -> WeightDecision {
        let term = WeightTerm {
            code_type: CodeType::Int4,
            partition: Partition::Block { axis: 1, size: 2 },
            scales: vec![0.5, 1.0, 2.0, 4.0],
            zero_points: vec![0, 0, -1, 0],
            codes: Codes::new(CodeType::Int4, &[1, 2, 3, -8, 7, 0]),
        };
        WeightDecision {
            tensor: "w".into(),
            dims: vec![2, 3],
            float: Float::Float,
            wide_scales: false,
            reads: Vec::new(),
            terms: vec![term.clone(), term],
            spelling: Spelling::Sum,
            saturation: None,
            sqnr_db: None,
            reason: Reasons::default(),
            residuals: None,
            macs: None,
            biases: Vec::new(),
        }
    }

    #[test]
    fn a_sum_of_terms_is_decoded_by_its_groups() {
        let mut weight = weight();
        assert_eq!(weight.problem(), None);
        assert_eq!(weight.decode(), [1.0, 2.0, 6.0, -28.0, 32.0, 0.0]);
        weight.terms.truncate(1);
        assert_eq!(weight.decode(), [0.5, 1.0, 3.0, -14.0, 16.0, 0.0]);
    }

    #[test]
    fn inconsistent_weights_are_told_apart() {
        type Change = fn(&mut WeightDecision);
        let cases: [(&str, Change); 10] = [
            ("0 terms", |it| it.terms.clear()),
            ("9 terms", |it| it.terms = vec![it.terms[0].clone(); 9]),
            ("term 1: 5 signed codes", |it| it.terms[1].codes = Codes::new(CodeType::Int4, &[0; 5])),
            ("of 8 bits", |it| it.terms[0].codes = Codes::new(CodeType::Int8, &[0; 6])),
            ("3 scales and 4 zero points", |it| it.terms[0].scales.truncate(3)),
            ("which has 4 groups", |it| it.terms[0].zero_points.truncate(3)),
            ("axis: 2", |it| it.terms[0].partition = Partition::Channel { axis: 2 }),
            ("size: 0", |it| it.terms[0].partition = Partition::Block { axis: 1, size: 0 }),
            ("scale inf", |it| it.terms[1].scales[3] = f32::INFINITY),
            ("code 8 is no int4", |it| it.terms[1].zero_points[0] = 8),
        ];
        for (expected, change) in cases {
            let mut weight = weight();
            change(&mut weight);
            let found = weight.problem().unwrap_or_default();
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }

    #[test]
    fn weights_of_every_width_are_consistent() {
        for bits in [2, 3, 4, 5, 6, 8] {
            for code_type in [CodeType::Int8.with_bits(bits), CodeType::Uint8.with_bits(bits)] {
                let mut weight = weight();
                let (lowest, highest) = code_type.range();
                let codes = [lowest, highest, 0, 1, lowest, highest].map(|code| code as i16);
                weight.terms.truncate(1);
                weight.terms[0].code_type = code_type;
                weight.terms[0].zero_points = vec![0, lowest as i16, highest as i16, 1];
                weight.terms[0].codes = Codes::new(code_type, &codes);
                assert_eq!(weight.problem(), None, "{code_type}");
                let decoded = weight.decode();
                assert_eq!(decoded[2], -(lowest as f32), "{code_type}");
                weight.terms[0].zero_points[0] = highest as i16 + 1;
                assert!(weight.problem().is_some_and(|problem| problem.contains(code_type.name())));
                weight.terms[0].code_type = code_type.with_bits(if bits == 3 { 2 } else { 3 });
                assert!(weight.problem().is_some_and(|problem| problem.contains(&format!("of {bits} bits"))));
            }
        }
    }

    #[test]
    fn codes_that_are_held_lie_within_the_range() {
        let with = |code: i16, saturation| {
            let mut weight = weight();
            weight.terms.truncate(1);
            weight.terms[0].code_type = CodeType::Int8;
            weight.terms[0].zero_points = vec![0; 4];
            weight.terms[0].codes = Codes::new(CodeType::Int8, &[1, code, 3, -64, 7, 64]);
            weight.saturation = saturation;
            weight.problem()
        };
        assert_eq!(with(65, None), None);
        assert_eq!(with(65, Some(Saturation::Possible)), None);
        assert_eq!(with(-63, Some(Saturation::Avoided)), None);
        let problem = with(65, Some(Saturation::Avoided)).unwrap_or_default();
        assert!(problem.contains("code 65") && problem.contains("-64..64"), "{problem}");
    }

    #[test]
    fn inconsistent_activations_are_told_apart() {
        let term = ActivationTerm { code_type: CodeType::Uint4, scale: 1.0, zero_point: 15 };
        let with = |terms: Vec<ActivationTerm>| {
            let decision = ActivationDecision {
                tensor: "x".into(),
                float: Float::Float,
                wide_scales: false,
                reads: Vec::new(),
                returned: false,
                terms,
                range: (0.0, 1.0),
                sqnr_db: None,
                reason: Reasons::default(),
            };
            decision.problem().unwrap_or_default()
        };
        assert_eq!(with(vec![term; 2]), "");
        assert!(with(vec![]).contains("0 terms"));
        assert!(with(vec![term; 3]).contains("3 terms"));
        assert!(with(vec![ActivationTerm { scale: 0.0, ..term }]).contains("above zero"));
        assert!(
            with(vec![term, ActivationTerm { zero_point: 16, ..term }]).contains("term 1: zero point 16")
        );
        let narrow = ActivationTerm { code_type: CodeType::Uint3, zero_point: 0, ..term };
        assert!(with(vec![narrow]).contains("uint3 is a type for weights"));
    }
}
