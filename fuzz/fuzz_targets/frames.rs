#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    weir::net::frames::any_frames_hold(bytes);
    weir::net::ends::any_ends_hold(bytes);
});
