//! `weir check FILE|DIR...`: says what is wrong with declarations, and with `--config FILE` of settings,
//! before anything runs on them.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    declare::{self, Unread},
    serve::environment,
    terminal::counted,
};
use crate::{
    config::{LoadError, Settings},
    spec::Declarations,
};

/// The files are good.
const GOOD: u8 = 0;
/// The files have mistakes.
const MISTAKES: u8 = 1;
/// A file can't be read.
const UNREADABLE: u8 = 2;

/// Checks declarations: files, directories with `*.toml` files, `-` for standard input, all as one set.
/// Mistakes go to standard error, a line each with file, line and column, and the exit code is 1; it is
/// 2 when a file can't be read. Settings are checked as the environment has them, which overrides their
/// file.
pub fn check(paths: &[PathBuf], config: Option<&Path>) -> ExitCode {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let settings = config.map(|file| settings_to(file, environment(), &mut out, &mut err));
    let declared = (!paths.is_empty()).then(|| check_to(paths, &mut out, &mut err));
    settings.max(declared).unwrap_or(GOOD).into()
}

fn settings_to(
    file: &Path,
    environment: impl Iterator<Item = (String, String)>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let (code, told) = match Settings::load(Some(file), environment) {
        Ok((settings, warnings)) => {
            let concerns = settings.concerns().into_iter();
            let concerns = concerns.map(|words| format!("{}: warning: {words}", file.display()));
            let _ = written(err, warnings.into_iter().chain(concerns));
            let line = format!("{}: ok: settings", file.display());
            (GOOD, written(out, std::iter::once(line)))
        }
        Err(error) => {
            let code = match error {
                LoadError::Read { .. } => UNREADABLE,
                LoadError::Mistakes { .. } => MISTAKES,
            };
            (code, written(err, std::iter::once(error.to_string())))
        }
    };
    ended(code, told)
}

fn check_to(paths: &[PathBuf], out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let (code, told) = match declare::read(paths) {
        Ok(files) => {
            let lines = files.iter().map(|file| {
                let (path, declared) = (file.path.display(), &file.declarations);
                format!("{path}: ok: {}", summary(declared))
            });
            (GOOD, written(out, lines))
        }
        Err(Unread {
            lines,
            is_unreadable,
        }) => {
            let code = if is_unreadable { UNREADABLE } else { MISTAKES };
            (code, written(err, lines.into_iter()))
        }
    };
    ended(code, told)
}

fn ended(code: u8, told: io::Result<()>) -> u8 {
    match told {
        // Whoever closed the pipe, as `head` does, still gets the exit code.
        Err(error) if code == GOOD && error.kind() != io::ErrorKind::BrokenPipe => MISTAKES,
        _ => code,
    }
}

fn written(to: &mut dyn Write, mut lines: impl Iterator<Item = String>) -> io::Result<()> {
    lines.try_for_each(|line| writeln!(to, "{line}"))?;
    to.flush()
}

/// How much of what a file declares. Few files name projects and tenants by themselves.
fn summary(declarations: &Declarations) -> String {
    let mut parts = vec![
        counted(declarations.deployments.len(), "deployment"),
        counted(declarations.keys.len(), "key"),
    ];
    for (count, noun) in [
        (declarations.projects.len(), "project"),
        (declarations.tenants.len(), "tenant"),
    ] {
        if count > 0 {
            parts.push(counted(count, noun));
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::net::tls::testing::{Authority, Files, Issued};

    /// The exit code, and what went to standard output and standard error.
    fn run(bytes: &[u8]) -> (u8, String, String) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("weir.toml");
        fs::write(&path, bytes).expect("written");
        let shown = run_on(&path);
        let here = directory.path().display().to_string();
        (
            shown.0,
            shown.1.replace(&here, "."),
            shown.2.replace(&here, "."),
        )
    }

    fn run_on(path: &Path) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = check_to(&[path.to_owned()], &mut out, &mut err);
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (code, text(out), text(err))
    }

    #[test]
    fn the_three_endings() {
        let good = "[[deployment]]\nproject = 'demo'\nname = 'iris'\n\
                    version.main.backends = [{ url = 'http://m' }]\n\
                    [[key]]\nsecret = '0123456789abcdef'\nscope = 'demo'\n\
                    [[key]]\nsecret = '0123456789abcdeg'\nscope = 'demo'\n";
        let ok = "./weir.toml: ok: 1 deployment, 2 keys\n".to_owned();
        assert_eq!(run(good.as_bytes()), (0, ok, String::new()));

        let places = "[[project]]\nname = 'a'\n[[project]]\nname = 'b'\n[[tenant]]\nname = 't'\n";
        let ok = "./weir.toml: ok: 0 deployments, 0 keys, 2 projects, 1 tenant\n".to_owned();
        assert_eq!(run(places.as_bytes()), (0, ok, String::new()));

        let bad = "[[key]]\nscope = 'demo'\nscop = 1\n[[key]]\n";
        let (code, out, err) = run(bad.as_bytes());
        assert_eq!((code, out.as_str()), (1, ""));
        assert_eq!(
            err,
            "./weir.toml:1:1: /key/0/secret: is missing; a key has a secret or a digest\n\
             ./weir.toml:3:1: /key/0/scop: is not known; did you mean \"scope\"?\n\
             ./weir.toml:4:1: /key/1/secret: is missing; a key has a secret or a digest\n\
             ./weir.toml:4:1: /key/1/scope: is missing\n"
        );

        let (code, _, err) = run(b"a = '\xff'");
        assert_eq!((code, err.as_str()), (1, "./weir.toml:1:6: not UTF-8\n"));

        let (code, out, err) = run_on(Path::new("/nonexistent/weir.toml"));
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.starts_with("/nonexistent/weir.toml: "), "{err}");
    }

    /// What answers everything that is written with this error.
    struct Refuses(io::ErrorKind);

    impl Write for Refuses {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_pipe_that_nobody_reads_changes_no_exit_code() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("weir.toml");
        let check = |text: &str, kind| {
            fs::write(&path, text).expect("written");
            let (mut out, mut err) = (Refuses(kind), Refuses(kind));
            check_to(std::slice::from_ref(&path), &mut out, &mut err)
        };
        let good = "[[project]]\nname = 'a'\n";
        assert_eq!(check(good, io::ErrorKind::BrokenPipe), 0);
        assert_eq!(check("a = 1", io::ErrorKind::BrokenPipe), 1);
        // A full disk is no end that anybody wanted.
        assert_eq!(check(good, io::ErrorKind::StorageFull), 1);
    }

    #[test]
    fn settings_are_checked_with_the_files_that_they_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("weir.toml");
        let check = |text: &str, environment: &[(&str, &str)]| {
            fs::write(&file, text).expect("written");
            let environment = environment.iter();
            let environment = environment.map(|(name, text)| ((*name).into(), (*text).into()));
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let code = settings_to(&file, environment, &mut out, &mut err);
            let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
            (code, text(out), text(err))
        };
        let (code, out, err) = check("workers = 1", &[]);
        assert!(
            code == 0 && out.ends_with("weir.toml: ok: settings\n"),
            "{err}"
        );
        let named = "[admin.tls]\ncert_file = '/nowhere/c'\nkey_file = '/nowhere/k'";
        let (code, _, err) = check(named, &[("WEIR_WORKERS", "many")]);
        assert_eq!((code, err.lines().count()), (1, 3), "{err}");
        assert!(err.contains("/admin/tls/key_file: /nowhere/k: there is no such file"));
        let authority = Authority::new("test");
        let old = Files::of(&authority.issue_between("localhost", (2019, 1, 1), (2020, 1, 1)));
        let (cert, key) = (old.cert.display(), old.key.display());
        for section in ["data.tls", "admin.tls", "upstream.tls"] {
            let text = format!("[{section}]\ncert_file = '{cert}'\nkey_file = '{key}'");
            let (code, _, err) = check(&text, &[]);
            let at = section.replace('.', "/");
            let words = format!("warning: /{at}/cert_file: {cert}: the certificate has expired\n");
            assert!(code == 0 && err.ends_with(&words), "{code}: {err}");
            assert_eq!(err.lines().count(), 1, "{err}");
        }
        let of_an_authority = Issued::of_an_authority_between((2019, 1, 1), (2020, 1, 1));
        let files = Files::of(&of_an_authority);
        let (cert, key) = (files.cert.display(), files.key.display());
        let text = format!("[data.tls]\ncert_file = '{cert}'\nkey_file = '{key}'");
        let (code, _, err) = check(&text, &[]);
        let words = ["has expired", "is an authority's own (CA:TRUE), "];
        assert_eq!((code, err.lines().count()), (0, 2), "{err}");
        for (line, words) in err.lines().zip(words) {
            let words = format!("warning: /data/tls/cert_file: {cert}: the certificate {words}");
            assert!(line.contains(&words), "{err}");
        }
        let gone = Path::new("/nonexistent/weir.toml");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        assert_eq!(settings_to(gone, std::iter::empty(), &mut out, &mut err), 2);
    }

    #[test]
    fn several_files_are_one_set() {
        let directory = tempfile::tempdir().expect("a directory");
        let (a, b) = (
            directory.path().join("a.toml"),
            directory.path().join("b.toml"),
        );
        fs::write(&a, "[[project]]\nname = 'a'\n").expect("written");
        fs::write(&b, "[[project]]\nname = 'b'\n").expect("written");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let paths = [directory.path().to_owned()];
        assert_eq!(check_to(&paths, &mut out, &mut err), 0);
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text.lines().count(), 2, "{text}");
        fs::write(&b, "[[project]]\nname = 'a'\n").expect("written");
        let mut out = Vec::new();
        assert_eq!(check_to(&[a, b], &mut out, &mut err), 1);
        let text = String::from_utf8(err).expect("UTF-8");
        assert!(
            out.is_empty() && text.contains("b.toml:1:1: the project a"),
            "{text}"
        );
    }
}
