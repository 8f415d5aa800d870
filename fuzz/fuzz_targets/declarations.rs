#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| weir::spec::any_text_holds(text));
