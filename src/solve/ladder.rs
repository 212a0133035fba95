//! Which finer forms to take first when a plan loses too much.

/// A form that one tensor may have.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// Bytes that a run reads for it.
    pub bytes: f64,
    /// What it does to the outputs, as noise over signal.
    pub noise: f64,
    /// Multiplications that it adds.
    pub macs: u64,
}

/// One step: a tensor to a finer form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The tensor.
    pub ladder: usize,
    /// The rung that it is lifted to.
    pub rung: usize,
    /// Noise that the step takes away.
    pub gain: f64,
    /// Bytes that it adds.
    pub bytes: f64,
}

/// Steps from the first rung of each ladder to the last that gains anything, so that each takes away the most noise a byte
/// among those left; among equals the one of fewer multiplications, and the earlier tensor, goes first.
///
/// Noise of different tensors is taken to add up. Rungs that others make useless (no less noise for more bytes, or less a
/// byte than a later rung) are left out, so a tensor may skip some.
pub fn steps(ladders: &[Vec<Rung>]) -> Vec<Step> {
    let mut steps: Vec<(f64, u64, Step)> = Vec::new();
    for (ladder, rungs) in ladders.iter().enumerate() {
        let mut at = 0;
        while at < rungs.len() {
            let from = &rungs[at];
            // Of all rungs that gain, the steepest: what it passes over lies above the hull.
            let candidates = (at + 1..rungs.len()).filter(|&rung| rungs[rung].noise < from.noise);
            let slope = |rung: usize| {
                let (gain, bytes) = (from.noise - rungs[rung].noise, rungs[rung].bytes - from.bytes);
                if bytes > 0.0 { gain / bytes } else { f64::INFINITY }
            };
            let better = |one: &usize, other: &usize| {
                let by_slope = slope(*one).total_cmp(&slope(*other));
                by_slope.then_with(|| rungs[*other].macs.cmp(&rungs[*one].macs)).then(other.cmp(one))
            };
            let Some(next) = candidates.max_by(better) else { break };
            let to = &rungs[next];
            let step = Step { ladder, rung: next, gain: from.noise - to.noise, bytes: to.bytes - from.bytes };
            steps.push((slope(next), to.macs.saturating_sub(from.macs), step));
            at = next;
        }
    }
    // Stable, and slopes of one ladder only fall, so that its steps stay in order.
    steps.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    steps.into_iter().map(|(_, _, step)| step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rungs(of: &[(f64, f64)]) -> Vec<Rung> {
        of.iter().map(|&(bytes, noise)| Rung { bytes, noise, macs: 0 }).collect()
    }

    fn taken(ladders: &[Vec<Rung>]) -> Vec<(usize, usize)> {
        steps(ladders).into_iter().map(|step| (step.ladder, step.rung)).collect()
    }

    #[test]
    fn most_noise_a_byte_goes_first() {
        let ladders = [rungs(&[(4.0, 1.0), (8.0, 0.2), (32.0, 0.0)]), rungs(&[(40.0, 4.0), (80.0, 0.0)])];
        assert_eq!(taken(&ladders), [(0, 1), (1, 1), (0, 2)]);
    }

    #[test]
    fn rungs_above_the_hull_are_passed_over() {
        // The second rung gains little for its bytes, the third much; the fourth nothing.
        let ladders = [rungs(&[(4.0, 1.0), (8.0, 0.99), (9.0, 0.01), (10.0, 0.01)])];
        assert_eq!(taken(&ladders), [(0, 2)]);
        assert!(taken(&[rungs(&[(4.0, 0.0), (8.0, 0.0)]), Vec::new(), rungs(&[(1.0, 1.0)])]).is_empty());
    }

    #[test]
    fn no_set_of_as_few_bytes_has_less_noise() {
        // Against all combinations, at each point of the way.
        let ladders: Vec<Vec<Rung>> = (1..=5)
            .map(|at| {
                let at = f64::from(at);
                rungs(&[(at, 3.0 / at), (2.0 * at, 0.9 / at), (3.0 * at, 0.2 * at % 0.3), (9.0 * at, 0.0)])
            })
            .collect();
        let mut at = vec![0; ladders.len()];
        let total = |at: &[usize]| {
            let all = ladders.iter().zip(at);
            all.fold((0.0, 0.0), |(bytes, noise), (rungs, &at)| {
                (bytes + rungs[at].bytes, noise + rungs[at].noise)
            })
        };
        for step in steps(&ladders) {
            at[step.ladder] = step.rung;
            let (bytes, noise) = total(&at);
            for mut code in 0..4usize.pow(5) {
                let other: Vec<usize> = (0..5)
                    .map(|_| {
                        let digit = code % 4;
                        code /= 4;
                        digit
                    })
                    .collect();
                let (others, least) = total(&other);
                assert!(others > bytes + 1e-9 || least >= noise - 1e-9, "{at:?} {other:?}");
            }
        }
    }
}
