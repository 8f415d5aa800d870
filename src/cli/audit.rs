//! `weir audit`: who did what to tenants, projects, tokens and keys, and who was refused.

use serde_json::Value;

use super::{
    failure::Failure,
    remote::{Session, text},
    terminal::{Table, ago},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  weir audit -n 20
  weir audit --refused
What was done to a deployment stands in its own history: weir deployment history demo/iris")]
pub(super) struct AuditArgs {
    /// Show which calls of the admin API were refused
    #[arg(long)]
    refused: bool,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: usize,
}

/// Shows what was done, or what was refused; newest first.
///
/// # Errors
/// As calls of the API.
pub(super) fn run(arguments: &AuditArgs, session: &Session) -> Result<(), Failure> {
    let (client, out) = (&session.client, &session.out);
    if arguments.refused {
        let refusals = client.list_up_to("/api/v1/audit", arguments.limit)?;
        return out.list(&refusals, "nothing was refused", refusals_table(), refusal);
    }
    let deeds = client.list_up_to("/api/v1/history", arguments.limit)?;
    out.list(&deeds, "nothing was done yet", deeds_table(), deed)
}

fn deeds_table() -> Table {
    Table::new(&["WHEN", "BY", "TOKEN", "ACTION", "WHAT", "REASON"])
}

fn deed(deed: &Value) -> Vec<String> {
    let (kind, name) = (text(deed, "kind"), text(deed, "name"));
    let of = [text(deed, "project"), text(deed, "tenant")];
    // A project is not said to be of itself.
    let of = of.into_iter().find(|of| !of.is_empty() && *of != name);
    let what = match of {
        Some(of) => format!("{kind} {name} of {of}"),
        None => format!("{kind} {name}"),
    };
    vec![
        ago(&deed["at"]),
        text(deed, "by"),
        text(deed, "token"),
        text(deed, "action"),
        what,
        text(deed, "reason"),
    ]
}

fn refusals_table() -> Table {
    Table::new(&["WHEN", "WHO", "FROM", "CALL", "STATUS", "CODE"])
}

fn refusal(refusal: &Value) -> Vec<String> {
    vec![
        ago(&refusal["at"]),
        text(refusal, "who"),
        text(refusal, "peer"),
        format!("{} {}", text(refusal, "method"), text(refusal, "path")),
        text(refusal, "status"),
        text(refusal, "code"),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::terminal::Style;

    #[test]
    fn the_tables() {
        let mut table = deeds_table();
        table.row(deed(
            &json!({"by": "ann", "action": "create", "kind": "key", "name": "k1",
            "project": "demo", "tenant": "default"}),
        ));
        table.row(deed(
            &json!({"by": "ann", "action": "delete", "kind": "project",
            "name": "demo", "project": "demo", "tenant": "default", "token": "t1"}),
        ));
        assert_eq!(
            table.lines(Style::new(false)),
            [
                "WHEN  BY   TOKEN  ACTION  WHAT                     REASON",
                "-     ann  -      create  key k1 of demo           -",
                "-     ann  t1     delete  project demo of default  -",
            ]
        );
        let mut table = refusals_table();
        table.row(refusal(
            &json!({"method": "GET", "path": "/x\u{1b}", "status": 401,
            "code": "unauthorized", "peer": "127.0.0.1"}),
        ));
        assert_eq!(
            table.lines(Style::new(false)),
            [
                "WHEN  WHO  FROM       CALL          STATUS  CODE",
                "-     -    127.0.0.1  GET /x\\u{1b}  401     unauthorized",
            ]
        );
    }
}
