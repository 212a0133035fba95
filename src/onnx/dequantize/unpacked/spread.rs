//! Constants beside larger values.

/// A constant that is broadcast to the dimensions of a value: its axes as length and step, those that go together as one.
#[derive(Debug)]
pub(super) struct Spread {
    values: Vec<f32>,
    axes: Vec<(usize, usize)>,
}

impl Spread {
    /// `values` of dimensions `of`, beside a value of `dims`; `None` where they do not fit.
    pub fn new(dims: &[i64], of: &[i64], values: Vec<f32>) -> Option<Self> {
        let lead = dims.len().checked_sub(of.len())?;
        let mut axes: Vec<(usize, usize)> = Vec::new();
        let mut step = 1;
        for (axis, &dim) in dims.iter().enumerate().rev() {
            let own = axis.checked_sub(lead).map_or(1, |axis| of[axis]);
            let length = usize::try_from(dim).ok().filter(|_| own == 1 || own == dim)?;
            let along = if own == 1 { 0 } else { step };
            step *= usize::try_from(own).ok()?;
            match axes.last_mut() {
                Some((inner, before)) if along == *inner * *before => *inner *= length,
                _ => axes.push((length, along)),
            }
        }
        (values.len() == step).then_some(Self { values, axes })
    }

    /// Replaces the elements from `start` on by what `of` makes of each and of the constant beside it.
    pub fn with(&self, start: usize, out: &mut [f32], of: impl Fn(f32, f32) -> f32) {
        let Some((&(length, step), outer)) = self.axes.split_first() else {
            out.iter_mut().for_each(|out| *out = of(*out, self.values[0]));
            return;
        };
        let mut done = 0;
        while done < out.len() {
            let at = start + done;
            let (column, mut rest) = (at % length, at / length);
            let mut place = column * step;
            for &(length, step) in outer {
                place += rest % length * step;
                rest /= length;
            }
            let run = (length - column).min(out.len() - done);
            for (at, out) in out[done..done + run].iter_mut().enumerate() {
                *out = of(*out, self.values[place + at * step]);
            }
            done += run;
        }
    }
}
