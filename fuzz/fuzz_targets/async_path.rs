#![no_main]
libfuzzer_sys::fuzz_target!(|path: &str| weir::wire::async_path::any_async_path_holds(path));
