#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weir::wire::authority::any_authority_holds(bytes));
