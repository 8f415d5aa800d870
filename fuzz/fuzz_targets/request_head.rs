#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weir::wire::h1::any_request_holds(bytes));
