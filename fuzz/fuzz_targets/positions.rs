#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lab_probe::fuzzing::positions(bytes));
