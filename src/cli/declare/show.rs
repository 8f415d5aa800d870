//! A plan for people and for programs.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::plan::{Action, Object, Plan, Step};
use crate::cli::terminal::{Style, counted, grouped, safe};

/// The most of a value that a line shows, in characters.
const VALUE_CHARS_MAX: usize = 100;

/// Names wider than this do not push the other lines' words to the right.
const WIDTH_MAX: usize = 60;

/// So many of what is to go are named in the question; the plan above it names all.
const NAMES_MAX: usize = 20;

/// What a plan says, a line each.
pub(super) fn text(plan: &Plan, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let widths = plan.steps.iter().map(|step| titled(step).width());
    let width = widths
        .filter(|width| *width <= WIDTH_MAX)
        .max()
        .unwrap_or(0);
    for step in &plan.steps {
        let title = titled(step);
        let pad = " ".repeat(width.saturating_sub(title.width()));
        let line = format!("{} {title}{pad}  {}", sign(step.action), safe(&step.says));
        let line = line.trim_end();
        lines.push(match step.action {
            Action::Create => style.green(line),
            Action::Change | Action::Swap | Action::Wait => style.yellow(line),
            Action::Delete | Action::Revoke | Action::Blocked => style.red(line),
        });
        for change in &step.changes {
            let (from, to) = (value(change.from.as_ref()), value(change.to.as_ref()));
            lines.push(format!("    {}: {from} -> {to}", safe(&change.field)));
        }
    }
    lines.extend(plan.notes.iter().map(|note| format!("= {}", safe(note))));
    lines.push(conclusion(plan));
    lines
}

fn conclusion(plan: &Plan) -> String {
    if plan.steps.is_empty() {
        let (deployments, keys) = (plan.deployments, plan.keys);
        return format!(
            "Nothing to do: {}, {} as declared.",
            counted(deployments, "deployment"),
            counted(keys, "key")
        );
    }
    let counts = [
        (plan.count(&[Action::Create]), "to create"),
        (
            plan.count(&[Action::Change, Action::Swap, Action::Wait]),
            "to change",
        ),
        (plan.count(&[Action::Delete, Action::Revoke]), "to delete"),
        (plan.count(&[Action::Blocked]), "that can't be done"),
    ];
    let counts = counts
        .into_iter()
        // The first three are always told.
        .enumerate()
        .filter(|(at, (count, _))| *at < 3 || *count > 0)
        .map(|(_, (count, words))| format!("{} {words}", grouped(count)));
    let mut parts: Vec<String> = counts.collect();
    parts.push(format!("{} unchanged", grouped(plan.unchanged)));
    format!("Plan: {}.", parts.join(", "))
}

fn sign(action: Action) -> char {
    match action {
        Action::Create => '+',
        Action::Change | Action::Swap | Action::Wait => '~',
        Action::Delete | Action::Revoke => '-',
        Action::Blocked => '!',
    }
}

/// `deployment demo/iris`, `key k1a2b3 (demo/iris)`.
fn titled(step: &Step) -> String {
    title(&step.object)
}

/// What a step is about, for people.
pub(super) fn title(object: &Object) -> String {
    match object {
        Object::Key(scope, id) => format!("key {id} ({scope})"),
        object => format!("{} {}", object.kind(), object.name()),
    }
}

fn value(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "(none)".to_owned();
    };
    let text = value.to_string();
    let shown = match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    };
    safe(&shown).into_owned()
}

/// The question before what can't be undone; none when nothing of the plan is.
pub(super) fn question(plan: &Plan) -> Option<String> {
    let is_final = |step: &&Step| step.action.is_final();
    let names: Vec<String> = plan.steps.iter().filter(is_final).map(titled).collect();
    let deployments = plan.count(&[Action::Delete]);
    let keys = plan.count(&[Action::Revoke]);
    let what = match (names.as_slice(), deployments, keys) {
        ([], ..) => return None,
        ([only], 1, _) => format!("Delete {only}"),
        ([only], ..) => format!("Revoke {only}"),
        (_, deployments, 0) => format!("Delete {}", counted(deployments, "deployment")),
        (_, 0, keys) => format!("Revoke {}", counted(keys, "key")),
        (_, deployments, keys) => format!(
            "Delete {} and revoke {}",
            counted(deployments, "deployment"),
            counted(keys, "key")
        ),
    };
    let list = match names.len() {
        1 => String::new(),
        count if count > NAMES_MAX => {
            let first = names[..NAMES_MAX].join(", ");
            format!(" ({first} and {} more)", grouped(count - NAMES_MAX))
        }
        _ => format!(" ({})", names.join(", ")),
    };
    Some(format!("{what}{list}? It can't be undone."))
}

/// A plan for programs.
pub(super) fn json(plan: &Plan) -> Value {
    let steps: Vec<Value> = plan
        .steps
        .iter()
        .map(|step| {
            let changes: Vec<Value> = step
                .changes
                .iter()
                .map(|change| json!({"field": change.field, "from": change.from, "to": change.to}))
                .collect();
            let mut shown = json!({
                "action": step.action.as_str(),
                "kind": step.object.kind(),
                "name": step.object.name(),
            });
            if let Object::Key(scope, _) = &step.object {
                shown["scope"] = json!(scope);
            }
            if step.action == Action::Blocked {
                shown["reason"] = json!(step.says);
            }
            shown["changes"] = json!(changes);
            shown
        })
        .collect();
    json!({"plan": steps, "unchanged": plan.unchanged, "notes": plan.notes})
}
