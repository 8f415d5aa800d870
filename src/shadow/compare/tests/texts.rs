//! Texts, streamed and whole.

use super::*;

#[test]
fn texts() {
    let spec = |abs| CompareSpec {
        tolerance_abs: abs,
        ..of_kind(CompareKind::Text)
    };
    let check = |abs, main: &str, challenger: &str, distance: f64, wanted| {
        let (main, challenger) = (main.as_bytes(), challenger.as_bytes());
        let answers = [main, challenger].map(|body| answer("text/plain", body));
        let compared = check(&spec(abs), &answers[0], &answers[1], wanted);
        let Compared::Looked(found) = compared else {
            panic!("looked at");
        };
        assert_eq!(found.distance, distance);
    };
    check(None, "", "", 0.0, SAME);
    check(None, "", "a", 1.0, DIFFERENT);
    check(None, " a  b\n", "a b", 0.0, SAME);
    check(None, "abcdefghij", "abcdefghix", 0.1, SAME);
    check(None, "abcdefghi", "abcdefghx", 1.0 / 9.0, DIFFERENT);
    check(Some(0.0), "abcdefghij", "abcdefghix", 0.1, DIFFERENT);
    check(Some(1.0), "a", "b", 1.0, SAME);
    check(
        None,
        "日本語のテキスト",
        "日本語のテキズト",
        0.125,
        DIFFERENT,
    );
    check(None, "e\u{301}", "é", 1.0, DIFFERENT);
}

#[test]
fn streams_of_text() {
    let spec = CompareSpec::default();
    let main = answer(
        "text/event-stream",
        b"data: {\"token\":\"a\",\"index\":0}\n\ndata: {\"token\":\" b\",\"index\":1}\n\ndata: [DONE]\n\n",
    );
    // The pieces may be others, and so may be the way they come.
    for (content_type, body) in [
        ("text/event-stream", "data: {\"token\":\"a b\"}\r\n\r\n"),
        (
            "application/x-ndjson",
            "{\"text\":\"a \"}\n{\"text\":\"b\"}\n",
        ),
        ("", "data: a\n\ndata:  b\n\n"),
        ("text/plain", "a b"),
    ] {
        let found = looked(&spec, &main, &answer(content_type, body.as_bytes()));
        assert_eq!(
            (found.kind, found.distance),
            (CompareKind::Text, 0.0),
            "{body}"
        );
    }
}

#[test]
fn long_texts() {
    let spec = of_kind(CompareKind::Text);
    let text = |words: usize, every: usize| {
        let word = |at: usize| {
            if at % every == every - 1 {
                "other".to_owned()
            } else {
                format!("w{at}")
            }
        };
        let words: Vec<_> = (0..words).map(word).collect();
        words.join(" ")
    };
    let distance = |main: &str, challenger: &str| {
        let (main, challenger) = (main.as_bytes(), challenger.as_bytes());
        let answers = [main, challenger].map(|body| answer("text/plain", body));
        looked(&spec, &answers[0], &answers[1]).distance
    };
    // By words, whole; and in pieces.
    for words in [5_000, 60_000] {
        let (main, near) = (text(words, usize::MAX), text(words, 20));
        assert!((distance(&main, &near) - 0.05).abs() < 0.001);
        let moved = format!("{} {main}", text(100, usize::MAX));
        let moved = distance(&main, &moved);
        assert!(
            (moved - 100.0 / (words + 100) as f64).abs() < 0.001,
            "{moved}"
        );
        assert!(distance(&main, &near.replace('w', "v")) > 0.99);
    }
    // Scripts without spaces, and no words at all.
    for (piece, other) in [("字典", "字点"), ("abcdefgh", "abcdefgx")] {
        let main = piece.repeat(20_000);
        let near = main.replacen(piece, other, 1_000);
        let distance = distance(&main, &near);
        assert!(distance > 0.0 && distance < 0.06, "{distance}");
    }
    let long = "x".repeat((512 << 10) + 1);
    let long = answer("text/plain", long.as_bytes());
    check(&spec, &long, &long, "too_large");
}
