//! A gateway's directory: its declarations and, in `data`, whatever it keeps.

use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

use crate::common::{
    Checked,
    start::{Model, Setup, Weir, binary},
    wire::{self, key},
};

/// How much is declared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) deployments: usize,
    pub(crate) keys: usize,
}

/// A large installation: what the targets are named for.
pub(crate) const BIG: Size = Size {
    deployments: 1_000,
    keys: 100_000,
};
/// What the shared load calls, and nothing else.
pub(crate) const SMALL: Size = Size {
    deployments: wire::DEPLOYMENTS,
    keys: wire::KEYS,
};

/// The directory, gone when dropped.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    declared: PathBuf,
}

impl Place {
    /// A directory with nothing in it but declarations.
    pub(crate) fn new(size: Size, model: &Model) -> Checked<Self> {
        let dir = tempfile::Builder::new().prefix("weir-bench-").tempdir()?;
        let declared = dir.path().join("bench.toml");
        fs::write(&declared, declarations(size, model))?;
        Ok(Self { dir, declared })
    }

    /// Starts a gateway here, from its file or from what it has kept alone.
    pub(crate) fn start(&self, from_file: bool) -> Checked<Weir> {
        let setup = Setup {
            dir: self.dir.path(),
            declared: from_file.then_some(self.declared.as_path()),
            workers: 2,
            core: None,
        };
        Weir::start(&binary(), setup)
    }

    /// Bytes that the gateway keeps here.
    pub(crate) fn store_bytes(&self) -> Checked<u64> {
        Ok(bytes_in(&self.dir.path().join("data"))?)
    }
}

/// The deployments and the first keys are those that the shared load uses. All further keys open
/// one deployment each, spread evenly.
pub(crate) fn declarations(size: Size, model: &Model) -> String {
    let mut text = String::new();
    let mut put = |args: std::fmt::Arguments<'_>| {
        // Writing to a string can't fail.
        let _ = text.write_fmt(args);
    };
    for index in 0..size.deployments {
        put(format_args!(
            "[[deployment]]\nproject = \"bench\"\nname = \"{}\"\n[deployment.version.main]\n\
             backends = [{{ url = \"http://{}\" }}]\n",
            wire::deployment(index),
            model.address,
        ));
    }
    for index in 0..size.keys {
        let digest = blake3::hash(key(index).as_bytes()).to_hex();
        let scope = match index.checked_sub(wire::KEYS) {
            None => "bench".to_owned(),
            Some(more) => format!("bench/{}", wire::deployment(more % size.deployments)),
        };
        put(format_args!(
            "[[key]]\ndigest = \"{digest}\"\nscope = \"{scope}\"\n"
        ));
    }
    text
}

/// A number with a comma before each three digits, as the CLI writes it.
pub(crate) fn grouped(number: usize) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1_000), number % 1_000),
    }
}

fn bytes_in(dir: &Path) -> io::Result<u64> {
    fs::read_dir(dir)?.try_fold(0, |sum, entry| {
        let entry = entry?;
        let kept = entry.metadata()?;
        Ok(sum
            + match kept.is_dir() {
                true => bytes_in(&entry.path())?,
                false => kept.len(),
            })
    })
}
