#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weir::upstream::h1::head::any_head_holds(bytes));
