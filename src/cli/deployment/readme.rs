//! `weir deployment readme`.

use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use super::Target;
use crate::cli::{
    failure::Failure,
    remote::{Call, Session, path_of},
    terminal::safe,
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ReadmeArgs {
    #[command(flatten)]
    pub(super) target: Target,
    /// Write it from this file; - is standard input
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Shows the readme, or writes it.
///
/// # Errors
/// As calls of the API; when the file can't be read.
pub(super) fn run(arguments: &ReadmeArgs, session: &Session) -> Result<(), Failure> {
    let name = arguments.target.name()?;
    let path = path_of(&name, "/readme");
    let (client, out) = (&session.client, &session.out);
    if let Some(file) = &arguments.write {
        let call = Call::put(&path).bytes("text/markdown", read(file)?);
        let readme = client.send(call)?.json()?;
        return match out.is_json() {
            true => out.json(&readme),
            false => {
                out.note(&format!("readme of {name} written"));
                Ok(())
            }
        };
    }
    if out.is_json() {
        let call = Call::get(&path).header("accept", "application/json");
        return out.json(&client.send(call)?.json()?);
    }
    let call = Call::get(&path).header("accept", "text/markdown");
    let text = client.send(call)?.body;
    if !io::stdout().is_terminal() {
        // Byte for byte, so that what is written again is the same.
        return out.bytes(&text);
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().map(safe).collect();
    out.line(&lines.join("\n"))
}

/// The bytes of a file; `-` is standard input.
///
/// # Errors
/// What the system says.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let read = if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    let cannot = |error| Failure::usage(format_args!("can't read {}: {error}", file.display()));
    read.map_err(cannot)
}
