#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weir::wire::h1::any_body_holds(bytes));
