//! All sums that several scaled codes can form, in ascending order.

use super::GROUP;
use super::sums::Comb;

#[derive(Clone, Debug, Default)]
pub(super) struct Ladder {
    /// The combs that the rungs were last made of.
    combs: Vec<Comb>,
    /// Each sum and the place of its codes.
    rungs: Vec<(f64, u32)>,
    codes: Vec<[f64; GROUP]>,
    /// Half way from each sum to the next.
    middles: Vec<f64>,
}

impl Ladder {
    /// Turns into the sums of `combs`, of which there are at most [`GROUP`]; cheap where these differ from the last ones in
    /// little but their scales, as then the order hardly changes.
    pub(super) fn set(&mut self, combs: &[Comb]) {
        let ends = |comb: &Comb| (comb.lo, comb.hi);
        if !self.combs.iter().map(ends).eq(combs.iter().map(ends)) {
            self.codes.clear();
            self.codes.push([0.0; GROUP]);
            for (place, comb) in combs.iter().enumerate() {
                let known = std::mem::take(&mut self.codes);
                for mut codes in known {
                    for code in comb.codes() {
                        codes[place] = code;
                        self.codes.push(codes);
                    }
                }
            }
            self.rungs.clear();
            self.rungs.extend((0..self.codes.len() as u32).map(|place| (0.0, place)));
        }
        self.combs.clear();
        self.combs.extend_from_slice(combs);
        for (sum, place) in &mut self.rungs {
            let codes = self.codes.get(*place as usize).copied().unwrap_or([0.0; GROUP]);
            *sum = combs.iter().zip(codes).map(|(comb, code)| comb.scale * code).sum();
        }
        self.rungs.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        self.middles.clear();
        self.middles.extend(
            self.rungs.iter().zip(self.rungs.iter().skip(1)).map(|(one, next)| (one.0 + next.0) / 2.0),
        );
    }

    pub(super) fn combs(&self) -> &[Comb] {
        &self.combs
    }

    pub(super) fn middles(&self) -> &[f64] {
        &self.middles
    }

    /// The codes of a rung.
    pub(super) fn codes(&self, rung: usize) -> [f64; GROUP] {
        let place = self.rungs.get(rung).map_or(0, |rung| rung.1);
        self.codes.get(place as usize).copied().unwrap_or([0.0; GROUP])
    }

    /// The rung nearest to `value`.
    pub(super) fn nearest(&self, value: f64) -> usize {
        self.middles.partition_point(|&middle| middle < value)
    }
}
