//! A surface that shapes are drawn on.

/// Red, green and blue, from 0 to 255.
pub(super) type Colour = [f32; 3];

/// Pixels in rows from the top.
#[derive(Debug)]
pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<Colour>,
}

impl Canvas {
    /// One of a single colour.
    pub fn new(width: usize, height: usize, colour: Colour) -> Self {
        Self { width, height, pixels: vec![colour; width * height] }
    }

    /// Fills the pixels of row `y` whose centres lie between `from` and `to`.
    fn span(&mut self, y: usize, from: f64, to: f64, colour: Colour) {
        let edge = |x: f64| (x - 0.5).ceil().clamp(0.0, self.width as f64) as usize;
        let (from, to) = (edge(from), edge(to));
        if from < to {
            self.pixels[y * self.width + from..y * self.width + to].fill(colour);
        }
    }

    /// The rows whose centres lie between `from` and `to`.
    fn rows(&self, from: f64, to: f64) -> std::ops::Range<usize> {
        let edge = |y: f64| (y - 0.5).ceil().clamp(0.0, self.height as f64) as usize;
        edge(from)..edge(to)
    }

    /// Fills an ellipse around `centre` with half axes `radii`, along the axes of the picture.
    pub fn ellipse(&mut self, centre: [f64; 2], radii: [f64; 2], colour: Colour) {
        for y in self.rows(centre[1] - radii[1], centre[1] + radii[1]) {
            let up = (y as f64 + 0.5 - centre[1]) / radii[1];
            let half = radii[0] * (1.0 - up * up).max(0.0).sqrt();
            self.span(y, centre[0] - half, centre[0] + half, colour);
        }
    }

    /// Fills a polygon; where its sides cross, every other part.
    pub fn polygon(&mut self, corners: &[[f64; 2]], colour: Colour) {
        let low = corners.iter().map(|corner| corner[1]).fold(f64::INFINITY, f64::min);
        let high = corners.iter().map(|corner| corner[1]).fold(f64::NEG_INFINITY, f64::max);
        let mut crossings = Vec::new();
        for y in self.rows(low, high) {
            let centre = y as f64 + 0.5;
            crossings.clear();
            for (at, &[x0, y0]) in corners.iter().enumerate() {
                let [x1, y1] = corners[(at + 1) % corners.len()];
                if (y0 <= centre) != (y1 <= centre) {
                    crossings.push(x0 + (x1 - x0) * (centre - y0) / (y1 - y0));
                }
            }
            crossings.sort_by(f64::total_cmp);
            for pair in crossings.chunks_exact(2) {
                self.span(y, pair[0], pair[1], colour);
            }
        }
    }

    /// Draws a line of a thickness.
    pub fn line(&mut self, from: [f64; 2], to: [f64; 2], thickness: f64, colour: Colour) {
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let length = dx.hypot(dy).max(1e-9);
        let (across, down) = (-dy / length * thickness / 2.0, dx / length * thickness / 2.0);
        let corners = [
            [from[0] + across, from[1] + down],
            [to[0] + across, to[1] + down],
            [to[0] - across, to[1] - down],
            [from[0] - across, from[1] - down],
        ];
        self.polygon(&corners, colour);
    }

    /// The pixels of a picture of half the width and height, each the mean of four.
    pub fn halved(&self) -> Vec<Colour> {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut halved = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let at = 2 * y * self.width + 2 * x;
                let four = [at, at + 1, at + self.width, at + self.width + 1].map(|at| self.pixels[at]);
                halved.push([0, 1, 2].map(|part| four.iter().map(|pixel| pixel[part]).sum::<f32>() / 4.0));
            }
        }
        halved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Colour = [1.0; 3];

    fn area(draw: impl Fn(&mut Canvas)) -> f32 {
        let mut canvas = Canvas::new(100, 80, [0.0; 3]);
        draw(&mut canvas);
        canvas.pixels.iter().map(|pixel| pixel[0]).sum()
    }

    #[test]
    fn shapes_cover_their_areas() {
        let circle = area(|canvas| canvas.ellipse([50.0, 40.0], [30.0, 20.0], WHITE));
        assert!((circle / (std::f32::consts::PI * 600.0) - 1.0).abs() < 0.01, "{circle}");
        let square = [[10.0, 10.0], [30.0, 10.0], [30.0, 30.0], [10.0, 30.0]];
        assert_eq!(area(|canvas| canvas.polygon(&square, WHITE)), 400.0);
        let line = area(|canvas| canvas.line([10.0, 10.0], [70.0, 55.0], 4.0, WHITE));
        assert!((line / 300.0 - 1.0).abs() < 0.02, "{line}");
    }

    #[test]
    fn what_lies_beyond_the_edges_is_cut_off() {
        assert_eq!(area(|canvas| canvas.ellipse([50.0, 40.0], [1e6, 1e6], WHITE)), 8000.0);
        assert_eq!(area(|canvas| canvas.ellipse([-50.0, 40.0], [10.0, 10.0], WHITE)), 0.0);
        let half = [[-1e3, -1e3], [50.0, -1e3], [50.0, 1e3], [-1e3, 1e3]];
        assert_eq!(area(|canvas| canvas.polygon(&half, WHITE)), 4000.0);
    }

    #[test]
    fn halving_is_a_mean() {
        let mut canvas = Canvas::new(4, 2, [0.0; 3]);
        canvas.span(0, 0.0, 1.0, [8.0, 4.0, 0.0]);
        assert_eq!(canvas.halved(), [[2.0, 1.0, 0.0], [0.0; 3]]);
    }
}
