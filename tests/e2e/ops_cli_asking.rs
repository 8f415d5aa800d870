//! What can't be undone names what it would do, and asks; nobody there to answer means no.

use serde_json::json;

use crate::{
    ops_cli_nouns::{Fleet, fleet},
    support::{Admin, admin::at, want},
};

/// Commands that ask, each with words that the question can't do without, and whether it happened.
type Case = (String, Vec<String>, Box<dyn Fn(&Admin) -> bool>);

fn cases(fleet: &Fleet) -> Vec<Case> {
    let api = fleet.gateway.api();
    let (key, _) = api.key(&at("demo/iris"), &json!({"description": "the app"}));
    let (token, _) = api.token(&json!({"name": "reader", "role": "viewer"}));
    want(201, &api.post("/projects", &json!({"name": "empty"})));
    want(201, &api.post("/tenants", &json!({"name": "bare"})));
    let gone = |path: String, member: &'static str, value: &'static str| {
        move |api: &Admin| {
            let answer = api.get(&path);
            answer.status == 404 || answer.json()[member] == value
        }
    };
    let words = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect();
    vec![
        (
            format!("key revoke demo/iris {key}"),
            words(&[&key, "demo/iris"]),
            Box::new(gone(
                format!("{}/keys/{key}", at("demo/iris")),
                "status",
                "revoked",
            )),
        ),
        (
            format!("token revoke {token}"),
            words(&[&token]),
            Box::new(gone(format!("/tokens/{token}"), "status", "revoked")),
        ),
        (
            "project delete empty".to_owned(),
            words(&["empty"]),
            Box::new(gone("/projects/empty".to_owned(), "name", "")),
        ),
        (
            "tenant delete bare".to_owned(),
            words(&["bare"]),
            Box::new(gone("/tenants/bare".to_owned(), "name", "")),
        ),
        (
            "deployment delete demo/iris --reason 'no longer needed'".to_owned(),
            words(&[
                "Delete deployment demo/iris (live, ",
                "It can't be undone. [y/N] ",
            ]),
            Box::new(gone(at("demo/iris"), "state", "deleted")),
        ),
        (
            "endpoint delete -p demo -e text --reason x".to_owned(),
            words(&["demo/text", "It can't be undone. [y/N] "]),
            Box::new(gone(at("demo/text"), "state", "deleted")),
        ),
    ]
}

#[test]
fn only_a_yes_is_one() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    for (line, words, happened) in cases(&fleet) {
        for no in ["", "n\n", "\n", "N\n", "nope\n", "yesterday\n", " \n y\n"] {
            let ran = cli.say(&line, no);
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{no:?}: {ran}");
            for word in &words {
                assert!(ran.err.contains(word.as_str()), "no {word:?}: {ran}");
            }
            assert!(ran.err.contains("[y/N] "), "{ran}");
            assert!(!happened(&api), "weir {line} after {no:?}");
        }
        let nobody = cli.say(&line, "");
        assert!(
            nobody.err.contains("\nhint: ") && nobody.err.contains("--yes"),
            "{nobody:#?}"
        );
        let ran = cli.say(&line, "y\n");
        ran.said(0, &["[y/N] "]);
        assert!(!ran.out.contains("[y/N]"), "{ran}");
        assert!(happened(&api), "weir {line}");
    }
}

#[test]
fn it_does_not_ask_those_who_said_so() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    for (n, (line, _, happened)) in cases(&fleet).into_iter().enumerate() {
        let yes = if n % 2 == 0 { "--yes" } else { "-y" };
        let ran = cli.run(&format!("{line} {yes}"));
        ran.said(0, &[]);
        assert!(!ran.err.contains("[y/N]"), "{ran}");
        assert!(happened(&api), "weir {line}");
    }
}

#[test]
fn the_question_counts_what_goes_with_it() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    for _ in 0..2 {
        api.key(&at("demo/iris"), &json!({}));
    }
    let ran = cli.say("deployment delete demo/iris --reason x", "n\n");
    let question = "Delete deployment demo/iris (live, 3 keys)? It can't be undone. [y/N] ";
    assert!(ran.err.contains(question), "{ran}");
    let ran = cli.say("deployment delete demo/broken --reason x", "n\n");
    assert!(ran.err.contains("demo/broken (failed, 1 key)"), "{ran}");
    // Nothing to ask about what is not there.
    let ran = cli.say("deployment delete demo/nothing --reason x", "y\n");
    ran.said(4, &["demo/nothing"]);
    assert!(!ran.err.contains("[y/N]"), "{ran}");
    let named = "deployment delete demo/nothing --reason x --yes";
    cli.fails_with(4, named, &["demo/nothing"]);
}

#[test]
fn nobody_is_asked_about_what_their_token_does_not_open() {
    let fleet = fleet();
    let viewer = json!({"name": "eyes", "role": "viewer", "projects": ["demo"], "description": ""});
    let (_, secret) = fleet.gateway.api().token(&viewer);
    let cli = fleet.gateway.cli().env("WEIR_ADMIN_TOKEN", &secret);
    let ran = cli.say("deployment delete demo/iris --reason x", "y\n");
    ran.said(5, &["weir: "]);
    assert!(!ran.err.contains("[y/N]"), "{ran}");
}

#[test]
fn at_a_terminal_it_waits_for_the_answer() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    let mut no = cli.on_terminal("deployment delete demo/iris --reason x");
    no.shows("Delete deployment demo/iris (live, 1 key)? It can't be undone. [y/N]");
    no.types("n\n");
    assert_eq!(no.ended().0, Some(2));
    assert_eq!(api.show(&at("demo/iris"))["state"], "live");
    let mut yes = cli.on_terminal("deployment delete demo/iris --reason x");
    yes.shows("[y/N]");
    yes.types("yes\n");
    let (code, _, screen) = yes.ended();
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(screen.count("Deployment demo/iris deleted."), 1, "{screen}");
    assert_eq!(api.show(&at("demo/iris"))["state"], "deleted");
}
