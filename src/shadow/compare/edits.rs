//! The Levenshtein distance: how many insertions, deletions and replacements make one row of symbols
//! of another.

/// The distance of two rows, whose symbols are numbers below `symbols`.
pub(super) fn distance(a: &[u32], b: &[u32], symbols: usize) -> usize {
    // What is the same at both ends costs nothing.
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same..], &b[same..]);
    let backwards = a.iter().rev().zip(b.iter().rev());
    let same = backwards.take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - same], &b[..b.len() - same]);
    let mut places = vec![0; symbols];
    to_prefixes(a, b, &mut places).last().unwrap_or(a.len())
}

/// An upper bound of the distance, for rows that are long: pieces of `a` are taken one by one, each
/// with the part of `b` that is nearest to it, behind the last one and within twice its length. Edits
/// of pieces one behind the other are edits of the whole, if not always the fewest; text that has
/// moved by less than a piece is found again. It takes some `steps_max` steps.
pub(super) fn distance_in_pieces(
    a: &[u32],
    mut b: &[u32],
    symbols: usize,
    steps_max: usize,
) -> usize {
    // A piece of `n` takes `2 n` columns of `n / 64` words, and there are `a.len() / n` of them.
    let piece = (steps_max * 32 / a.len().max(1)).max(64);
    let mut places = vec![0; symbols];
    let (mut left, mut edits) = (a.len(), 0);
    for a in a.chunks(piece) {
        left -= a.len();
        let near = &b[..b.len().min(2 * piece)];
        let ends = [a.len()]
            .into_iter()
            .chain(to_prefixes(a, near, &mut places));
        let best = ends.enumerate().min_by_key(|(end, edits)| {
            // Behind the last piece, all that is left of `b` is too much.
            let over = if left == 0 { b.len() - end } else { 0 };
            (edits + over, end.abs_diff(a.len()))
        });
        let (end, fewest) = best.unwrap_or_default();
        edits += fewest;
        b = &b[end..];
    }
    edits + b.len()
}

/// The distance of a pattern to each prefix of a text, but to the empty one.
///
/// It is Myers' algorithm as Hyyrö gives it (G. Myers, "A fast bit-vector algorithm for approximate
/// string matching based on dynamic programming", JACM 46, 1999; H. Hyyrö, "A bit-vector algorithm for
/// computing Levenshtein and Damerau edit distances", 2003): a word holds the differences of 64
/// neighbouring cells of a column, and a step computes them all. Here the rows of the table are taken
/// 64 at a time over the whole of `text`, so that only one word for each symbol is at hand, and the
/// sign of each column is handed down to the next 64.
///
/// `places` has a zero for each symbol, and is left so: in it is noted where each of the 64 stands.
fn to_prefixes(
    pattern: &[u32],
    text: &[u32],
    places: &mut [u64],
) -> impl Iterator<Item = usize> + use<> {
    // Whether each cell is one more, or one less, than its left neighbour: above the first row, each
    // column is one more.
    let mut handed = vec![(1_u8, 0_u8); text.len()];
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
            *handed = (
                (row_more >> bottom & 1) as u8,
                (row_less >> bottom & 1) as u8,
            );
            let row_more = row_more << 1 | above_more;
            let row_less = row_less << 1 | above_less;
            more = row_less | !(vertical | row_more);
            less = row_more & vertical;
        }
        for &symbol in rows {
            places[symbol as usize] = 0;
        }
    }
    let signs = handed.into_iter();
    signs.scan(pattern.len(), |edits, (more, less)| {
        *edits = *edits + usize::from(more) - usize::from(less);
        Some(*edits)
    })
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

    #[test]
    fn what_has_moved_is_found_again() {
        let row: Vec<u32> = (0..10_000).collect();
        let mut moved = row.clone();
        moved.splice(5_000..5_000, 10_000..10_100);
        moved.splice(2_000..2_050, []);
        // Pieces of 320.
        let steps_max = 100_000;
        for (a, b) in [(&row, &moved), (&moved, &row)] {
            assert_eq!(distance_in_pieces(a, b, 10_100, steps_max), 150);
        }
        let other: Vec<u32> = (10_100..20_100).collect();
        let far = distance_in_pieces(&row, &other, 20_100, steps_max);
        assert!((10_000..=20_000).contains(&far), "{far}");
        assert_eq!(distance_in_pieces(&[], &row, 10_000, steps_max), 10_000);
        assert_eq!(distance_in_pieces(&row, &[], 10_000, steps_max), 10_000);
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
            // In pieces, here of 64 and more: never fewer.
            for other in [&b, &near] {
                let least = plain_distance(&a, other);
                prop_assert!(distance_in_pieces(&a, other, 4, 0) >= least);
                prop_assert_eq!(distance_in_pieces(&a, other, 4, 4_000), least);
            }
        }
    }
}
