//! "Did you mean ...?"

/// The known word that `text` was most likely meant to be.
pub(crate) fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    // A word that is longer than any known one is nobody's typing mistake.
    let longest = known.iter().map(|word| word.len()).max()?;
    if text.len() > longest + 3 {
        return None;
    }
    let (distance, word) = known
        .iter()
        .map(|word| (edits(text, word), *word))
        .min_by_key(|(distance, _)| *distance)?;
    // A third of it may be wrong, which lets "wight" find "weight" and "x" find nothing.
    if distance <= text.chars().count() / 3 {
        return Some(word);
    }
    known.iter().copied().find(|word| is_part(text, word))
}

/// Whether `text` is `word` with words left out, as "cert" is of "cert_file". Shorter ones are of too many.
fn is_part(text: &str, word: &str) -> bool {
    text.len() >= 3 && format!("_{word}_").contains(&format!("_{text}_"))
}

/// How many characters have to be put in, taken out or replaced to get from one to the other.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_find_their_word() {
        let known = ["weight", "protocol", "url", "predict_path"];
        for (text, found) in [
            ("wight", Some("weight")),
            ("wieght", Some("weight")),
            ("protcol", Some("protocol")),
            ("predictpath", Some("predict_path")),
            ("urls", Some("url")),
            ("x", None),
            ("ur", None),
            ("backends", None),
            ("", None),
        ] {
            assert_eq!(nearest(text, &known), found, "{text}");
        }
        // Words that were left out, and of several the first that is asked for.
        let known = ["concurrency_max", "concurrency_min", "queue_timeout_ms"];
        for (text, found) in [
            ("concurrency", Some("concurrency_max")),
            ("timeout", Some("queue_timeout_ms")),
            ("timeout_ms", Some("queue_timeout_ms")),
            ("max", Some("concurrency_max")),
            ("ms", None),
            ("time", None),
            ("_", None),
            ("___", None),
        ] {
            assert_eq!(nearest(text, &known), found, "{text}");
        }
        assert_eq!(nearest(&"weight".repeat(1_000_000), &known), None);
        assert_eq!(nearest("weight", &[]), None);
    }
}
