//! A model of the error that many scales and zero points can be tried on.

use super::Grid;
use super::samples::{Samples, Side};

/// Cells of one side.
const CELLS: usize = 4096;
/// Ratio of neighbouring scales or edges tried, and how many: down to 1/40 of the range.
const SHRINK: f64 = 0.96;
const SHRINKS: usize = 90;

/// Sums over the tails of both sides, from which the error of any scale is estimated in constant time: exactly what
/// clipping costs and what values that round to 0 cost, and `scale^2 / 12` for each value between.
pub(super) struct Outline {
    positive: Tails,
    negative: Tails,
}

/// For values of one sign, in cells of equal width: weight, weighted sum and weighted sum of squares from each cell on.
struct Tails {
    cells: Vec<[f64; 3]>,
    density: f64,
}

impl Outline {
    pub(super) fn of(samples: &Samples) -> Self {
        Self { positive: Tails::of(&samples.positive), negative: Tails::of(&samples.negative) }
    }

    /// Estimated squared error at `scale`.
    fn error(&self, scale: f64, grid: Grid) -> f64 {
        self.positive.error(scale, f64::from(grid.hi())) + self.negative.error(scale, -f64::from(grid.lo()))
    }

    /// The best scale for one grid, from that of `reach` (where nothing clips) down, and its estimated error.
    pub(super) fn best_scale(&self, reach: f64, grid: Grid) -> (f64, f64) {
        let mut best = (reach, f64::INFINITY);
        let mut scale = reach;
        for _ in 0..SHRINKS {
            let error = self.error(scale, grid);
            if error < best.1 {
                best = (scale, error);
            }
            scale *= SHRINK;
        }
        best
    }

    /// The best scale and zero point for `bits`-bit codes of values from `-down` to `up`, neither of them 0.
    pub(super) fn best_range(&self, down: f64, up: f64, bits: u32) -> (f64, Grid) {
        let steps = f64::from(Grid::offset(bits, 0).hi());
        let mut best = (f64::INFINITY, 1.0, Grid::offset(bits, 0));
        let mut top = up;
        for _ in 0..SHRINKS {
            let mut bottom = down;
            for _ in 0..SHRINKS {
                let grid = Grid::offset(bits, (bottom / (bottom + top) * steps).round() as i32);
                let scale = (bottom + top) / steps;
                let error = self.error(scale, grid);
                if error < best.0 {
                    best = (error, scale, grid);
                }
                bottom *= SHRINK;
            }
            top *= SHRINK;
        }
        (best.1, best.2)
    }
}

impl Tails {
    fn of(side: &Side) -> Self {
        let density = if side.largest > 0.0 { CELLS as f64 / side.largest } else { 0.0 };
        let mut cells = vec![[0.0; 3]; CELLS + 2];
        for (&magnitude, &weight) in side.magnitudes.iter().zip(&side.weights) {
            if let Some(cell) = cells.get_mut((magnitude * density) as usize) {
                let moment = weight * magnitude;
                *cell = [cell[0] + weight, cell[1] + moment, cell[2] + moment * magnitude];
            }
        }
        let mut after = [0.0; 3];
        for cell in cells.iter_mut().rev() {
            after = [cell[0] + after[0], cell[1] + after[1], cell[2] + after[2]];
            *cell = after;
        }
        Self { cells, density }
    }

    /// The sums over what lies beyond `edge`, to a cell.
    fn beyond(&self, edge: f64) -> [f64; 3] {
        self.cells.get((edge * self.density) as usize).copied().unwrap_or([0.0; 3])
    }

    fn error(&self, scale: f64, limit: f64) -> f64 {
        let edge = limit * scale;
        let [weight, moment, square] = self.beyond(edge);
        let clipped = (square - 2.0 * edge * moment + edge * edge * weight).max(0.0);
        if limit == 0.0 {
            return clipped;
        }
        let all = self.beyond(0.0);
        let coded = self.beyond(scale / 2.0);
        clipped + (all[2] - coded[2]) + scale * scale / 12.0 * (coded[0] - weight).max(0.0)
    }
}
