//! The built binary as a person at a shell uses it: a line of words in, two texts and a code out.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Gateway, gateway, gateway::ADMIN_TOKEN, running::Running};

/// The longest a command may take that waits for nothing but the gateway.
const COMMAND_PATIENCE: Duration = Duration::from_secs(45);

/// Somebody at a shell with a home of their own and nothing of the test's environment.
#[derive(Clone)]
pub(crate) struct Cli {
    env: Vec<(String, String)>,
    home: Arc<TempDir>,
}

/// A command that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    /// What was asked for.
    pub(crate) line: String,
}

/// A line cut into words; what stands between single quotes is one.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut begun) = (String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => (quoted, begun) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

impl Gateway {
    /// The operator at a shell, told by the environment where this gateway is.
    pub(crate) fn cli(&self) -> Cli {
        Cli::lost()
            .env("WEIR_ADMIN_URL", &self.admin_url())
            .env("WEIR_ADMIN_TOKEN", ADMIN_TOKEN)
    }

    pub(crate) fn admin_url(&self) -> String {
        format!("http://{}", self.admin_addr())
    }
}

// === impl Cli ===

impl Cli {
    /// Somebody who knows of no gateway.
    pub(crate) fn lost() -> Self {
        Self {
            env: Vec::new(),
            home: Arc::new(TempDir::new().unwrap()),
        }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A directory of their own, which is where commands run.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes a file there.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The command, ready to be started.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = gateway::command();
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "COLUMNS"] {
            command.env_remove(name);
        }
        command
            .args(words(line))
            .current_dir(self.home())
            .env("HOME", self.home())
            .env("XDG_CONFIG_HOME", self.home().join("config"))
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .envs(self.env.iter().cloned());
        command
    }

    /// Starts it with this standard input, which then ends.
    pub(crate) fn start(&self, line: &str, input: &str) -> Running {
        let mut command = self.command(line);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Running::start(command, line, input)
    }

    /// Runs it with this standard input.
    #[track_caller]
    pub(crate) fn say(&self, line: &str, input: &str) -> Ran {
        self.start(line, input).ended(COMMAND_PATIENCE)
    }

    /// Runs it without any input.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> Ran {
        self.say(line, "")
    }

    /// What it prints, when it succeeds; and no colour, this being no terminal.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "{ran}");
        ran.plain();
        ran.out
    }

    /// What it prints with `-o json`, parsed.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        let out = self.ok(&format!("{line} -o json"));
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("weir {line}: no JSON ({e}): {out}"))
    }

    /// Runs it when it must end with this code, having printed no result; what it says.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{ran}");
        ran.plain();
        assert!(!ran.err.trim().is_empty(), "without a word: {ran}");
        ran.err
    }

    /// The same, when the words are of our own form: `weir: WHAT`, `hint: WHAT TO DO`.
    #[track_caller]
    pub(crate) fn fails_well(&self, code: i32, line: &str) -> String {
        let err = self.fails(code, line);
        assert!(err.starts_with("weir: "), "weir {line}: {err}");
        err
    }

    /// Fails with words that name all of these.
    #[track_caller]
    pub(crate) fn fails_with(&self, code: i32, line: &str, named: &[&str]) {
        let err = self.fails_well(code, line);
        for name in named {
            assert!(err.contains(name), "weir {line}: no {name:?} in: {err}");
        }
    }
}

// === impl Ran ===

impl Ran {
    /// Checks that nothing in it steers a terminal.
    #[track_caller]
    pub(crate) fn plain(&self) {
        for text in [&self.out, &self.err] {
            let odd = text.chars().find(|c| c.is_control() && *c != '\n');
            assert!(odd.is_none(), "{odd:?} in {self:#?}");
        }
    }

    /// Checks its code and that it names all of these in what it says.
    #[track_caller]
    pub(crate) fn said(&self, code: i32, named: &[&str]) {
        assert_eq!(self.code, code, "{self}");
        for name in named {
            assert!(self.err.contains(name), "no {name:?} in {self}");
        }
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            out,
            err,
            line,
        } = self;
        write!(
            f,
            "weir {line} ended with {code};\nout:\n{out}\nerr:\n{err}"
        )
    }
}
