//! Keys, projects, tenants and tokens by the command line.

use serde_json::json;

use crate::{
    ops_cli_nouns::{fleet, same, same_list, table},
    support::admin::{at, text},
};

#[test]
fn keys_are_listed_shown_and_edited() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    let made = cli.ok("key add demo/iris --description 'the app' --expires-in 30d --may-pin");
    let mut lines = made.lines();
    let id = lines.next().and_then(|l| l.strip_prefix("Key "));
    let id = id
        .and_then(|l| l.strip_suffix(" created."))
        .expect(&made)
        .to_owned();
    let secret = lines
        .next()
        .and_then(|l| l.strip_prefix("Secret (shown once): "));
    assert!(secret.expect(&made).starts_with("wk_"), "{made}");
    let path = format!("{}/keys", at("demo/iris"));
    let key = same(
        &cli,
        &format!("key info demo/iris {id}"),
        &api,
        &format!("{path}/{id}"),
    );
    assert_eq!(
        (&key["description"], &key["may_pin"]),
        (&json!("the app"), &json!(true))
    );
    assert!(key["expires_at"].is_string(), "{key}");
    let listed = cli.ok("key list demo/iris");
    let rows = table(&listed);
    assert_eq!(
        rows[0],
        [
            "ID",
            "DESCRIPTION",
            "STATUS",
            "SCOPE",
            "OWNER",
            "AGE",
            "LAST USED",
            "PRIORITY",
            "LIMITS"
        ]
    );
    assert_eq!(rows.len(), 3, "{listed}");
    let row = rows.iter().find(|row| row[0] == id).expect(&listed);
    assert_eq!(
        row[1..4],
        ["the app", "live", "demo/iris"].map(String::from)
    );
    cli.ok(&format!(
        "key edit demo/iris {id} --description 'the other app'"
    ));
    assert!(cli.ok("key list demo/iris").contains("the other app"));
    cli.ok(&format!("key revoke demo/iris {id} --yes"));
    assert_eq!(api.show(&format!("{path}/{id}"))["status"], "revoked");
    same_list(&cli, "key list demo/iris", &api, &path);
    for (scope, path) in [("demo", "/projects/demo/keys"), ("instance", "/keys")] {
        let made = cli.json(&format!("key add {scope} --description wide"));
        assert_eq!(
            api.show(&format!("{path}/{}", text(&made["id"])))["status"],
            "live"
        );
        assert!(text(&made["secret"]).starts_with("wk_"), "{made}");
        same_list(&cli, &format!("key list {scope}"), &api, path);
    }
    let known = "wk_known_0123456789abcdefghijklmnopqrstuv";
    let imported = cli.say("key add demo/iris --secret-stdin", &format!("{known}\n"));
    imported.said(0, &[]);
    let body = fleet
        .gateway
        .call("POST /predict/demo/iris", &[("x-api-key", known)], b"");
    assert_eq!(body.text(), "iris");
    // It isn't kept in a form that can be shown, unless the gateway was told to.
    cli.fails_well(6, &format!("key reveal demo/iris {id}"));
}

#[test]
fn projects_tenants_and_tokens_are_kept() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    cli.ok("tenant create acme --description 'the bank'");
    cli.ok("project create risk --tenant acme --description scores");
    let tenant = same(&cli, "tenant info acme", &api, "/tenants/acme");
    assert_eq!(tenant["description"], "the bank");
    let project = same(&cli, "project info risk", &api, "/projects/risk");
    assert_eq!(
        (&project["tenant"], &project["description"]),
        (&json!("acme"), &json!("scores"))
    );
    cli.ok("tenant update acme --description 'a bank'");
    cli.ok("project update risk --description 'all scores'");
    same_list(&cli, "tenant list", &api, "/tenants");
    same_list(&cli, "project list", &api, "/projects");
    for (line, words) in [("tenant list", "a bank"), ("project list", "all scores")] {
        assert!(cli.ok(line).contains(words), "weir {line}");
    }
    let made = cli.json("token add reader --role viewer");
    let (id, secret) = (text(&made["id"]), text(&made["secret"]));
    same(
        &cli,
        &format!("token info {id}"),
        &api,
        &format!("/tokens/{id}"),
    );
    same_list(&cli, "token list", &api, "/tokens");
    assert!(cli.ok("token list").contains("reader"));
    let reader = fleet.gateway.cli().env("WEIR_ADMIN_TOKEN", &secret);
    assert!(reader.ok("deployment list").contains("demo/iris"));
    reader.fails_well(5, "deployment update demo/iris --description mine");
    cli.ok(&format!("token revoke {id} --yes"));
    reader.fails_well(5, "deployment list");
    cli.ok("project delete risk --yes");
    cli.ok("tenant delete acme --yes");
    cli.fails_well(4, "project info risk");
    cli.fails_well(4, "tenant info acme");
}
