//! What of a body is kept: unpacked, cut to its cap, and without what nobody shall read.

use serde_json::Value;

use super::{clip::clip_bytes, normal, unpack::unpack};
use crate::spec::JsonPointer;

/// A body as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redacted {
    /// What is kept.
    pub bytes: Vec<u8>,
    /// Whether there was more of it.
    pub is_cut: bool,
    /// Whether something was replaced by `***`.
    pub is_redacted: bool,
    /// Whether nothing is kept, because it can't be told what it holds.
    pub is_withheld: bool,
}

/// What stands in a redacted place.
const STARS: &str = "***";

/// What is kept of a body. Without pointers that are its first bytes, unpacked if weir can. With any,
/// it is the JSON text written anew, so that of a name that comes twice only the value that counts is
/// left; a body that is not JSON, such as one that was cut, is withheld, and so is one that is larger
/// than `bytes_max`.
pub fn redact(
    body: &[u8],
    content_type: Option<&str>,
    content_encoding: Option<&str>,
    pointers: &[JsonPointer],
    bytes_max: usize,
) -> Redacted {
    // Whatever the header says, what is not JSON is found out by reading it.
    let _ = content_type;
    let plain = unpack(body, content_encoding);
    if pointers.is_empty() {
        let plain = plain.as_deref().unwrap_or(body);
        let kept = clip_bytes(plain, bytes_max);
        return Redacted {
            bytes: kept.to_vec(),
            is_cut: kept.len() < plain.len(),
            ..Redacted::default()
        };
    }
    // Before it is read: a tree is many times as large as its text.
    let small = plain.ok().filter(|plain| plain.len() <= bytes_max);
    let written = small.and_then(|plain| rewrite(&plain, pointers));
    match written.filter(|(bytes, _)| bytes.len() <= bytes_max) {
        Some((bytes, is_redacted)) => Redacted {
            bytes,
            is_redacted,
            ..Redacted::default()
        },
        None => Redacted {
            is_withheld: true,
            ..Redacted::default()
        },
    }
}

fn rewrite(text: &[u8], pointers: &[JsonPointer]) -> Option<(Vec<u8>, bool)> {
    if text.is_empty() {
        return Some((Vec::new(), false));
    }
    let mut value: Value = serde_json::from_slice(text).ok()?;
    let mut is_redacted = false;
    for pointer in pointers {
        is_redacted |= cover(&mut value, pointer.steps());
    }
    let bytes = serde_json::to_vec(&value).ok()?;
    Some((bytes, is_redacted))
}

/// Puts stars in all places behind these steps, and says whether there was one.
fn cover(value: &mut Value, steps: &[String]) -> bool {
    let Some((step, steps)) = steps.split_first() else {
        *value = Value::from(STARS);
        return true;
    };
    let mut is_covered = false;
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                is_covered |= normal::means_member(step, name) && cover(value, steps);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                is_covered |= normal::means_item(step, at) && cover(item, steps);
            }
        }
        _ => {}
    }
    is_covered
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pointers(texts: &[&str]) -> Vec<JsonPointer> {
        let parse = |text: &&str| JsonPointer::parse(text).expect("a pointer");
        texts.iter().map(parse).collect()
    }

    /// What is kept; none: it is withheld.
    fn check(body: &str, redacted: &[&str], bytes_max: usize, kept: Option<&str>) {
        let found = redact(body.as_bytes(), None, None, &pointers(redacted), bytes_max);
        assert_eq!(found.is_withheld, kept.is_none(), "{body} {redacted:?}");
        let bytes = kept.unwrap_or_default().as_bytes();
        assert_eq!(found.bytes, bytes, "{body} {redacted:?}");
    }

    #[test]
    fn places() {
        let check = |body, redacted: &[&str], kept| check(body, redacted, 100, kept);
        check(
            r#"{"a":1,"b":[2]}"#,
            &["/a"],
            Some(r#"{"a":"***","b":[2]}"#),
        );
        check(
            r#"{"b":[2,{"c":3}],"a":1}"#,
            &["/b/*"],
            Some(r#"{"b":["***","***"],"a":1}"#),
        );
        check(
            r#"{"b":[{"c":3},{"d":4}]}"#,
            &["/*/*/c"],
            Some(r#"{"b":[{"c":"***"},{"d":4}]}"#),
        );
        check(
            r#"{"a":{"secret":1}}"#,
            &["/a", "/a/secret"],
            Some(r#"{"a":"***"}"#),
        );
        check(r#"[1,2,3]"#, &["/1", "/9", "/01"], Some(r#"[1,"***",3]"#));
        check(r#"{"a":1}"#, &[""], Some(r#""***""#));
        check(r#"{"\u0061":1}"#, &["/a"], Some(r#"{"a":"***"}"#));
        // What was there twice is there once.
        check(r#"{"a":"secret","a":1}"#, &["/b"], Some(r#"{"a":1}"#));
        check("", &["/a"], Some(""));
        for no_json in ["x", "{", "data: {}\n\n", "{}{}", "\u{FEFF}{}"] {
            check(no_json, &["/a"], None);
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        check("aé", &[], 3, Some("aé"));
        check("aé", &[], 2, Some("a"));
        check("aé", &[], 0, Some(""));
        check("[1,2]", &["/0"], 4, None);
        // It grew.
        check("[1,2]", &["/0"], 5, None);
        check("[1,2]", &["/0"], 9, Some(r#"["***",2]"#));
        let found = redact(b"a\xFF\xFE", None, None, &[], 2);
        assert_eq!((&found.bytes[..], found.is_cut), (&b"a\xFF"[..], true));
        let found = redact(b"[1]", None, None, &pointers(&["/0"]), 9);
        assert!(found.is_redacted && !found.is_cut);
        let found = redact(b"[1]", None, None, &pointers(&["/1"]), 9);
        assert!(!found.is_redacted);
    }

    #[test]
    fn what_is_packed() {
        use std::io::Write;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"{\"a\":1}").expect("memory");
        let packed = packed.finish().expect("memory");
        let keep = |encoding, redacted: &[&str]| {
            let found = redact(&packed, None, Some(encoding), &pointers(redacted), 100);
            (!found.is_withheld).then_some(found.bytes)
        };
        assert_eq!(keep("gzip", &[]).as_deref(), Some(&b"{\"a\":1}"[..]));
        assert_eq!(
            keep("gzip", &["/a"]).as_deref(),
            Some(&b"{\"a\":\"***\"}"[..])
        );
        assert_eq!(keep("br", &[]), Some(packed.clone()));
        assert_eq!(keep("br", &["/a"]), None);
    }

    proptest! {
        #[test]
        fn secrets_never_appear(
            names in prop::collection::vec("[ab*~/]", 1..4),
            pointed in prop::collection::vec(any::<bool>(), 4),
            noise in "[ -~]{0,20}",
            cut in 0..60_usize,
        ) {
            // A secret behind some steps, beside what may be seen, under a pointer that leads there.
            let mut body = Value::from("S3CRET");
            let mut pointer = String::new();
            for (name, by_star) in names.iter().zip(&pointed) {
                let mut step = String::new();
                JsonPointer::push(&mut step, if *by_star { "*" } else { name });
                pointer.insert_str(0, &step);
                body = serde_json::json!({ name.as_str(): body, "seen": noise.as_str() });
            }
            let text = body.to_string();
            let pointers = pointers(&[&pointer]);
            let found = redact(text.as_bytes(), None, None, &pointers, 1_000);
            prop_assert!(found.is_redacted && !found.is_withheld);
            prop_assert!(!String::from_utf8_lossy(&found.bytes).contains("S3CRET"));
            // Cut on its way here, or too large: nothing is kept.
            let part = &text.as_bytes()[..cut.min(text.len() - 1)];
            let found = redact(part, None, None, &pointers, 1_000);
            prop_assert!(found.bytes.is_empty());
            let found = redact(text.as_bytes(), None, None, &pointers, text.len() - 1);
            prop_assert!(found.bytes.len() < text.len());
            prop_assert!(!String::from_utf8_lossy(&found.bytes).contains("S3CRET"));
        }
    }
}
