//! A gateway's directory: its declarations and, in `data`, the file of its pairs.

use std::{
    ffi::OsString,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    common::{
        Checked,
        start::{Model, Setup, Weir, binary},
        wire::{self, KEYS, key},
    },
    options::{Options, Variant},
};

/// The directory, gone when dropped.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    declared: PathBuf,
}

impl Place {
    /// A directory with nothing in it but declarations.
    pub(crate) fn new(
        options: &Options,
        variant: Variant,
        main: &Model,
        challenger: &Model,
    ) -> Checked<Self> {
        let dir = tempfile::Builder::new().prefix("weir-bench-").tempdir()?;
        let declared = dir.path().join("bench.toml");
        fs::write(&declared, declarations(options, variant, main, challenger))?;
        Ok(Self { dir, declared })
    }

    /// Starts a gateway here; none where it does not know the setting that the variant needs.
    pub(crate) fn start(&self, options: &Options, variant: Variant) -> Checked<Option<Weir>> {
        let setup = Setup {
            dir: self.dir.path(),
            declared: Some(&self.declared),
            workers: options.workers,
            core: None,
        };
        let bytes = (options.disk_mib << 20).to_string();
        let small: [(&str, OsString); 1] = [("WEIR_COMPARISON_DISK_BYTES_MAX", bytes.into())];
        let settings: &[_] = match variant {
            Variant::Kept => &[],
            Variant::Small => &small,
        };
        match Weir::start_with(&binary(), setup, settings) {
            Ok(weir) => Ok(Some(weir)),
            Err(e) if e.to_string().contains("is not a setting") => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// What the pairs take on disk, the log of the file included.
    pub(crate) fn disk_mib(&self) -> f64 {
        let path = self.dir.path().join("data").join("comparison.db");
        let log = format!("{}-wal", path.display());
        let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        (size(&path) + size(log.as_ref())) as f64 / f64::from(1 << 20)
    }
}

fn declarations(options: &Options, variant: Variant, main: &Model, challenger: &Model) -> String {
    let mut text = String::new();
    let mut put = |args: std::fmt::Arguments<'_>| {
        // Writing to a string can't fail.
        let _ = text.write_fmt(args);
    };
    for name in (0..usize::from(options.deployments)).map(wire::deployment) {
        put(format_args!(
            "[[deployment]]\nproject = \"bench\"\nname = \"{name}\"\n\
             [deployment.version.main]\nbackends = [{{ url = \"http://{}\" }}]\n\
             [deployment.version.challenger]\nbackends = [{{ url = \"http://{}\" }}]\n\
             predict_path = \"/diverging\"\nsample = 1.0\n\
             [deployment.version.challenger.compare]\n{}\n",
            main.address,
            challenger.address,
            options.kind.declared(),
        ));
        if variant == Variant::Small {
            put(format_args!(
                "[deployment.version.challenger.keep_bodies]\nsample = 1.0\n"
            ));
        }
    }
    for index in 0..KEYS {
        let digest = blake3::hash(key(index).as_bytes()).to_hex();
        put(format_args!(
            "[[key]]\ndigest = \"{digest}\"\nscope = \"bench\"\n"
        ));
    }
    text
}
