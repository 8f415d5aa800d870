//! The Levenshtein distance: how many insertions, deletions and replacements make one row of symbols
//! of another.

/// The distance of two rows, whose symbols are numbers below `symbols`.
///
/// It is Myers' algorithm as Hyyrö gives it (G. Myers, "A fast bit-vector algorithm for approximate
/// string matching based on dynamic programming", JACM 46, 1999; H. Hyyrö, "A bit-vector algorithm for
/// computing Levenshtein and Damerau edit distances", 2003): a word holds the differences of 64
/// neighbouring cells of a column, and a step computes them all. Here the rows of the table are taken
/// 64 at a time over the whole of `text`, so that only one word for each symbol is at hand, and a
/// sign for each column is handed down to the next 64.
pub(super) fn distance(pattern: &[u32], text: &[u32], symbols: usize) -> usize {
    // What is the same at both ends costs nothing.
    let same = pattern.iter().zip(text).take_while(|(a, b)| a == b).count();
    let (pattern, text) = (&pattern[same..], &text[same..]);
    let backwards = pattern.iter().rev().zip(text.iter().rev());
    let same = backwards.take_while(|(a, b)| a == b).count();
    let pattern = &pattern[..pattern.len() - same];
    let text = &text[..text.len() - same];

    // Where each symbol stands among the 64 at hand.
    let mut places = vec![0_u64; symbols];
    // The difference of each cell to its left neighbour, above the first row: each column is one more.
    let mut handed = vec![(true, false); text.len()];
    let mut last = pattern.len();
    for rows in pattern.chunks(64) {
        for (at, &symbol) in rows.iter().enumerate() {
            places[symbol as usize] |= 1 << at;
        }
        let bottom = rows.len() - 1;
        let (mut more, mut less) = (u64::MAX, 0_u64);
        for (&symbol, handed) in text.iter().zip(&mut handed) {
            let (above_more, above_less) = (u64::from(handed.0), u64::from(handed.1));
            let equal = places[symbol as usize];
            let vertical = equal | less;
            let equal = equal | above_less;
            let diagonal = (((equal & more).wrapping_add(more)) ^ more) | equal;
            let row_more = less | !(diagonal | more);
            let row_less = more & diagonal;
            *handed = (row_more >> bottom & 1 == 1, row_less >> bottom & 1 == 1);
            let row_more = row_more << 1 | above_more;
            let row_less = row_less << 1 | above_less;
            more = row_less | !(vertical | row_more);
            less = row_more & vertical;
        }
        for &symbol in rows {
            places[symbol as usize] = 0;
        }
    }
    if pattern.is_empty() {
        return text.len();
    }
    for (more, less) in handed {
        last = last + usize::from(more) - usize::from(less);
    }
    last
}

/// What a distance costs at the most, in steps of 64 cells.
pub(super) fn steps(pattern: usize, text: usize) -> usize {
    pattern.div_ceil(64).saturating_mul(text)
}

/// The same by the book: a table of all prefixes.
#[cfg(test)]
pub(super) fn plain_distance(a: &[u32], b: &[u32]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn distances() {
        let check = |a: &str, b: &str, wanted| {
            let [a, b] = [a, b].map(|text| text.bytes().map(u32::from).collect::<Vec<_>>());
            assert_eq!(distance(&a, &b, 256), wanted);
            assert_eq!(plain_distance(&a, &b), wanted);
        };
        check("", "", 0);
        check("abc", "", 3);
        check("", "abc", 3);
        check("kitten", "sitting", 3);
        check("saturday", "sunday", 3);
        check(&"a".repeat(130), &"b".repeat(64), 130);
        check(&"ab".repeat(64), &"ba".repeat(64), 2);
    }

    proptest! {
        #[test]
        fn as_by_the_book(
            a in prop::collection::vec(0..4_u32, 0..300),
            b in prop::collection::vec(0..4_u32, 0..300),
            cut in (0..300_usize, 0..20_usize),
        ) {
            prop_assert_eq!(distance(&a, &b, 4), plain_distance(&a, &b));
            prop_assert_eq!(distance(&a, &b, 4), distance(&b, &a, 4));
            // A text and a near relation of it.
            let mut near = a.clone();
            let at = cut.0.min(near.len());
            near.splice(at..(at + cut.1).min(a.len()), [3, 3]);
            prop_assert_eq!(distance(&a, &near, 4), plain_distance(&a, &near));
        }
    }
}
