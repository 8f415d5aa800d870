//! The files of a set of declarations, with every mistake of all of them at once.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    base::{
        id::KeyId,
        secret::{KeyDigest, id_within},
    },
    cli::failure::Failure,
    spec::{Declarations, utf8},
};

/// What names standard input.
const STDIN: &str = "-";

/// A file and what it declares.
#[derive(Debug)]
pub(in crate::cli) struct DeclaredFile {
    /// Its name, as it was given or found.
    pub(in crate::cli) path: PathBuf,
    /// What stands in it.
    pub(in crate::cli) declarations: Declarations,
}

/// Why a set of files is no declarations: a line for each mistake, with its place.
#[derive(Debug)]
pub(in crate::cli) struct Unread {
    /// The lines.
    pub(in crate::cli) lines: Vec<String>,
    /// Whether a file could not even be read.
    pub(in crate::cli) is_unreadable: bool,
}

/// Where something stands in a set of files.
#[derive(Debug, Clone, Copy)]
struct Place {
    file: usize,
    offset: usize,
}

// === impl Unread ===

impl Unread {
    pub(super) fn into_failure(self) -> Failure {
        let words = match self.is_unreadable {
            true => "the declarations can't be read",
            false => "the declarations have mistakes",
        };
        match self.is_unreadable {
            true => Failure::usage(words),
            false => Failure::new(words),
        }
        .details(self.lines)
    }
}

/// Reads files, the `*.toml` files of directories by name, and standard input for `-`, as one set.
///
/// # Errors
/// Every mistake in all of them; what is declared in two of them is one.
pub(in crate::cli) fn read(paths: &[PathBuf]) -> Result<Vec<DeclaredFile>, Unread> {
    let mut lines = Vec::new();
    let mut is_unreadable = false;
    let mut files = Vec::new();
    for path in paths {
        match found(path) {
            Ok(found) => files.extend(found),
            Err(error) => {
                lines.push(format!("{}: {error}", path.display()));
                is_unreadable = true;
            }
        }
    }
    let (mut good, mut texts) = (Vec::new(), Vec::new());
    for path in files {
        let bytes = match bytes(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                lines.push(format!("{}: {error}", path.display()));
                is_unreadable = true;
                continue;
            }
        };
        match utf8(&bytes).and_then(Declarations::from_toml) {
            Ok(declarations) => good.push(DeclaredFile {
                path: path.clone(),
                declarations,
            }),
            Err(mistakes) => {
                let shown = mistakes.in_file(Some(&path)).to_string();
                lines.extend(shown.lines().map(str::to_owned));
            }
        }
        if let Ok(text) = String::from_utf8(bytes) {
            texts.push((path, text));
        }
    }
    lines.extend(twice(&texts));
    match lines.is_empty() {
        true => Ok(good),
        false => Err(Unread {
            lines,
            is_unreadable,
        }),
    }
}

/// The files that a path stands for.
fn found(path: &Path) -> io::Result<Vec<PathBuf>> {
    if path == Path::new(STDIN) || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        // Editors leave files behind whose names begin with a dot.
        let name = file.file_name().and_then(|name| name.to_str());
        let is_declared =
            name.is_some_and(|name| name.ends_with(".toml") && name.as_bytes()[0] != b'.');
        if is_declared && !file.is_dir() {
            files.push(file);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(io::Error::other("there is no *.toml file in it")),
        false => Ok(files),
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    if path != Path::new(STDIN) {
        return fs::read(path);
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What is declared in two files. Within one, its reader says so.
fn twice(texts: &[(PathBuf, String)]) -> Vec<String> {
    let shown = |place: &Place| {
        let (path, text) = &texts[place.file];
        // Counted for what is said alone: it goes through the file from its beginning.
        let (line, column) = line_column(text, place.offset);
        format!("{}:{line}:{column}", path.display())
    };
    let mut first: HashMap<(&str, String), Place> = HashMap::new();
    let mut found = Vec::new();
    for (file, (_, text)) in texts.iter().enumerate() {
        // One that is no TOML has been said to be none.
        let Ok(table) = DeTable::parse(text) else {
            continue;
        };
        for (kind, items) in table.get_ref() {
            let (kind, DeValue::Array(items)) = (kind.get_ref().as_ref(), items.get_ref()) else {
                continue;
            };
            for item in items {
                let offset = item.span().start;
                let place = Place { file, offset };
                for (identity, words) in identities(kind, item) {
                    let earlier = *first.entry(identity).or_insert(place);
                    if earlier.file != file {
                        let words = format!("{}: {words} {}", shown(&place), shown(&earlier));
                        found.push(((file, offset), words));
                        break;
                    }
                }
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, words)| words).collect()
}

/// What an item of a file must not share with another one, with what is said if it does.
fn identities(kind: &str, item: &Spanned<DeValue<'_>>) -> Vec<((&'static str, String), String)> {
    let DeValue::Table(table) = item.get_ref() else {
        return Vec::new();
    };
    let text = |wanted: &str| {
        let found = table.iter().find(|(key, _)| key.get_ref() == wanted);
        match found.map(|(_, value)| value.get_ref()) {
            Some(DeValue::String(text)) => Some(text.as_ref()),
            _ => None,
        }
    };
    let named = |kind: &'static str, name: Option<String>| {
        let said = name.map(|name| {
            let words = format!("the {kind} {} is declared too at", name.escape_debug());
            ((kind, name), words)
        });
        said.into_iter().collect()
    };
    match kind {
        "tenant" => named("tenant", text("name").map(str::to_owned)),
        "project" => named("project", text("name").map(str::to_owned)),
        "deployment" => {
            let name = text("project").zip(text("name"));
            let name = name.map(|(project, name)| format!("{project}/{name}"));
            named("deployment", name)
        }
        "key" => {
            let secret = text("secret");
            let digest = match secret {
                Some(secret) => KeyDigest::of_key(secret.as_bytes()).ok(),
                None => text("digest").and_then(|hex| KeyDigest::from_hex(hex).ok()),
            };
            let id = text("id").map(KeyId::new);
            let id = id.or_else(|| id_within(secret?));
            let id = id.or_else(|| Some(digest?.to_key_id()));
            // Nothing that stands in a key's table is repeated.
            let mut all = Vec::new();
            if let Some(digest) = digest {
                let words = "this key is declared too at".to_owned();
                all.push((("digest", digest.to_hex()), words));
            }
            if let Some(id) = id {
                let words = "a key with this id is declared too at".to_owned();
                all.push((("id", id.to_string()), words));
            }
            all
        }
        _ => Vec::new(),
    }
}

/// Line and column of a place in a text, both from 1 up, the column in characters.
fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[begin..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(files: &[(&str, &str)]) -> Result<Vec<DeclaredFile>, Vec<String>> {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            fs::write(directory.path().join(name), text).expect("written");
        }
        let here = format!("{}/", directory.path().display());
        read(&[directory.path().to_owned()]).map_err(|unread| {
            let lines = unread.lines.join("\n").replace(&here, "");
            lines.lines().map(str::to_owned).collect()
        })
    }

    const IRIS: &str = "[[deployment]]\nproject = 'demo'\nname = 'iris'\n\
                        version.main.backends = [{ url = 'http://m' }]\n";

    #[test]
    fn a_directory_is_one_set_by_name() {
        let text = IRIS.replace("iris", "text");
        let files = [
            ("b.toml", text.as_str()),
            ("a.toml", IRIS),
            (".a.toml", IRIS),
            ("a.txt", "no declarations"),
        ];
        let files = set(&files).expect("good");
        let names: Vec<_> = files
            .iter()
            .map(|file| file.declarations.deployments[0].name.to_string())
            .collect();
        assert_eq!(names, ["demo/iris", "demo/text"]);
    }

    #[test]
    fn every_mistake_of_every_file_is_said() {
        let a = format!("# é\n{IRIS}[[key]]\nsecret = '0123456789abcdef'\nscope = 'demo'\n");
        let b = format!(
            "[[key]]\nsecret = '0123456789abcdef'\nscope = 'demo'\nscop = 1\n{IRIS}  [[tenant]]\nname = 't'\n"
        );
        let c = "[[tenant]]\nname = 't'\n[[key]]\nscope = 'demo'\nid = 'd0' \ndigest = 'x'\n";
        let lines = set(&[("a.toml", &a), ("b.toml", &b), ("c.toml", c)]).expect_err("mistakes");
        assert_eq!(
            lines,
            [
                "b.toml:4:1: /key/0/scop: is not known; did you mean \"scope\"?",
                "c.toml:6:10: /key/0/digest: a digest is the key's blake3 hash in 64 hexadecimal digits",
                "b.toml:1:1: this key is declared too at a.toml:6:1",
                "b.toml:5:1: the deployment demo/iris is declared too at a.toml:2:1",
                "c.toml:1:1: the tenant t is declared too at b.toml:9:3",
            ]
        );
        assert!(!lines.join("\n").contains("0123456789"), "{lines:?}");
    }

    #[test]
    fn what_can_not_be_read_is_said_beside_mistakes() {
        let directory = tempfile::tempdir().expect("a directory");
        let bad = directory.path().join("bad.toml");
        fs::write(&bad, "a = 1\n").expect("written");
        let paths = [directory.path().join("none.toml"), bad, "/nowhere/x".into()];
        let unread = read(&paths).expect_err("neither");
        assert!(unread.is_unreadable);
        assert_eq!(unread.lines.len(), 3, "{unread:?}");
        let empty = directory.path().join("empty");
        fs::create_dir(&empty).expect("made");
        let unread = read(&[empty]).expect_err("nothing in it");
        assert!(unread.lines[0].ends_with("there is no *.toml file in it"));
    }
}
