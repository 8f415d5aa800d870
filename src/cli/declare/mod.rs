//! Declarations: `weir apply`, `weir diff` and `weir export`, over the admin API alone.
//!
//! ```text
//! files ──read──▶ Declarations ─┐
//!                               ├─ plan ──▶ Plan ──show──▶ text, JSON
//! gateway ──Standing::read──────┘            └───apply──▶ calls, up to 16 at once
//!         └──────────────────────export──▶ TOML that is read again
//! ```
//!
//! Both sides go through the reader of `spec`, so that what is left out and what is its default are the
//! same. What the plan is made from is what the gateway shows: nothing is remembered between two runs.

mod apply;
mod calls;
mod declared;
mod diff;
mod done;
mod each;
mod export;
mod gateway;
mod normal;
mod overtaken;
mod plan;
mod planning;
mod planning_keys;
mod read;
mod show;
mod shown;
#[cfg(test)]
mod tests;
mod toml_text;

use std::{collections::BTreeSet, path::PathBuf};

use serde_json::json;

use self::{gateway::Standing, plan::Plan};
use super::{
    failure::{Code, Failure},
    remote::Session,
    terminal::{Style, confirmed},
};
use crate::{
    base::{clock::unix_ms, name::Name},
    spec::Declarations,
};

pub(super) use read::{Unread, read};

/// What is declared, and how much of it counts.
#[derive(Debug, clap::Args)]
pub(super) struct Sources {
    /// Declarations: a file, a directory with *.toml files, or - for standard input; may be repeated
    #[arg(
        short = 'f',
        long = "file",
        value_name = "FILE|DIR",
        required = true,
        num_args = 1..
    )]
    files: Vec<PathBuf>,
    /// Also delete deployments and revoke keys of the declared projects that are not declared
    #[arg(long)]
    prune: bool,
}

/// `weir apply`.
#[derive(Debug, clap::Args)]
pub(super) struct Apply {
    #[command(flatten)]
    sources: Sources,
    /// Print the plan and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before something is deleted
    #[arg(short, long)]
    yes: bool,
    /// Stop waiting for deploys after so many seconds; the gateway goes on
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// `weir diff`.
#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    #[command(flatten)]
    sources: Sources,
}

/// `weir export`.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// Only this project; may be repeated
    #[arg(short, long = "project", value_name = "PROJECT")]
    projects: Vec<Name>,
}

/// Shows what is to be done and does it.
///
/// # Errors
/// When a declaration is wrong, the gateway can't be reached, or anything of it fails.
pub(super) fn apply(arguments: &Apply, session: &Session) -> Result<(), Failure> {
    let out = &session.out;
    let declared = declared(&arguments.sources.files)?;
    let plan = planned(&declared, arguments.sources.prune, session)?;
    if plan.steps.is_empty() || arguments.dry_run {
        return match out.is_json() {
            true => out.json(&show::json(&plan)),
            false => out.line(&show::text(&plan, out.style).join("\n")),
        };
    }
    if !out.is_json() {
        out.line(&show::text(&plan, out.style).join("\n"))?;
    }
    if let Some(question) = show::question(&plan) {
        if out.is_json() {
            // Whoever is asked sees what about, and standard output stays one document.
            for line in show::text(&plan, Style::new(false)) {
                out.note(&line);
            }
        }
        confirmed(&question, arguments.yes)?;
    }
    let done = apply::apply(&plan, session, arguments.timeout);
    if out.is_json() {
        let mut shown = show::json(&plan);
        shown["applied"] = json!(done.to_json());
        out.json(&shown)?;
    } else {
        out.line(&done.summary())?;
    }
    done.into_failure().map_or(Ok(()), Err)
}

/// Shows in what the gateway differs from its declarations.
///
/// # Errors
/// As [`apply()`]; [`Code::Drift`] when it differs.
pub(super) fn diff(arguments: &Diff, session: &Session) -> Result<(), Failure> {
    let out = &session.out;
    let declared = declared(&arguments.sources.files)?;
    let plan = planned(&declared, arguments.sources.prune, session)?;
    match out.is_json() {
        true => out.json(&show::json(&plan))?,
        false => out.line(&show::text(&plan, out.style).join("\n"))?,
    }
    match plan.steps.is_empty() {
        true => Ok(()),
        false => Err(Failure::silent(Code::Drift)),
    }
}

/// Writes what stands at the gateway as declarations.
///
/// # Errors
/// As calls of the API.
pub(super) fn export(arguments: &Export, session: &Session) -> Result<(), Failure> {
    let out = &session.out;
    if out.is_json() {
        return Err(
            Failure::usage("declarations are TOML: there is no JSON of them").hint(
                "`weir deployment list -o json` and `weir key list -o json` show what stands there",
            ),
        );
    }
    let projects: BTreeSet<Name> = arguments.projects.iter().cloned().collect();
    let standing = Standing::whole(&session.client, &projects)?;
    let (declarations, notes) = standing.declared(&projects);
    let text = export::text(&declarations, &notes, session.client.base());
    // What can't be read again is nothing that anybody should keep.
    if let Err(mistakes) = Declarations::from_toml(&text) {
        return Err(
            Failure::new("what stands at the gateway can't be written as declarations")
                .details(mistakes.list().iter().map(ToString::to_string)),
        );
    }
    for note in &notes {
        out.note(&format!("note: {note}"));
    }
    out.bytes(text.as_bytes())
}

fn declared(paths: &[PathBuf]) -> Result<Declarations, Failure> {
    let files = read(paths).map_err(Unread::into_failure)?;
    let mut all = Declarations::default();
    for file in files {
        let one = file.declarations;
        all.tenants.extend(one.tenants);
        all.projects.extend(one.projects);
        all.deployments.extend(one.deployments);
        all.keys.extend(one.keys);
    }
    Ok(all)
}

fn planned(declared: &Declarations, prune: bool, session: &Session) -> Result<Plan, Failure> {
    let standing = Standing::beside(&session.client, declared, prune)?;
    Ok(planning::plan(declared, &standing, prune, unix_ms()))
}
