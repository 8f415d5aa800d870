//! What a terminal shows of the bytes that it is sent: as much of one as commands here need.

use std::fmt;

/// A grid of characters with a cursor.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    grid: Vec<Vec<char>>,
    rows: usize,
    columns: usize,
    row: usize,
    column: usize,
    kept: (usize, usize),
    /// How often everything was wiped away.
    pub(crate) wipes: usize,
    /// Whether the cursor can be seen.
    pub(crate) cursor: bool,
    /// Whether this is the screen that programs borrow and give back.
    pub(crate) borrowed: bool,
}

impl Screen {
    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        Self {
            grid: vec![vec![' '; columns]; rows],
            rows,
            columns,
            row: 0,
            column: 0,
            kept: (0, 0),
            wipes: 0,
            cursor: true,
            borrowed: false,
        }
    }

    /// The lines, without what is empty behind them.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = |line: &Vec<char>| line.iter().collect::<String>().trim_end().to_owned();
        self.grid.iter().map(text).collect()
    }

    /// How many lines have these words.
    pub(crate) fn count(&self, words: &str) -> usize {
        self.lines().iter().filter(|l| l.contains(words)).count()
    }

    pub(crate) fn write(&mut self, text: &str) {
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => self.down(),
                '\u{8}' => self.column = self.column.saturating_sub(1),
                '\u{1b}' => match chars.next() {
                    Some('[') => {
                        let mut parameters = String::new();
                        let done = loop {
                            match chars.next() {
                                Some(c @ ('@'..='~')) => break c,
                                Some(c) => parameters.push(c),
                                None => return,
                            }
                        };
                        self.control(&parameters, done);
                    }
                    // A title or a link, which ends with BEL or ESC \.
                    Some(']') => {
                        for c in chars.by_ref() {
                            if c == '\u{7}' || c == '\\' {
                                break;
                            }
                        }
                    }
                    Some('7') => self.kept = (self.row, self.column),
                    Some('8') => (self.row, self.column) = self.kept,
                    _ => {}
                },
                c if c.is_control() => {}
                c => self.put(c),
            }
        }
    }

    fn put(&mut self, c: char) {
        if self.column >= self.columns {
            self.column = 0;
            self.down();
        }
        self.grid[self.row][self.column] = c;
        self.column += 1;
    }

    fn down(&mut self) {
        if self.row + 1 < self.rows {
            self.row += 1;
        } else {
            self.grid.remove(0);
            self.grid.push(vec![' '; self.columns]);
        }
    }

    fn control(&mut self, parameters: &str, done: char) {
        let mut numbers = parameters.split(';').map(|n| n.parse::<usize>().ok());
        let first = numbers.next().flatten();
        let n = first.unwrap_or(1).max(1);
        match done {
            'A' | 'F' => self.row = self.row.saturating_sub(n),
            'B' | 'E' => self.row = (self.row + n).min(self.rows - 1),
            'C' => self.column = (self.column + n).min(self.columns - 1),
            'D' => self.column = self.column.saturating_sub(n),
            'G' => self.column = (n - 1).min(self.columns - 1),
            'd' => self.row = (n - 1).min(self.rows - 1),
            'H' | 'f' => {
                self.row = (n - 1).min(self.rows - 1);
                let column = numbers.next().flatten().unwrap_or(1).max(1);
                self.column = (column - 1).min(self.columns - 1);
            }
            'J' => self.erase(first.unwrap_or(0)),
            'K' => {
                let (from, to) = match first.unwrap_or(0) {
                    0 => (self.column, self.columns),
                    1 => (0, self.column + 1),
                    _ => (0, self.columns),
                };
                let to = to.min(self.columns);
                self.grid[self.row][from.min(to)..to].fill(' ');
            }
            's' => self.kept = (self.row, self.column),
            'u' => (self.row, self.column) = self.kept,
            'h' | 'l' if parameters == "?25" => self.cursor = done == 'h',
            'h' | 'l' if parameters == "?1049" => {
                self.borrowed = done == 'h';
                self.fill_from(0);
            }
            _ => {}
        }
        if matches!(done, 'E' | 'F') {
            self.column = 0;
        }
    }

    fn erase(&mut self, how: usize) {
        match how {
            0 => {
                // From the first corner on it is the same as everything.
                self.wipes += usize::from((self.row, self.column) == (0, 0));
                let (row, column) = (self.row, self.column.min(self.columns));
                self.grid[row][column..].fill(' ');
                self.fill_from(row + 1);
            }
            1 => {
                for line in &mut self.grid[..self.row] {
                    line.fill(' ');
                }
            }
            _ => {
                self.wipes += 1;
                self.fill_from(0);
            }
        }
    }

    fn fill_from(&mut self, row: usize) {
        for line in &mut self.grid[row..] {
            line.fill(' ');
        }
    }
}

impl fmt::Display for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.lines().join("\n").trim_end())
    }
}

#[test]
fn it_shows_what_a_terminal_would() {
    let mut screen = Screen::new(3, 10);
    screen.write("one\r\ntwo\r\n\u{1b}[1mthree\u{1b}[0m\r\u{1b}[2A\u{1b}[KONE");
    assert_eq!(screen.to_string(), "ONE\ntwo\nthree");
    screen.write("\u{1b}[3;1H\r\nfour\u{1b}[?25l");
    assert_eq!(screen.to_string(), "two\nthree\nfour");
    assert_eq!(
        (screen.wipes, screen.cursor, screen.count("t")),
        (0, false, 2)
    );
    screen.write("\u{1b}[H\u{1b}[J0123456789ab");
    assert_eq!(
        (screen.wipes, screen.to_string().as_str()),
        (1, "0123456789\nab")
    );
    screen.write("\u{1b}[2J");
    assert_eq!((screen.wipes, screen.to_string().as_str()), (2, ""));
}
