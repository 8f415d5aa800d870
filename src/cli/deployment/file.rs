//! A version in a file: TOML or JSON, with every mistake said at its line and column.

use std::{collections::HashMap, path::Path};

use serde_json::{Value, value::RawValue};

use super::readme;
use crate::{
    cli::failure::Failure,
    spec::{Mistake, VersionSpec, utf8},
};

/// Reads the version in a file, with its defaults. `-` is standard input.
///
/// # Errors
/// When it can't be read, or says no version.
pub(super) fn version(file: &Path) -> Result<Value, Failure> {
    let bytes = readme::read(file)?;
    let is_json = match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => true,
        Some("toml") => false,
        // A table of TOML's never begins with a brace.
        _ => bytes.trim_ascii_start().starts_with(b"{"),
    };
    let spec = read(&bytes, is_json).map_err(|mistakes| {
        let shown = file.display();
        let count = match mistakes.len() {
            1 => "a mistake".to_owned(),
            count => format!("{count} mistakes"),
        };
        let lines = mistakes.iter().map(|mistake| match mistake.line {
            Some(_) => format!("{shown}:{mistake}"),
            None => format!("{shown}: {mistake}"),
        });
        Failure::new(format_args!("{shown} has {count}")).details(lines)
    })?;
    Ok(serde_json::to_value(spec)?)
}

fn read(bytes: &[u8], is_json: bool) -> Result<VersionSpec, Vec<Mistake>> {
    match is_json {
        true => from_json(bytes),
        false => from_toml(bytes),
    }
}

fn from_toml(bytes: &[u8]) -> Result<VersionSpec, Vec<Mistake>> {
    let spec = utf8(bytes).and_then(VersionSpec::from_toml);
    spec.map_err(|mistakes| mistakes.list().to_vec())
}

fn from_json(bytes: &[u8]) -> Result<VersionSpec, Vec<Mistake>> {
    let text = utf8(bytes).map_err(|mistakes| mistakes.list().to_vec())?;
    let json: Value = serde_json::from_str(text).map_err(|error| vec![syntax(&error)])?;
    VersionSpec::from_json(&json).map_err(|mistakes| {
        let mut mistakes = mistakes.list().to_vec();
        for mistake in &mut mistakes {
            let (line, column) = place(text, &mistake.pointer);
            (mistake.line, mistake.column) = (Some(line), Some(column));
        }
        mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        mistakes
    })
}

fn syntax(error: &serde_json::Error) -> Mistake {
    let words = error.to_string();
    // Its place is shown in front already.
    let words = words.split(" at line ").next().unwrap_or("");
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Mistake {
        pointer: String::new(),
        line: Some(small(error.line())),
        column: Some(small(error.column())),
        variable: None,
        words: format!("not valid JSON: {words}"),
    }
}

/// Line and column of what a JSON pointer (RFC 6901) leads to; of what it stands in, when it is not
/// there.
fn place(text: &str, pointer: &str) -> (u32, u32) {
    let mut here = text.trim_start();
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        match step(here, &segment) {
            Some(inner) => here = inner,
            None => break,
        }
    }
    // Both begin in the same text, and the later one is a part of it.
    let offset = here.as_ptr().addr() - text.as_ptr().addr();
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let small = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
    let line = before.matches('\n').count();
    (small(line), small(before[line_start..].chars().count()))
}

/// The text of one member or item.
fn step<'t>(text: &'t str, segment: &str) -> Option<&'t str> {
    if text.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        let item = items.get(segment.parse::<usize>().ok()?)?;
        return Some(item.get());
    }
    let members: HashMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    members.get(segment).map(|member| member.get())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn refused(text: &str, is_json: bool) -> Vec<String> {
        let mistakes = read(text.as_bytes(), is_json).expect_err("mistakes");
        mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn mistakes_of_toml_and_json_have_their_places() {
        let toml = "model = 1\n[main]\nbackends = [{ url = 'http://m', wight = 2 }]\n";
        assert_eq!(
            refused(toml, false),
            [
                "1:9: /model: must be a string, not a whole number",
                "3:33: /main/backends/0/wight: is not known; did you mean \"weight\"?",
            ]
        );
        let json = "{\n  \"main\": {\"backends\": [\n    {\"url\": \"http://m\", \"ü\": 1, \
                    \"wight\": 2}]},\n  \"model\": 1}";
        assert_eq!(
            refused(json, true),
            [
                "3:30: /main/backends/0/ü: is not known",
                "3:42: /main/backends/0/wight: is not known; did you mean \"weight\"?",
                "4:12: /model: must be a string, not a whole number",
            ]
        );
        assert_eq!(
            refused("{\n \"main\" 1}", true),
            ["2:9: not valid JSON: expected `:`"]
        );
        assert_eq!(
            refused("\n {\"model\": \"a\"}", true),
            ["2:2: /main: is missing"]
        );
    }

    #[test]
    fn both_say_the_same_version() {
        let directory = tempfile::tempdir().expect("a directory");
        let (toml, json) = (
            directory.path().join("a.toml"),
            directory.path().join("a.json"),
        );
        fs::write(&toml, "model='m'\nmain.backends=[{url='http://a/'}]").expect("written");
        let text = r#"{"model": "m", "main": {"backends": [{"url": "http://a"}]}}"#;
        fs::write(&json, text).expect("written");
        let both = (version(&toml).expect("TOML"), version(&json).expect("JSON"));
        assert_eq!(both.0, both.1);
        assert_eq!(both.0["main"]["predict_path"], "/predict");
    }
}
