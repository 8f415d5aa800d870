#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weir::upstream::h1::answers::any_answer_holds(bytes));
