//! Declarations as an operator writes them, put together from parts.

use std::fmt::{self, Write};

use super::Backend;

/// A declarations file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declarations {
    text: String,
}

/// One `[[deployment]]`.
#[derive(Clone, Debug)]
pub(crate) struct Deployment {
    name: String,
    access: String,
    model: String,
    backends: Vec<String>,
    main: String,
    challenger: Option<String>,
    timeouts: String,
}

/// A deployment called `project/name`, open to `keys`, with no backend yet.
pub(crate) fn deployment(name: &str) -> Deployment {
    Deployment {
        name: name.to_owned(),
        access: "keys".to_owned(),
        model: "model:1".to_owned(),
        backends: Vec::new(),
        main: String::new(),
        challenger: None,
        timeouts: String::new(),
    }
}

/// A `[[key]]`.
pub(crate) fn key(secret: &str, scope: &str) -> String {
    format!("[[key]]\nsecret = \"{secret}\"\nscope = \"{scope}\"\ndescription = \"test\"\n\n")
}

// === impl Declarations ===

impl Declarations {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Appends any part: a deployment, a key, raw TOML.
    pub(crate) fn with(mut self, part: impl fmt::Display) -> Self {
        writeln!(self.text, "{part}").unwrap();
        self
    }
}

impl fmt::Display for Declarations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

// === impl Deployment ===

impl Deployment {
    pub(crate) fn access(mut self, access: &str) -> Self {
        access.clone_into(&mut self.access);
        self
    }

    pub(crate) fn model(mut self, model: &str) -> Self {
        model.clone_into(&mut self.model);
        self
    }

    pub(crate) fn backend(self, backend: &Backend) -> Self {
        self.backend_at(&backend.url(), "")
    }

    /// A backend with more fields, such as `, weight = 3`.
    pub(crate) fn backend_at(mut self, url: &str, more: &str) -> Self {
        self.backends.push(format!("{{ url = \"{url}\"{more} }}"));
        self
    }

    /// More fields of the main pool.
    pub(crate) fn main(mut self, lines: &str) -> Self {
        self.main.push_str(lines);
        self.main.push('\n');
        self
    }

    /// A challenger with one backend and more fields.
    pub(crate) fn challenger(mut self, url: &str, lines: &str) -> Self {
        self.challenger = Some(format!("backends = [{{ url = \"{url}\" }}]\n{lines}\n"));
        self
    }

    /// Fields of the timeouts table.
    pub(crate) fn timeouts(mut self, lines: &str) -> Self {
        self.timeouts.push_str(lines);
        self.timeouts.push('\n');
        self
    }
}

impl fmt::Display for Deployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (project, name) = self.name.split_once('/').unwrap();
        writeln!(f, "[[deployment]]")?;
        writeln!(f, "project = \"{project}\"\nname = \"{name}\"")?;
        writeln!(f, "access = \"{}\"", self.access)?;
        writeln!(f, "[deployment.version]\nmodel = \"{}\"", self.model)?;
        writeln!(f, "[deployment.version.main]")?;
        writeln!(f, "backends = [{}]", self.backends.join(", "))?;
        f.write_str(&self.main)?;
        if let Some(challenger) = &self.challenger {
            writeln!(f, "[deployment.version.challenger]\n{challenger}")?;
        }
        if !self.timeouts.is_empty() {
            writeln!(f, "[deployment.version.timeouts]\n{}", self.timeouts)?;
        }
        Ok(())
    }
}
