#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weir::wire::headers::any_policy_holds(bytes));
