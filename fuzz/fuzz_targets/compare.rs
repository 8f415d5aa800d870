#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weir::shadow::compare::any_pair_holds(bytes));
