#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| weir::net::tls::any_certificate_holds(bytes));
