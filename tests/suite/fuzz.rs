//! The targets of the fuzzer on its seeds, and on seeds that were changed: the same ones in every run. `FUZZ=100000` changes that
//! many a target; `fuzz/README.md` says how to look for more.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fourbit::fuzzing;

/// Changed seeds a target, where no number is asked for.
const CHANGES: u64 = 20_000;
/// No input of kilobytes may take longer, by far.
const LONGEST: Duration = Duration::from_secs(20);

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a seed")).collect()
}

/// Numbers that look random, from a seed (Steele, Lea and Flood: SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// Changes `bytes` in one of the ways in which files are damaged or made up; `other` is a file of the same kind.
    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'-', b'9'];
        let at = self.below(bytes.len());
        let length = 1 + self.below(16);
        let end = (at + length).min(bytes.len());
        match self.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let copy = bytes[at..end].to_vec();
                let to = self.below(bytes.len());
                drop(bytes.splice(to..to, copy));
            }
            3 => {
                let from = self.below(other.len());
                let piece = other[from..(from + length).min(other.len())].to_vec();
                drop(bytes.splice(at..end, piece));
            }
            4 | 5 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
            6 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte = TELLING[self.below(8)]),
            _ => bytes[at..end].iter_mut().take(8).for_each(|byte| *byte = 0xff),
        }
    }
}

#[test]
fn anything_gives_a_value_or_an_error() {
    let changes = std::env::var("FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(CHANGES);
    for target in fuzzing::targets() {
        let seeds = seeds(target);
        assert!(!seeds.is_empty(), "{target} has no seeds");
        seeds.iter().for_each(|seed| fuzzing::run(target, seed));
        let mut numbers = Numbers(0);
        for change in 0..changes {
            let mut bytes = seeds[numbers.below(seeds.len())].clone();
            for _ in 0..=numbers.below(4) {
                if !bytes.is_empty() {
                    let other = numbers.below(seeds.len());
                    numbers.change(&mut bytes, &seeds[other]);
                }
            }
            let begun = Instant::now();
            if std::panic::catch_unwind(|| fuzzing::run(target, &bytes)).is_err() || begun.elapsed() > LONGEST
            {
                let path = std::env::temp_dir().join(format!("fourbit-fuzz-{target}-{change}"));
                fs::write(&path, &bytes).expect("it can be written");
                panic!("{target}: {} makes it panic, or takes too long", path.display());
            }
        }
    }
}
