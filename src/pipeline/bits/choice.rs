//! Which of several tensors to lift.

/// A tensor in few bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Bytes that wider codes add.
    pub bytes: f64,
    /// Noise that it brings.
    pub noise: f64,
    /// The share of the noise that wider codes leave.
    pub left: f64,
    /// Its bits.
    pub bits: u32,
}

impl Candidate {
    fn gain(&self) -> f64 {
        self.noise * (1.0 - self.left)
    }
}

/// Positions of those to lift, of which all together add at most a share `most` to a file of `file` bytes; those first that take
/// away most noise a byte. `rest` is the noise of what cannot be lifted.
///
/// A bit more for all weights divides the noise by four, and a file that is all codes grows by the part that a bit is of their
/// bits: that is what bytes are worth anywhere. What takes away less noise for its share of the file stays as it is.
pub(super) fn chosen(candidates: &[Candidate], rest: f64, file: f64, most: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).filter(|&at| candidates[at].gain() > 0.0).collect();
    let worth = |at: usize| match candidates[at].bytes > 0.0 {
        true => candidates[at].gain() / candidates[at].bytes,
        false => f64::INFINITY,
    };
    // Stable: among equals the graph's order.
    order.sort_by(|&one, &other| worth(other).total_cmp(&worth(one)));
    let mut noise = rest + candidates.iter().map(|candidate| candidate.noise).sum::<f64>();
    let mut bytes = 0.0;
    let mut taken = Vec::new();
    for at in order {
        let candidate = &candidates[at];
        let usual = 4f64.ln() * f64::from(candidate.bits) / file;
        if worth(at) < usual * noise || bytes + candidate.bytes > most * file {
            continue;
        }
        bytes += candidate.bytes;
        noise -= candidate.gain();
        taken.push(at);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(of: &[(f64, f64)]) -> Vec<Candidate> {
        of.iter().map(|&(bytes, noise)| Candidate { bytes, noise, left: 1.0 / 256.0, bits: 4 }).collect()
    }

    #[test]
    fn small_tensors_that_bring_the_noise_are_lifted_and_equal_ones_are_not() {
        let all = candidates(&[(1.0, 0.1), (20.0, 0.1), (1.0, 0.2), (20.0, 0.05), (1.0, 0.0)]);
        assert_eq!(chosen(&all, 0.1, 200.0, 0.5), [2, 0]);
        let alike = candidates(&[(20.0, 0.1); 10]);
        assert!(chosen(&alike, 0.0, 400.0, 0.05).is_empty());
        assert!(chosen(&[], 0.0, 0.0, 0.05).is_empty());
    }

    #[test]
    fn bytes_have_a_limit_and_smaller_tensors_fill_it() {
        let all = candidates(&[(30.0, 4.0), (25.0, 3.0), (10.0, 1.0)]);
        assert_eq!(chosen(&all, 0.0, 1000.0, 0.05), [0, 2]);
        assert_eq!(chosen(&all, 0.0, 1000.0, 0.005), [0usize; 0]);
    }
}
