//! `weir context`: gateways by name.

use std::{fs, path::PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::{
    failure::Failure,
    remote::{Context, Contexts, Options, address, check_token, unknown_context},
    terminal::{Out, Table},
};

#[derive(Debug, Subcommand)]
pub(super) enum ContextCommand {
    /// List them; a star marks the one in use
    List,
    /// Show the one in use
    Show,
    /// Add one, or replace it; the first one is put in use
    #[command(
        after_help = "Example: weir context add prod --admin-url https://weir.example:8081 --token-file admin.token"
    )]
    Add {
        /// What it is to be called
        name: String,
        /// A file with its admin token, such as admin.token of the gateway's data directory
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// Put one in use
    Use {
        /// Its name
        name: String,
    },
    /// Forget one
    Remove {
        /// Its name
        name: String,
    },
}

/// Runs a command. Nothing is sent to a gateway.
///
/// # Errors
/// When the file can't be read or written, or there is no such context.
pub(super) fn run(command: ContextCommand, options: &Options) -> Result<(), Failure> {
    let out = options.out();
    let mut contexts = Contexts::load()?;
    match command {
        ContextCommand::List => return list(&contexts, &out),
        ContextCommand::Show => return show(contexts, &out),
        ContextCommand::Add { name, token_file } => {
            let Some(admin_url) = options.admin_url.clone() else {
                return Err(Failure::usage("a context needs --admin-url"));
            };
            // Every later command would stumble over what is wrong with it.
            address(&admin_url)?;
            let token = match (&options.token, token_file) {
                (Some(token), _) => Some(token.clone()),
                (None, Some(path)) => {
                    let read = fs::read_to_string(&path);
                    let read = read.map_err(|error| {
                        Failure::usage(format_args!("can't read {}: {error}", path.display()))
                    })?;
                    Some(read.trim().to_owned())
                }
                (None, None) => None,
            };
            token.as_deref().map(check_token).transpose()?;
            // Commands run elsewhere later.
            let whole = |path: &Option<PathBuf>| match path {
                Some(path) => path.canonicalize().map(Some).map_err(|error| {
                    Failure::usage(format_args!("can't read {}: {error}", path.display()))
                }),
                None => Ok(None),
            };
            let context = Context {
                admin_url,
                token,
                ca_file: whole(&options.ca_file)?,
                cert_file: whole(&options.cert_file)?,
                key_file: whole(&options.key_file)?,
            };
            contexts.context.insert(name.clone(), context);
            contexts.current.get_or_insert(name);
        }
        ContextCommand::Use { name } => {
            if !contexts.context.contains_key(&name) {
                return Err(unknown_context(&name));
            }
            contexts.current = Some(name);
        }
        ContextCommand::Remove { name } => {
            if contexts.context.remove(&name).is_none() {
                return Err(unknown_context(&name));
            }
            contexts.current.take_if(|current| *current == name);
        }
    }
    contexts.save()?;
    list(&contexts, &out)
}

fn list(contexts: &Contexts, out: &Out) -> Result<(), Failure> {
    let is_current = |name: &String| contexts.current.as_ref() == Some(name);
    if out.is_json() {
        let items = contexts.context.iter().map(|(name, context)| {
            json!({
                "name": name,
                "admin_url": context.admin_url,
                "has_token": context.token.is_some(),
                "current": is_current(name),
            })
        });
        return out.items(&items.collect::<Vec<_>>());
    }
    let mut table = Table::new(&["", "NAME", "ADMIN URL", "TOKEN"]);
    for (name, context) in &contexts.context {
        table.row(vec![
            if is_current(name) { "*" } else { " " }.to_owned(),
            name.clone(),
            context.admin_url.clone(),
            if context.token.is_some() { "kept" } else { "" }.to_owned(),
        ]);
    }
    out.table(&table)
}

fn show(contexts: Contexts, out: &Out) -> Result<(), Failure> {
    let Some(name) = contexts.current else {
        return Err(Failure::new("no context is in use")
            .hint("`weir context add NAME --admin-url URL --token TOKEN` makes one"));
    };
    match out.is_json() {
        true => out.json(&json!({"name": name})),
        false => out.line(&name),
    }
}
