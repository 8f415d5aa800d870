#![no_main]
libfuzzer_sys::fuzz_target!(|path: &str| weir::wire::target::any_path_holds(path));
