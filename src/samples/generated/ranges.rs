//! What a stored pixel, from 0 to 255, becomes at the input of a network.

use std::borrow::Cow;

use crate::samples::preprocess::{Order, Preprocess};

/// A range of pixels: `(pixel - mean) / divisor`, by the colours red, green and blue.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// What a person calls it.
    pub name: Cow<'static, str>,
    mean: [f64; 3],
    divisor: [f64; 3],
    /// Whether the first channel is blue.
    reversed: bool,
}

const fn range(name: &'static str, mean: f64, divisor: f64) -> Range {
    Range { name: Cow::Borrowed(name), mean: [mean; 3], divisor: [divisor; 3], reversed: false }
}

/// Between the names of several ranges.
const SEPARATOR: &str = "; ";

/// Of pictures in colour, the most usual first.
static COLOURED: [Range; 6] = [
    Range {
        name: Cow::Borrowed("ImageNet mean and standard deviation"),
        mean: [0.485 * 255.0, 0.456 * 255.0, 0.406 * 255.0],
        divisor: [0.229 * 255.0, 0.224 * 255.0, 0.225 * 255.0],
        reversed: false,
    },
    UNIT,
    SIGNED,
    WHOLE,
    Range {
        name: Cow::Borrowed("0..255 less the ImageNet mean, blue first"),
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
/// Of pictures stored as bytes.
static BYTES: Range = WHOLE;
/// Of grey pictures.
static GREY: [Range; 5] = [
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
            (true, _) => std::slice::from_ref(&BYTES),
            (false, 1) => &GREY,
            (false, _) => &COLOURED,
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        COLOURED.iter().chain(&GREY).find(|range| range.name == name)
    }

    /// What a person calls several of them.
    pub fn names(ranges: &[Self]) -> String {
        ranges.iter().map(|range| range.name.as_ref()).collect::<Vec<_>>().join(SEPARATOR)
    }

    /// The ones that [`Range::names`] gave these names; none where one of them is not known.
    pub fn all_named(names: &str) -> Vec<Self> {
        let found: Option<Vec<Self>> =
            names.split(SEPARATOR).map(|name| Self::named(name).cloned()).collect();
        found.unwrap_or_default()
    }

    /// The largest value, either way, that a pixel becomes.
    pub fn reach(&self) -> f64 {
        let ends = [0.0f32, 255.0].into_iter().flat_map(|stored| (0..3).map(move |colour| (stored, colour)));
        ends.map(|(stored, colour)| f64::from(self.value(stored, colour).abs())).fold(0.0, f64::max)
    }

    /// The range that `preprocess` gives, by the name of a usual one where it is that.
    pub fn of(preprocess: &Preprocess) -> Self {
        let keys = &preprocess.keys;
        let reversed = keys.channel_order == Some(Order::Bgr);
        let scale = keys.scale.map_or_else(|| f64::from(keys.divide_by), |scale| 1.0 / f64::from(scale));
        // Numbers of a preprocess file are in the order of the model's channels, and count in scaled pixels.
        let of = |values: &[f32], colour: usize, usual: f64| {
            let channel = if reversed { 2 - colour } else { colour };
            values.get(channel).or(values.first()).map_or(usual, |&value| f64::from(value))
        };
        let mean = [0, 1, 2].map(|colour| of(&keys.mean, colour, 0.0) * scale);
        let divisor = [0, 1, 2].map(|colour| of(&keys.std, colour, 1.0) * scale);
        let near = |one: [f64; 3], other: [f64; 3]| {
            one.iter().zip(other).all(|(one, other)| (one - other).abs() <= 1e-3 * other.abs().max(1.0))
        };
        let usual = COLOURED.iter().chain(&GREY).find(|range| {
            range.reversed == reversed && near(mean, range.mean) && near(divisor, range.divisor)
        });
        usual.cloned().unwrap_or_else(|| Self {
            name: preprocessed(preprocess).into(),
            mean,
            divisor,
            reversed,
        })
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

/// What a range is called that no usual one is like.
fn preprocessed(preprocess: &Preprocess) -> String {
    let path = preprocess.path();
    format!("of {}", path.file_name().unwrap_or(path.as_os_str()).display())
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

    #[test]
    fn preprocessing_says_the_range() {
        let of = |text: &str| Range::of(&crate::samples::preprocess::tests::preprocess(text).unwrap());
        assert_eq!(of("divide_by = 127.5\nmean = [1.0]").name, "-1..1");
        assert_eq!(of("divide_by = 255").name, "0..1");
        assert_eq!(of("scale = 0.00392156862745098").name, "0..1");
        let caffe = "channel_order = \"BGR\"\nmean = [104.0, 117.0, 123.0]";
        assert_eq!(of(caffe).name, "0..255 less the ImageNet mean, blue first");
        let imagenet = "divide_by = 255\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]";
        assert_eq!(of(imagenet).name, "ImageNet mean and standard deviation");
        let own = of("divide_by = 2\nmean = [1.0, 2.0, 3.0]\nstd = [1.0, 2.0, 4.0]\nchannel_order = \"BGR\"");
        assert_eq!(own.name, "of preprocess.toml");
        // Blue is the first channel: 10 / 2 - 1.
        assert_eq!([own.value(10.0, 2), own.value(10.0, 0)], [4.0, 0.5]);
    }
}
