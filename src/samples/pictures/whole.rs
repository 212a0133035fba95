//! Whether a JPEG file has all of its picture: decoders fill up what is missing without a word.

/// Whether these bytes are a JPEG file that ends before its picture does.
pub(super) fn ends_early(bytes: &[u8]) -> bool {
    let Some(mut rest) = bytes.strip_prefix(&[0xff, 0xd8]) else { return false };
    let mut scanned = false;
    loop {
        // To the next marker: in the coded picture 0xff 0x00 is a byte, and restarts belong to it.
        let marker = rest.windows(2).position(|pair| {
            pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xff) && !(scanned && matches!(pair[1], 0xd0..=0xd7))
        });
        let Some(at) = marker else { return true };
        let (kind, after) = (rest.get(at + 1).copied().unwrap_or(0), rest.get(at + 2..).unwrap_or(&[]));
        match kind {
            0xd9 => return false,
            0x01 | 0xd0..=0xd8 => rest = after,
            _ => {
                let Some(&[high, low]) = after.first_chunk::<2>() else { return true };
                let length = usize::from(u16::from_be_bytes([high, low]));
                let Some(next) = after.get(length.max(2)..) else { return true };
                scanned = scanned || kind == 0xda;
                rest = next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_anywhere_a_file_ends_early() {
        let picture = image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([(x * 6) as u8, (y * 8) as u8, 99]));
        let mut bytes = Vec::new();
        picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Jpeg).unwrap();
        assert!(!ends_early(&bytes));
        for length in 2..bytes.len() - 1 {
            assert!(ends_early(&bytes[..length]), "{length}");
        }
        let mut more = bytes.clone();
        more.extend([0, 1, 2]);
        assert!(!ends_early(&more));
    }

    #[test]
    fn other_files_are_not_judged() {
        assert!(!ends_early(b"\x89PNG") && !ends_early(b""));
    }
}
