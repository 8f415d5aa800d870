//! Scripts written for SambaStudio's `snapi endpoint`, with another name in front.

use serde_json::json;

use crate::{
    ops_cli_nouns::{fleet, golden, table},
    support::{
        PATIENCE,
        admin::{at, text},
        eventually,
    },
};

#[test]
fn a_script_of_theirs_from_creation_to_deletion() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    let url = fleet.backends[0].url();
    let created = cli.ok(&format!(
        "endpoint create --project demo --endpoint-name flan --model-checkpoint 'Flan T5' --arch SN40L \
         --instances 2 --description 'a language model' --backend {url}"
    ));
    let key = created
        .lines()
        .find_map(|l| l.strip_prefix("First key (shown once):"))
        .map(str::trim)
        .unwrap_or_else(|| panic!("{created}"));
    assert!(
        created.starts_with("Deployment demo/flan created.\n"),
        "{created}"
    );
    let shown = api.show(&at("demo/flan"));
    assert_eq!(shown["description"], "a language model");
    for (member, value) in [
        ("model", json!("Flan T5")),
        ("arch", json!("SN40L")),
        ("instances", json!(2)),
    ] {
        assert_eq!(shown["version"][member], value, "{shown}");
    }
    for path in ["/predict/demo/flan", "/stream/demo/flan"] {
        assert!(created.contains(path), "{created}");
        let answer = fleet
            .gateway
            .call(&format!("POST {path}"), &[("x-api-key", key)], b"");
        assert_eq!(answer.text(), "iris");
    }
    for info in [
        "endpoint info --project demo --endpoint flan",
        "endpoint info -p demo -e flan",
        "endpoint info --project demo --deployment flan",
        "endpoint info --project demo --endpoint-name flan",
        "endpoint info --project demo --endpoint_name flan",
        "endpoint info demo/flan",
        "deployment info --project demo --endpoint flan",
        "deployment info -p demo --endpoint_name flan",
    ] {
        assert_eq!(cli.json(info), api.show(&at("demo/flan")), "weir {info}");
    }
    let listed = cli.ok("endpoint list --project demo");
    assert_eq!(golden(&listed), golden(&cli.ok("deployment list -p demo")));

    let flan = "--project demo --endpoint flan";
    let url = fleet.backends[1].url();
    cli.ok(&format!(
        "endpoint deploy {flan} --backend {url} --model-checkpoint 'Flan T6'"
    ));
    cli.ok(&format!(
        "endpoint update {flan} --description 'a better one'"
    ));
    let shown = api.show(&at("demo/flan"));
    assert_eq!(shown["version"]["model"], "Flan T6");
    assert_eq!(shown["version"]["arch"], "SN40L", "what is not named stays");
    assert_eq!(shown["description"], "a better one");
    cli.ok(&format!("endpoint rollback {flan}"));
    assert_eq!(api.live_version("demo/flan"), Some(1));
    cli.ok(&format!("endpoint stop {flan}"));
    cli.ok(&format!("endpoint restart {flan}"));
    assert!(
        cli.ok(&format!("endpoint history {flan}"))
            .contains("rollback")
    );

    let made = cli.ok(&format!(
        "endpoint add-apikey {flan} --description 'their app'"
    ));
    let id = made.lines().next().and_then(|l| l.strip_prefix("Key "));
    let id = id
        .and_then(|l| l.strip_suffix(" created."))
        .expect(&made)
        .to_owned();
    let secret = made
        .lines()
        .find_map(|l| l.strip_prefix("Secret (shown once): "));
    let headers = [("key", secret.expect(&made))];
    let call = || {
        fleet
            .gateway
            .call("POST /predict/demo/flan", &headers, b"")
            .status
    };
    assert_eq!(call(), 200, "with the header that they use");
    let keys = cli.ok(&format!("endpoint list-apikeys {flan}"));
    assert!(
        keys.contains("their app") && keys.contains("First Key"),
        "{keys}"
    );
    assert_eq!(table(&keys).len(), 3, "{keys}");
    cli.ok(&format!(
        "endpoint edit-apikey {flan} --apikey {id} --description 'our app'"
    ));
    let info = cli.json(&format!("endpoint info-apikey {flan} --apikey {id}"));
    assert_eq!(info["description"], "our app", "{info}");
    assert_eq!(info, api.show(&format!("{}/keys/{id}", at("demo/flan"))));
    cli.ok(&format!(
        "endpoint revoke-apikey {flan} --apikey {id} --yes"
    ));
    assert_eq!(call(), 401);

    let deleted = cli.ok(&format!("endpoint delete {flan} --reason 'the end' --yes"));
    assert_eq!(deleted, "Endpoint flan successfully marked delete.\n");
    assert_eq!(api.show(&at("demo/flan"))["state"], "deleted");
}

#[test]
fn names_that_disagree_or_are_half_there_are_usage() {
    let fleet = fleet();
    let cli = fleet.gateway.cli();
    for usage in [
        "endpoint info --project demo",
        "endpoint info --endpoint iris",
        "endpoint info",
        "endpoint info demo/iris --project fraud --endpoint score",
        "endpoint info-apikey --project demo --endpoint iris",
        "endpoint edit-apikey --project demo --endpoint iris --apikey x",
    ] {
        let err = cli.fails(2, usage);
        assert!(!err.contains("panicked"), "weir {usage}: {err}");
    }
    cli.fails_with(
        4,
        "endpoint info --project demo --endpoint nothing",
        &["demo/nothing"],
    );
}

#[test]
fn deleting_says_it_once_it_is_so() {
    let fleet = fleet();
    let (cli, api) = (fleet.gateway.cli(), fleet.gateway.api());
    let asked = cli.say(
        "endpoint delete --project demo --endpoint text --reason x",
        "y\n",
    );
    assert_eq!(
        (asked.code, asked.out.as_str()),
        (0, "Endpoint text successfully marked delete.\n"),
        "{asked:#?}"
    );
    assert_eq!(api.show(&at("demo/text"))["state"], "deleted");
    // Not waiting is fine as well: marked is what it says.
    let line = "endpoint delete --project demo --endpoint iris --reason x --yes --no-wait";
    assert_eq!(cli.ok(line), "Endpoint iris successfully marked delete.\n");
    eventually(PATIENCE, "gone", || {
        text(&api.show(&at("demo/iris"))["state"]) == "deleted"
    });
}
