//! Real numbers to codes of one or several terms with known scales.

/// One low-precision tensor's part in a row: its scale, and the smallest and largest code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// Value of code 1.
    pub scale: f64,
    /// Smallest code, at most 0.
    pub lo: i32,
    /// Largest code, at least 0.
    pub hi: i32,
}

/// Finds the nearest value that the terms of one row can stand for together.
#[derive(Clone, Debug)]
pub struct Quantizer {
    terms: Vec<Term>,
    /// For several terms: every sum, in order, and its codes.
    sums: Vec<(f64, Vec<i32>)>,
}

impl Quantizer {
    /// A quantizer of at least one term. All combinations of codes are listed, so several terms must be narrow.
    pub fn new(terms: &[Term]) -> Self {
        let mut sums = Vec::new();
        if terms.len() > 1 {
            sums.push((0.0, Vec::new()));
            for term in terms {
                let longer = |(sum, codes): &(f64, Vec<i32>)| {
                    let (sum, codes) = (*sum, codes.clone());
                    let add =
                        move |code: i32| (sum + term.scale * f64::from(code), [&codes[..], &[code]].concat());
                    (term.lo..=term.hi).map(add).collect::<Vec<_>>()
                };
                sums = sums.iter().flat_map(longer).collect();
            }
            // Among equal sums the one that comes first is used; the stable order keeps it the same everywhere.
            sums.sort_by(|one, other| one.0.total_cmp(&other.0));
        }
        Self { terms: terms.to_vec(), sums }
    }

    /// The terms.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The nearest value; its codes, one a term, are put into `codes`.
    pub fn nearest(&self, value: f64, codes: &mut [i32]) -> f64 {
        if let [term] = self.terms[..] {
            let code = (value / term.scale).round_ties_even().clamp(f64::from(term.lo), f64::from(term.hi));
            codes[0] = code as i32;
            return term.scale * code;
        }
        let after = self.sums.partition_point(|(sum, _)| *sum < value);
        let near = [after.wrapping_sub(1), after].into_iter().filter_map(|at| self.sums.get(at));
        let best = near.min_by(|one, other| (one.0 - value).abs().total_cmp(&(other.0 - value).abs()));
        let Some((sum, found)) = best else { return 0.0 };
        codes.copy_from_slice(found);
        *sum
    }
}
