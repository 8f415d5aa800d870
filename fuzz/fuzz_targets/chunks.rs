#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weir::upstream::h1::decode::any_cut_holds(bytes));
