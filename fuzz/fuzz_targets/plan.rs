#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fourbit::fuzzing::run("plan", bytes));
