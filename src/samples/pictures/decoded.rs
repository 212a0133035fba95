//! Picture files, decoded one by one.

use std::io::{BufReader, Cursor, Read as _};
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageReader, Limits};

use super::found::{Found, find};
use super::{ENDINGS, whole};
use crate::error::{Error, Result};
use crate::files;
use crate::onnx::{Dtype, dtype_name, tensor};
use crate::options::Preset;
use crate::samples::geometry::Picture;
use crate::samples::input::Input;
use crate::samples::misfit::Misfit;
use crate::samples::pixels::gray;
use crate::samples::{Preprocess, Sample, Source};

/// Most memory that decoding one picture may take, in bytes: a small file can claim any size.
const LARGEST_PICTURE: u64 = 1 << 28;
/// Longest side of a picture, in pixels: what JPEG can say, and a bound for the scaler's tables.
const LONGEST_SIDE: u32 = 65_535;

/// Picture files with their classes, in batches as the model wants them.
#[derive(Debug)]
pub(super) struct Pictures {
    files: Vec<PathBuf>,
    /// As many as files, or none.
    labels: Vec<i64>,
    classes: Vec<String>,
    preprocess: Preprocess,
    input: Input,
    dtype: Dtype,
}

impl Pictures {
    /// The pictures of `folder`: those that `labels.csv` lists, or one class a sub-folder, or all.
    pub(super) fn open(folder: &Path, inputs: &[Input], preprocess: Option<&Preprocess>) -> Result<Self> {
        let Found { files, labels, classes } = find(folder)?;
        if files.is_empty() {
            let expected = format!(
                "samples: .npz or .npy files, pictures ({}), or folders test_data_set_N",
                ENDINGS.join(", ")
            );
            return Err(Error::samples(folder, "folder", expected, "none"));
        }
        let [input] = inputs else {
            let found = format!("{} inputs", inputs.len());
            return Err(Error::samples(folder, "folder", "a model of one input for pictures", found));
        };
        let Some(preprocess) = preprocess else {
            return Err(undescribed(folder, input));
        };
        let dtype = preprocess.check_input(input.dtype).map_err(Misfit::at(folder, &input.name))?;
        if files.len() < input.pictures() {
            let expected =
                format!("at least {} pictures, the batch of input {}", input.pictures(), input.name);
            return Err(Error::samples(folder, "folder", expected, files.len().to_string()));
        }
        let pictures =
            Self { files, labels, classes, preprocess: preprocess.clone(), input: input.clone(), dtype };
        pictures.get(0)?;
        Ok(pictures)
    }
}

impl Source for Pictures {
    fn len(&self) -> usize {
        self.files.len() / self.input.pictures()
    }

    fn labelled(&self) -> bool {
        !self.labels.is_empty()
    }

    fn labels(&self) -> &[i64] {
        &self.labels
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn is_finite(&self) -> bool {
        true
    }

    fn name(&self, index: usize) -> String {
        let batch = self.input.pictures();
        let names = self.files.chunks_exact(batch).nth(index).unwrap_or(&[]);
        names.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    fn get(&self, index: usize) -> Result<Sample> {
        let batch = self.input.pictures();
        let mut raw = Vec::new();
        let mut first: Option<[usize; 3]> = None;
        let mut last = Path::new("");
        for path in self.files.chunks_exact(batch).nth(index).unwrap_or(&[]) {
            let misfit = || Misfit::at(path, "picture");
            let picture = decode(path, self.preprocess.is_gray())?;
            let dims = self.preprocess.apply(picture, self.dtype, &mut raw).map_err(misfit())?;
            if *first.get_or_insert(dims) != dims {
                let expected = "pictures of one size in a batch; centre_crop or resize makes them so";
                return Err(Error::samples(path, "picture", expected, "another size"));
            }
            last = path;
        }
        let dims = first.unwrap_or_default();
        let cut = self.preprocess.cut(&self.input, batch, dims).map_err(Misfit::at(last, "picture"))?;
        let labels = self.labels.chunks_exact(batch).nth(index).unwrap_or(&[]).to_vec();
        Ok(Sample { inputs: vec![tensor(self.input.name.as_str(), self.dtype, &cut.dims, raw)], labels })
    }
}

/// That nobody said how pictures become `input`.
fn undescribed(folder: &Path, input: &Input) -> Error {
    let dtype = match input.dtype {
        0 => String::new(),
        code => format!(" {}", dtype_name(code)),
    };
    let presets = Preset::names();
    Error::options(
        format!("{} holds pictures", folder.display()),
        format!(
            "tell fourbit how to turn them into input `{}`{dtype} {}: `.preprocess` {presets}, or a TOML file with divide_by, mean, \
             std, resize",
            input.name,
            input.shape()
        ),
    )
}

/// Decodes to RGB, or to gray where that is wanted, as Pillow's `convert` does: no colour
/// management, no rotation, transparency dropped.
fn decode(path: &Path, to_gray: bool) -> Result<Picture> {
    let damaged = |found: String| Error::samples(path, "picture", "a picture that can be decoded", found);
    let mut bytes = Vec::new();
    BufReader::new(files::open(path)?).read_to_end(&mut bytes).map_err(Error::read(path))?;
    if whole::ends_early(&bytes) {
        return Err(damaged("a truncated file: it ends in the middle of the picture".into()));
    }
    let reader = ImageReader::new(Cursor::new(bytes));
    let mut reader = reader.with_guessed_format().map_err(Error::read(path))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(LARGEST_PICTURE);
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    reader.limits(limits);
    let image = reader.decode().map_err(|error| damaged(error.to_string()))?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    if width == 0 || height == 0 {
        return Err(damaged("no pixels".into()));
    }
    let (channels, pixels) = match image {
        DynamicImage::ImageLuma8(image) if to_gray => (1, image.into_raw()),
        image if to_gray => (1, gray(&image.into_rgb8().into_raw())),
        image => (3, image.into_rgb8().into_raw()),
    };
    Ok(Picture { width, height, channels, pixels })
}

#[cfg(test)]
mod tests {
    use super::super::found::LIST;
    use super::*;
    use crate::samples::input::Dim;
    use crate::samples::preprocess::tests::preprocess;

    fn inputs(dims: &[usize]) -> Vec<Input> {
        let dims = dims.iter().map(|&size| if size == 0 { Dim::Unknown } else { Dim::Fixed(size) });
        vec![Input { name: "x".into(), dtype: 1, dims: Some(dims.collect()), batch_axis: None }]
    }

    fn save(path: &Path, gray: u8) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_pixel(3, 2, image::Rgb([gray, gray, gray])).save(path).unwrap();
    }

    fn open(folder: &Path, dims: &[usize]) -> Result<Pictures> {
        Pictures::open(folder, &inputs(dims), Some(&preprocess("channel_order = \"gray\"").unwrap()))
    }

    #[test]
    fn sub_folders_are_classes_in_sorted_order() {
        let folder = tempfile::tempdir().unwrap();
        for (name, gray) in [("b/2.png", 3), ("b/1.PNG", 2), ("a/9.bmp", 1), (".hidden/0.png", 9)] {
            save(&folder.path().join(name), gray);
        }
        std::fs::write(folder.path().join("a/notes.txt"), "").unwrap();
        let pictures = open(folder.path(), &[0, 1, 2, 3]).unwrap();
        assert_eq!(pictures.labels, [0, 1, 1]);
        let sample = pictures.get(2).unwrap();
        assert_eq!(
            (sample.inputs[0].dims.as_slice(), sample.labels.as_slice()),
            (&[1, 1, 2, 3][..], &[1][..])
        );
        assert_eq!(crate::onnx::floats(&sample.inputs[0]).unwrap(), [3.0; 6]);
        save(&folder.path().join("stray.png"), 1);
        assert!(open(folder.path(), &[0, 1, 2, 3]).unwrap_err().to_string().contains("both"));
        std::fs::remove_file(folder.path().join("stray.png")).unwrap();
        std::fs::create_dir(folder.path().join("aa")).unwrap();
        let error = open(folder.path(), &[0, 1, 2, 3]).unwrap_err().to_string();
        assert!(error.contains("aa") && error.contains("a picture at least"), "{error}");
    }

    #[test]
    fn fixed_batches_are_filled_and_the_rest_dropped() {
        let folder = tempfile::tempdir().unwrap();
        (1..=5).for_each(|at| save(&folder.path().join(format!("{at}.png")), at));
        let pictures = open(folder.path(), &[2, 1, 2, 3]).unwrap();
        assert!(pictures.len() == 2 && !pictures.labelled());
        let values = crate::onnx::floats(&pictures.get(1).unwrap().inputs[0]).unwrap();
        assert_eq!(values, [3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]);
        assert!(open(folder.path(), &[6, 1, 2, 3]).is_err());
        let error = open(folder.path(), &[0, 3, 2, 2]).unwrap_err().to_string();
        assert!(error.contains("3x2x2 for input x") && error.contains("1x2x3 after"), "{error}");
    }

    #[test]
    fn no_output_takes_the_place_of_a_picture() {
        let folder = tempfile::tempdir().unwrap();
        let mut guard = files::Guard::new();
        guard.reads(folder.path());
        for ending in ENDINGS {
            let path = folder.path().join(format!("1.{ending}"));
            std::fs::write(&path, "").unwrap();
            assert!(guard.check(&path).is_err(), "{ending}");
        }
    }

    #[test]
    fn a_list_gives_order_and_labels() {
        let folder = tempfile::tempdir().unwrap();
        (1..=3).for_each(|at| save(&folder.path().join(format!("{at}.png")), at));
        let list = |text: &str| {
            std::fs::write(folder.path().join(LIST), text).unwrap();
            open(folder.path(), &[1, 1, 2, 3])
        };
        let pictures = list("file,label\n3.png, 7\n1.png,0\n").unwrap();
        assert_eq!((pictures.labels.as_slice(), pictures.len()), (&[7, 0][..], 2));
        for (text, word) in [
            ("file,label\n3.png,x\n", "line 2"),
            ("file,label\n3.png,-1\n", "class index"),
            ("file,label\n1.png,0\n4.png,1\n", "4.png"),
            ("file,label\n../1.png,1\n", "../1.png"),
            ("name,label\n1.png,1\n", "file,label"),
            ("file,label\n1.png\n", "labels.csv"),
        ] {
            let error = list(text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn damaged_and_missing_pictures_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        assert!(open(folder.path(), &[1, 1, 2, 3]).unwrap_err().to_string().contains("jpg, jpeg"));
        std::fs::write(folder.path().join("1.jpg"), [0xff, 0xd8, 0xff, 0xe0, 0, 16]).unwrap();
        assert!(open(folder.path(), &[1, 1, 2, 3]).unwrap_err().to_string().contains("1.jpg"));
        let error = Pictures::open(folder.path(), &inputs(&[1]), None).unwrap_err().to_string();
        assert!(
            error.contains("holds pictures; tell fourbit how to turn them into input `x` FLOAT [1]"),
            "{error}"
        );
        assert!(error.contains("`.preprocess` imagenet, 0..1, -1..1 or 0..255"), "{error}");
    }
}
