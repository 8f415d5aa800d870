//! Tables for people.

/// Prints rows of cells under their titles. Rows with nothing in them are left out (the direct one
/// of a closed loop), and so are columns.
pub(crate) fn print(titles: &[&str], rows: &[(String, Vec<String>)]) {
    let rows: Vec<_> = rows
        .iter()
        .filter(|(_, cells)| cells.iter().any(|cell| cell != "-"))
        .collect();
    let first = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let shown: Vec<usize> = (0..titles.len())
        .filter(|&at| rows.iter().any(|(_, cells)| cells[at] != "-"))
        .collect();
    let width = |at: usize| titles[at].len().max(7) + 2;
    let heads = shown
        .iter()
        .map(|&at| format!("{:>1$}", titles[at], width(at)));
    println!("{:first$}{}", "", heads.collect::<String>());
    for (name, cells) in rows {
        let cells = shown
            .iter()
            .map(|&at| format!("{:>1$}", cells[at], width(at)));
        println!("{name:first$}{}", cells.collect::<String>());
    }
}

/// A figure with so many digits behind its point; a dash when there is none.
pub(crate) fn cell(value: f64, digits: usize) -> String {
    if value.is_nan() {
        "-".to_owned()
    } else {
        format!("{value:.digits$}")
    }
}
