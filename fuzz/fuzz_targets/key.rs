#![no_main]
libfuzzer_sys::fuzz_target!(|headers: &[u8]| weir::gateway::any_headers_hold(headers));
