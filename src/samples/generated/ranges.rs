//! What a stored pixel, from 0 to 255, becomes at the input of a network.

/// A range of pixels: `(pixel - mean) / divisor`, by the colours red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// What a person calls it.
    pub name: &'static str,
    mean: [f64; 3],
    divisor: [f64; 3],
    /// Whether the first channel is blue.
    reversed: bool,
}

const fn range(name: &'static str, mean: f64, divisor: f64) -> Range {
    Range { name, mean: [mean; 3], divisor: [divisor; 3], reversed: false }
}

/// Of pictures in colour, the most usual first.
const COLOURED: [Range; 6] = [
    Range {
        name: "ImageNet mean and standard deviation",
        mean: [0.485 * 255.0, 0.456 * 255.0, 0.406 * 255.0],
        divisor: [0.229 * 255.0, 0.224 * 255.0, 0.225 * 255.0],
        reversed: false,
    },
    UNIT,
    SIGNED,
    WHOLE,
    Range {
        name: "0..255 less the ImageNet mean, blue first",
        mean: [123.0, 117.0, 104.0],
        divisor: [1.0; 3],
        reversed: true,
    },
    CENTRED,
];
const UNIT: Range = range("0..1", 0.0, 255.0);
const SIGNED: Range = range("-1..1", 127.5, 127.5);
const WHOLE: Range = range("0..255", 0.0, 1.0);
const CENTRED: Range = range("-128..127", 128.0, 1.0);
/// Of grey pictures.
const GREY: [Range; 5] = [
    UNIT,
    SIGNED,
    WHOLE,
    range("MNIST mean and standard deviation", 0.1307 * 255.0, 0.3081 * 255.0),
    CENTRED,
];

impl Range {
    /// Those of pictures with so many channels; of bytes there is one.
    pub(super) fn all(channels: usize, bytes: bool) -> &'static [Self] {
        match (bytes, channels) {
            (true, _) => &[WHOLE],
            (false, 1) => &GREY,
            (false, _) => &COLOURED,
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        COLOURED.iter().chain(&GREY).find(|range| range.name == name)
    }

    /// The colour that channel `at` holds.
    pub(super) fn colour(&self, at: usize) -> usize {
        if self.reversed { 2 - at.min(2) } else { at }
    }

    /// A stored value of a colour as the network takes it.
    pub(super) fn value(&self, stored: f32, colour: usize) -> f32 {
        ((f64::from(stored) - self.mean[colour]) / self.divisor[colour]) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_what_they_are_called() {
        let ends = |name: &str| {
            let range = Range::named(name).unwrap();
            [range.value(0.0, 0), range.value(255.0, 0)]
        };
        assert_eq!(ends("0..1"), [0.0, 1.0]);
        assert_eq!(ends("-1..1"), [-1.0, 1.0]);
        assert_eq!(ends("-128..127"), [-128.0, 127.0]);
        assert_eq!(Range::all(3, true).len(), 1);
        assert!(Range::all(1, false).iter().all(|range| !range.name.contains("ImageNet")));
    }
}
