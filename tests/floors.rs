//! The floors of ARCHITECTURE.md, held against the source: a module imports from floors strictly
//! below its own. Siblings do not import each other, and since every import leads down, there can
//! be no circle.
//!
//! ```text
//! ARCHITECTURE.md ── the ```floors block ──▶ Floors ─┐
//! src/**/*.rs ──▶ tokens ──▶ paths from crate, self, super ─▶ violations
//! ```
//!
//! A path is resolved as the compiler would: `crate::{a, b::c}`, `super::super::a` and paths in the
//! middle of an expression all count; comments and strings do not. A module is a folder or file
//! directly in `src`, and its unit tests stand on its floor. What macros of other crates expand to
//! is out of sight.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each module's floor; 0 is the uppermost.
type Floors = BTreeMap<String, usize>;

#[derive(Debug, PartialEq)]
struct Token {
    text: String,
    line: usize,
}

/// Where a file's module stands, and what its paths begin with.
struct Place {
    module: Vec<String>,
    is_main: bool,
}

// === the table ===

/// Reads the block fenced as `floors`: one floor a line, its modules parted by spaces or `│`.
fn floors_of(architecture: &str) -> Floors {
    let mut lines = architecture.lines();
    assert!(
        lines.any(|line| line.trim() == "```floors"),
        "ARCHITECTURE.md has no block fenced as ```floors"
    );
    let mut floors = Floors::new();
    let inside = lines.take_while(|line| line.trim() != "```");
    for (floor, line) in inside.filter(|line| !line.trim().is_empty()).enumerate() {
        let names = line.split(|c: char| c.is_whitespace() || c == '│');
        for name in names.filter(|name| !name.is_empty()) {
            let twice = floors.insert(name.to_owned(), floor);
            assert_eq!(twice, None, "{name} stands on two floors");
        }
    }
    floors
}

// === tokens ===

/// Words, `::` and single marks. Comments, strings, characters and lifetimes are left out.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut i, mut line, mut tokens) = (0, 1, Vec::new());
    while i < chars.len() {
        let start = i;
        let mut kept = false;
        match (at(i), at(i + 1)) {
            ('/', '/') => i = find(&chars, i, "\n"),
            ('/', '*') => i = comment_end(&chars, i),
            ('"', _) => i = string_end(&chars, i),
            ('\'', '\\') => i = find(&chars, i + 3, "'") + 1,
            ('\'', _) if at(i + 2) == '\'' => i += 3,
            ('\'', _) => i += 1 + word_length(&chars, i + 1),
            (':', ':') => (i, kept) = (i + 2, true),
            (first, _) if is_word(first) => {
                i += word_length(&chars, i);
                let word: String = chars[start..i].iter().collect();
                if matches!(word.as_str(), "r" | "br" | "cr") && matches!(at(i), '"' | '#') {
                    // A raw string, unless `r#` begins a raw identifier, whose word comes next.
                    let hashes = chars[i..].iter().take_while(|&&c| c == '#').count();
                    if at(i + hashes) == '"' {
                        let close = format!("\"{}", "#".repeat(hashes));
                        i = find(&chars, i + hashes + 1, &close) + close.len();
                    } else {
                        i += hashes;
                    }
                } else {
                    kept = true;
                }
            }
            (first, _) => (i, kept) = (i + 1, !first.is_whitespace()),
        }
        i = i.min(chars.len());
        if kept {
            let text = chars[start..i].iter().collect();
            tokens.push(Token { text, line });
        }
        line += chars[start..i].iter().filter(|&&c| c == '\n').count();
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word_length(chars: &[char], from: usize) -> usize {
    chars[from..].iter().take_while(|&&c| is_word(c)).count()
}

/// Where `text` begins at or after `from`; the end if it does not.
fn find(chars: &[char], from: usize, text: &str) -> usize {
    let wanted: Vec<char> = text.chars().collect();
    (from..chars.len())
        .find(|&i| chars[i..].starts_with(&wanted))
        .unwrap_or(chars.len())
}

/// Behind a block comment; they nest.
fn comment_end(chars: &[char], from: usize) -> usize {
    let (mut i, mut depth) = (from, 0);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (i, depth) = (i + 2, depth + 1),
            ('*', Some('/')) => (i, depth) = (i + 2, depth - 1),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

/// Behind a string whose opening quote is at `from`.
fn string_end(chars: &[char], from: usize) -> usize {
    let mut i = from + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

// === paths ===

/// Every path of the file that begins with `crate`, `self` or `super` (in `main.rs`: `weir`), as
/// the absolute module path that it names, with its line.
fn paths(place: &Place, tokens: &[Token]) -> Vec<(Vec<String>, usize)> {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let mut inside = place.module.clone();
    // For each open brace, whether it belongs to an inline module.
    let mut braces = Vec::new();
    let mut found = Vec::new();
    for i in 0..tokens.len() {
        match text(i) {
            "{" => {
                let is_module = i >= 2 && text(i - 2) == "mod";
                if is_module {
                    inside.push(text(i - 1).to_owned());
                }
                braces.push(is_module);
            }
            "}" if braces.pop() == Some(true) => drop(inside.pop()),
            "crate" | "self" | "super" | "weir"
                if text(i + 1) == "::" && (i == 0 || text(i - 1) != "::") =>
            {
                let base = match text(i) {
                    "weir" if place.is_main => Vec::new(),
                    "weir" => continue,
                    "crate" if place.is_main => place.module.clone(),
                    "crate" => Vec::new(),
                    "super" => inside[..inside.len().saturating_sub(1)].to_vec(),
                    _ => inside.clone(),
                };
                follow(tokens, i + 2, base, &mut found);
            }
            _ => {}
        }
    }
    found
}

/// Follows the path, or the group of paths, at `i`, and returns the index behind it.
fn follow(
    tokens: &[Token],
    mut i: usize,
    mut base: Vec<String>,
    found: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    let text = |i: usize| tokens.get(i).map(|token| token.text.as_str());
    let line = tokens.get(i).map_or(0, |token| token.line);
    while let Some(token) = text(i) {
        match token {
            "{" => {
                i += 1;
                while text(i).is_some_and(|text| text != "}") {
                    i = follow(tokens, i, base.clone(), found);
                    // `as name`, or whatever else the reader does not know.
                    while text(i).is_some_and(|text| text != "," && text != "}") {
                        i += 1;
                    }
                    i += usize::from(text(i) == Some(","));
                }
                return i + 1;
            }
            "super" => drop(base.pop()),
            "self" | "*" => {}
            word if word.starts_with(is_word) => base.push(word.to_owned()),
            _ => break,
        }
        i += 1;
        if text(i) != Some("::") {
            break;
        }
        i += 1;
    }
    found.push((base, line));
    i
}

// === the check ===

/// What one file imports against the rules, each with its place.
fn violations(floors: &Floors, file: &str, source: &str) -> Vec<String> {
    let place = place_of(file);
    let Some(own) = place.module.first() else {
        // lib.rs: the table of contents.
        return Vec::new();
    };
    let Some(&own_floor) = floors.get(own) else {
        return vec![format!("{file}: {own} is on no floor of ARCHITECTURE.md")];
    };
    let mut told: Vec<String> = paths(&place, &tokens(source))
        .into_iter()
        .filter_map(|(path, line)| {
            let told = match path.first() {
                None => "names the crate's root as a whole; name the module".to_owned(),
                Some(module) if module == own => return None,
                Some(module) => match floors.get(module) {
                    None => format!("imports {module}, which is on no floor"),
                    Some(&floor) if floor > own_floor => return None,
                    Some(&floor) if floor == own_floor => {
                        format!("imports {module}, its sibling")
                    }
                    Some(_) => format!("imports {module}, which is above it"),
                },
            };
            Some(format!("{file}:{line}: {own} {told}"))
        })
        .collect();
    // A group names its module once for each of its items.
    told.dedup();
    told
}

/// The module of a file named relative to `src`.
fn place_of(file: &str) -> Place {
    let mut module: Vec<String> = file
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    let named_for_folder = module.len() > 1 && module.last().is_some_and(|last| last == "mod");
    if named_for_folder || file == "lib.rs" {
        module.pop();
    }
    Place {
        module,
        is_main: file == "main.rs",
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn real_floors() -> Floors {
    floors_of(&fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md"))
}

/// All `.rs` files below `src`, named relative to it.
fn real_files() -> Vec<(String, String)> {
    let src = root().join("src");
    let (mut folders, mut files) = (vec![src.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&src).expect("below src");
                let name = name.to_str().expect("UTF-8").replace('\\', "/");
                files.push((name, fs::read_to_string(&path).expect("a source file")));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn imports_lead_down() {
    let floors = real_floors();
    let mut seen = 0;
    let mut told = Vec::new();
    for (file, source) in real_files() {
        seen += paths(&place_of(&file), &tokens(&source)).len();
        told.extend(violations(&floors, &file, &source));
    }
    assert!(seen > 0, "no import found at all: the reader is blind");
    assert!(told.is_empty(), "\n{}", told.join("\n"));
}

#[test]
fn the_table_and_src_hold_the_same_modules() {
    let in_src: BTreeSet<String> = real_files()
        .iter()
        .filter_map(|(file, _)| place_of(file).module.first().cloned())
        .collect();
    let in_table: BTreeSet<String> = real_floors().into_keys().collect();
    let missing: Vec<_> = in_src.difference(&in_table).collect();
    assert!(missing.is_empty(), "in src, on no floor: {missing:?}");
    let stale: Vec<_> = in_table.difference(&in_src).collect();
    assert!(stale.is_empty(), "on a floor, not in src: {stale:?}");
}

// === the checker, checked ===

const TABLE: &str =
    "# Map\n```floors\nmain\napp demo\ngateway │ control\n\nbase\n```\nmore words\n";

/// What the checker says about one file, without its place.
fn told(file: &str, source: &str) -> Vec<String> {
    let prefix = format!("{file}:");
    violations(&floors_of(TABLE), file, source)
        .into_iter()
        .map(|line| line.strip_prefix(&prefix).expect("its file").to_owned())
        .collect()
}

#[test]
fn the_table_is_read_floor_by_floor() {
    let floors = floors_of(TABLE);
    let floor = |name: &str| floors[name];
    assert_eq!(floors.len(), 6);
    assert_eq!((floor("main"), floor("base")), (0, 3));
    assert_eq!((floor("app"), floor("demo")), (1, 1));
    assert_eq!((floor("gateway"), floor("control")), (2, 2));
}

#[test]
fn an_upward_import_is_told() {
    let upward = ["1: base imports gateway, which is above it"];
    for source in [
        "use crate::gateway::Serve;",
        "use crate::gateway;",
        "pub(crate) use crate::gateway as g;",
        "fn f() { crate::gateway::serve(); }",
        "use crate::{base::id, gateway::{a, b}};",
        "use crate::{base::{id as x, name}, gateway};",
        "use super::super::gateway;",
        "use super::{super::gateway::X};",
        "use self::super::super::gateway;",
        "mod tests { use super::super::super::gateway::*; }",
        "type T = Vec<crate::gateway::T>;",
        "macro_rules! m { () => { $crate::gateway::x() } }",
        "const Q: char = '\"'; use crate::gateway::Q; const R: char = '\"';",
        "fn f<'a>(x: &'a str) -> &'a str { crate::gateway::f(x) }",
        "const R: &str = r#\"\"#; use crate::gateway::R; const S: &str = \"\";",
        "use crate::r#gateway::X;",
    ] {
        assert_eq!(told("base/id.rs", source), upward, "{source}");
    }
    assert_eq!(told("base/id.rs", "\n/* \n */\nuse crate::main;").len(), 1);
    assert_eq!(told("base.rs", "use super::gateway;"), upward);
}

#[test]
fn a_sibling_import_is_told_and_so_one_side_of_every_circle() {
    assert_eq!(
        told("gateway/mod.rs", "\nuse crate::control::publish;"),
        ["2: gateway imports control, its sibling"]
    );
    assert_eq!(told("control.rs", "use crate::gateway::serve;").len(), 1);
    let circle = |one: &str, other: &str| {
        let file = |name: &str| format!("{name}/mod.rs");
        let import = |name: &str| format!("use crate::{name}::x;");
        told(&file(one), &import(other)).len() + told(&file(other), &import(one)).len()
    };
    assert!(circle("gateway", "base") == 1 && circle("app", "demo") == 2);
}

#[test]
fn imports_that_lead_down_or_stay_inside_are_silent() {
    for (file, source) in [
        ("gateway/serve.rs", "use crate::base::{id, name::Name};"),
        (
            "gateway/serve.rs",
            "use crate::gateway::route; use super::x;",
        ),
        (
            "gateway/serve.rs",
            "mod tests { use super::*; use super::super::y; }",
        ),
        (
            "gateway/serve.rs",
            "mod a { mod b { fn f() {} } } use super::base2::z;",
        ),
        (
            "gateway/mod.rs",
            "pub(crate) fn f() {} pub(super) fn g() {} pub(in crate::gateway) fn h() {}",
        ),
        (
            "base/id.rs",
            "// use crate::gateway;\n/* crate::gateway /* x */ crate::gateway */",
        ),
        (
            "base/id.rs",
            "const X: &str = \"\\\" crate::gateway\"; const Y: &str = r##\"\"# crate::gateway\"##;",
        ),
        (
            "base/id.rs",
            "fn f(&self) { self.gateway.weir(); } use weir::gateway;",
        ),
        (
            "main.rs",
            "use weir::{app, base}; fn main() { crate::helper(); weir::gateway::run() }",
        ),
        ("lib.rs", "pub mod gateway; pub use crate::gateway::Serve;"),
    ] {
        assert_eq!(told(file, source), [""; 0], "{file}: {source}");
    }
}

#[test]
fn what_no_floor_holds_is_told() {
    for (source, expected) in [
        (
            "use crate::Helper;",
            "1: base imports Helper, which is on no floor",
        ),
        (
            "use crate::*;",
            "1: base names the crate's root as a whole; name the module",
        ),
        (
            "use super::super::{self as root};",
            "1: base names the crate's root as a whole; name the module",
        ),
    ] {
        assert_eq!(told("base/id.rs", source), [expected], "{source}");
    }
    assert_eq!(
        violations(&floors_of(TABLE), "stray/mod.rs", ""),
        ["stray/mod.rs: stray is on no floor of ARCHITECTURE.md"]
    );
}

#[test]
#[should_panic(expected = "stands on two floors")]
fn a_module_on_two_floors_is_told() {
    floors_of("```floors\na\nb a\n```\n");
}
