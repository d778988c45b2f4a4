//! Programs of any kind: the evaluator ends, and the shortened program decides the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sandbox_seccomp::fuzzing;

fuzz_target!(|input: (Vec<(u16, u8, u8, u32)>, u32, u32, [u64; 6])| {
    let (program, arch, nr, args) = input;
    let long = fuzzing::run(&program, arch, nr, args);
    let short = fuzzing::run_shrunk(&program, arch, nr, args);
    assert_eq!(long, short);
});
