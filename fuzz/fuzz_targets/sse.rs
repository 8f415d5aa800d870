#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weir::queue::any_stream_holds(bytes));
