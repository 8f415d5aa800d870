//! Texts from answers, cut to a length that is fit to be shown.

/// The first characters of a text, and whether there are more.
pub(super) fn clip(text: &str, chars_max: usize) -> (&str, bool) {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}

/// The same for bytes that may be text: not in the middle of a character.
pub(super) fn clip_bytes(bytes: &[u8], bytes_max: usize) -> &[u8] {
    if bytes.len() <= bytes_max {
        return bytes;
    }
    let head = &bytes[..bytes_max];
    match std::str::from_utf8(head) {
        // The end is missing, and nothing else is wrong.
        Err(error) if error.error_len().is_none() => &head[..error.valid_up_to()],
        _ => head,
    }
}
