//! A curve in one line of text.

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Values as a curve, the largest as high as it gets, nothing as the lowest. Gaps are spaces.
pub(in crate::cli) fn spark(values: &[Option<f64>]) -> String {
    let max = values.iter().flatten().copied().fold(0.0, f64::max);
    let level = |value: &Option<f64>| match value {
        None => ' ',
        Some(value) if max <= 0.0 || *value <= 0.0 => LEVELS[0],
        // Rounded up, so that a little is not nothing.
        Some(value) => LEVELS[((value / max * 7.0).ceil() as usize).min(7)],
    };
    values.iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_highest_and_a_little_is_not_nothing() {
        let values = [Some(0.0), Some(0.1), None, Some(50.0), Some(100.0)];
        assert_eq!(spark(&values), "▁▂ ▅█");
        assert_eq!(spark(&[Some(0.0), Some(0.0)]), "▁▁");
        assert_eq!(spark(&[]), "");
    }
}
