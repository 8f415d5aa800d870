//! Which key is meant, and what there is to say when no key is.

use std::ffi::OsStr;

use clap::{
    Arg, Command,
    builder::{StringValueParser, TypedValueParser},
    error::ErrorKind,
};

use super::SCOPE;
use crate::{
    base::secret,
    cli::{
        failure::Failure,
        remote::{Session, escaped, path_of},
    },
    spec::Scope,
};

/// The longest public id, in characters.
const ID_CHARS_MAX: usize = 64;

/// Deployments among whose keys one is looked for.
const LOOKED_AT_MAX: usize = 50;

/// Which key is meant.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct KeyArgs {
    #[arg(help = format!("What it opens: {SCOPE}"), value_parser = ScopeParser)]
    pub(in crate::cli) scope: Scope,
    /// Its public id, as `weir key list` shows it
    #[arg(value_name = "KEY")]
    pub(in crate::cli) id: String,
}

/// Reads a scope. A key that was given in its place is not repeated, nor taken for a project.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScopeParser;

/// Where the keys of a scope are in the API.
pub(super) fn keys_of(scope: &Scope) -> String {
    match scope {
        Scope::Instance => "/api/v1/keys".to_owned(),
        Scope::Project(project) => format!("/api/v1/projects/{project}/keys"),
        Scope::Deployment(name) => path_of(name, "/keys"),
    }
}

// === impl ScopeParser ===

impl TypedValueParser for ScopeParser {
    type Value = Scope;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Scope, clap::Error> {
        if let Some(id) = value.to_str().and_then(secret::id_within) {
            let words = format!(
                "{}, whose public id is {id}, where a scope goes: {SCOPE}; it was not \
                 sent anywhere, but may stay in the shell's history\n",
                secret::IS_A_KEY
            );
            return Err(clap::Error::raw(ErrorKind::ValueValidation, words).with_cmd(command));
        }
        let parser = StringValueParser::new().try_map(|text| Scope::parse(&text));
        parser.parse_ref(command, arg, value)
    }
}

// === impl KeyArgs ===

impl KeyArgs {
    /// Where it is in the API.
    ///
    /// # Errors
    /// When it is no public id. A key that was given in place of its id is not repeated, nor sent.
    pub(super) fn path(&self) -> Result<String, Failure> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if let Some(id) = secret::id_within(&self.id) {
            let is_a_key = secret::IS_A_KEY;
            let words = format_args!("{is_a_key}, not its public id; it was not sent anywhere");
            return Err(Failure::usage(words).hint(format_args!(
                "its id is {id}; a key that is typed into a command may stay in the shell's history"
            )));
        }
        if self.id.is_empty() || self.id.len() > ID_CHARS_MAX || !self.id.bytes().all(plain) {
            let words = "that can't be a key's public id (not shown: it may be a key itself)";
            return Err(Failure::usage(words).hint(self.list()));
        }
        Ok(path(&self.scope, &self.id))
    }

    /// Says where the key is, when something failed because it is not where it was looked for.
    pub(super) fn hinted(&self, failure: Failure, session: &Session) -> Failure {
        // One that the gateway knows for a key itself is not tried elsewhere: it would be in more URLs.
        if failure.problem() != Some("key_unknown") || failure.words().starts_with(secret::IS_A_KEY)
        {
            return failure;
        }
        let is_there = |scope: &Scope| session.client.get(&path(scope, &self.id)).is_ok();
        match self.elsewhere(session).into_iter().find(is_there) {
            Some(scope) => failure.hint(format_args!(
                "a key of this id opens {scope}: name it as `{scope} {}`",
                self.id
            )),
            None => failure.hint(self.list()),
        }
    }

    fn list(&self) -> String {
        let scope = &self.scope;
        format!(
            "`weir key list {scope}` shows the ids of the keys that open {scope} as a whole; what a key \
             opens is {SCOPE}"
        )
    }

    /// Other scopes whose keys may be meant, the nearest first.
    fn elsewhere(&self, session: &Session) -> Vec<Scope> {
        let (mut scopes, deployments) = match &self.scope {
            Scope::Instance => (Vec::new(), "/api/v1/deployments".to_owned()),
            Scope::Project(project) => (
                vec![Scope::Instance],
                format!("/api/v1/projects/{project}/deployments"),
            ),
            Scope::Deployment(name) => {
                let project = name.project();
                let whole = Scope::parse(project).ok();
                (
                    whole.into_iter().chain([Scope::Instance]).collect(),
                    format!("/api/v1/projects/{project}/deployments"),
                )
            }
        };
        let listed = session.client.list_up_to(&deployments, LOOKED_AT_MAX);
        // Without a list there is less to look through.
        for deployment in listed.unwrap_or_default() {
            let text = |member: &str| deployment[member].as_str().unwrap_or_default();
            let name = format!("{}/{}", text("project"), text("name"));
            scopes.extend(Scope::parse(&name));
        }
        scopes.retain(|scope| *scope != self.scope);
        scopes
    }
}

fn path(scope: &Scope, id: &str) -> String {
    format!("{}/{}", keys_of(scope), escaped(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_has_its_address() {
        for (scope, path) in [
            ("instance", "/api/v1/keys"),
            ("demo", "/api/v1/projects/demo/keys"),
            ("demo/iris", "/api/v1/projects/demo/deployments/iris/keys"),
        ] {
            assert_eq!(keys_of(&Scope::parse(scope).expect("a scope")), path);
        }
    }

    #[test]
    fn a_key_in_place_of_a_scope_is_not_repeated() {
        let command = Command::new("x").no_binary_name(true);
        let command = command.arg(Arg::new("scope").value_parser(ScopeParser));
        let read = |text: &str| {
            let mut found = command.clone().try_get_matches_from([text])?;
            Ok(found.remove_one::<Scope>("scope").expect("a scope"))
        };
        // The second could be a project's name.
        for secret in ["xY".repeat(20), "x".repeat(40)] {
            let refused: clap::Error = read(&format!("wk_a1_{secret}")).expect_err("a key");
            let words = refused.to_string();
            assert!(words.contains("public id is a1, where a scope"), "{words}");
            assert!(!words.contains(&secret), "{words}");
        }
        assert_eq!(read("demo/iris").expect("a scope").to_string(), "demo/iris");
        assert!(read("Demo").is_err());
    }

    #[test]
    fn a_key_in_place_of_its_id_is_neither_sent_nor_repeated() {
        let path = |id: &str| {
            let (scope, id) = (Scope::Instance, id.to_owned());
            KeyArgs { scope, id }.path()
        };
        assert_eq!(path("k1-a_b").ok().as_deref(), Some("/api/v1/keys/k1-a_b"));
        let secret = "x".repeat(32);
        let own = path(&format!("wk_abc_{secret}")).expect_err("a key");
        assert!(own.words().starts_with("that is a key itself"), "{own:?}");
        for id in ["", "two words", "0123456789abcdef!", &"a".repeat(65)] {
            let refused = path(id).expect_err(id);
            assert!(refused.words().contains("can't be"), "{refused:?}");
            assert!(id.is_empty() || !format!("{refused:?}").contains(id));
        }
        assert!(!format!("{own:?}").contains(&secret));
    }
}
