//! The targets of the fuzzer on its seeds, and on seeds that were changed: the same ones in every run. `FUZZ=100000` changes that
//! many a target; `fuzz/README.md` says how to look for more.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fourbit::fuzzing;

use super::random::chance::Chance;

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

/// Changes `bytes` in one of the ways in which files are damaged or made up; `other` is a file of the same kind.
fn change(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'-', b'9'];
    let at = below(chance, bytes.len());
    let length = 1 + below(chance, 16);
    let end = (at + length).min(bytes.len());
    match chance.below(8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let copy = bytes[at..end].to_vec();
            let to = below(chance, bytes.len());
            drop(bytes.splice(to..to, copy));
        }
        3 => {
            let from = below(chance, other.len());
            let piece = other[from..(from + length).min(other.len())].to_vec();
            drop(bytes.splice(at..end, piece));
        }
        4 | 5 => bytes[at] ^= 1 << chance.below(8),
        6 => bytes[at] = chance.pick(&TELLING),
        _ => bytes[at..end].iter_mut().take(8).for_each(|byte| *byte = 0xff),
    }
}

fn below(chance: &mut Chance, end: usize) -> usize {
    chance.below(end as i64) as usize
}

#[test]
fn anything_gives_a_value_or_an_error() {
    let changes = std::env::var("FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(CHANGES);
    for target in fuzzing::targets() {
        let seeds = seeds(target);
        assert!(!seeds.is_empty(), "{target} has no seeds");
        seeds.iter().for_each(|seed| fuzzing::run(target, seed));
        let mut chance = Chance::new(0);
        for number in 0..changes {
            let mut bytes = seeds[below(&mut chance, seeds.len())].clone();
            for _ in 0..=chance.below(4) {
                if !bytes.is_empty() {
                    let other = below(&mut chance, seeds.len());
                    change(&mut bytes, &seeds[other], &mut chance);
                }
            }
            let begun = Instant::now();
            if std::panic::catch_unwind(|| fuzzing::run(target, &bytes)).is_err() || begun.elapsed() > LONGEST
            {
                let path = std::env::temp_dir().join(format!("fourbit-fuzz-{target}-{number}"));
                fs::write(&path, &bytes).expect("it can be written");
                panic!("{target}: {} makes it panic, or takes too long", path.display());
            }
        }
    }
}
