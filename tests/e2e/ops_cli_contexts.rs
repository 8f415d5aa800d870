//! Several gateways by name, and which of all that was said is the one that counts.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use crate::support::{Backend, Cli, Gateway, Nowhere, gateway::ADMIN_TOKEN, version};

/// A gateway with one deployment of this name.
fn named(name: &str, backend: &Backend) -> Gateway {
    let gateway = Gateway::bare().start();
    gateway.api().create(name, &version(&backend.url()));
    gateway
}

fn file(cli: &Cli) -> PathBuf {
    cli.home().join("config/weir/contexts.toml")
}

/// Adds a context for this gateway.
fn add(cli: &Cli, name: &str, gateway: &Gateway) {
    let url = gateway.admin_url();
    cli.ok(&format!(
        "context add {name} --admin-url {url} --token {ADMIN_TOKEN}"
    ));
}

#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_context_in_use() {
    let backend = Backend::echo();
    let names = ["a/one", "b/two", "c/three"];
    let gateways = names.map(|name| named(name, &backend));
    let cli = Cli::lost();
    for (gateway, name) in gateways.iter().zip(["one", "two", "three"]) {
        add(&cli, name, gateway);
    }
    let sees = |cli: &Cli, line: &str, name: &str| {
        let out = cli.ok(line);
        assert!(out.contains(name), "weir {line}: not {name}: {out}");
        assert_eq!(out.lines().count(), 2, "weir {line}: {out}");
    };
    let [one, two, three] = gateways.each_ref().map(Gateway::admin_url);
    cli.ok("context use two");
    sees(&cli, "deployment list", "b/two");
    sees(&cli, "--context three deployment list", "c/three");
    sees(&cli, "deployment list --context three", "c/three");
    let by_name = cli.clone().env("WEIR_CONTEXT", "three");
    sees(&by_name, "deployment list", "c/three");
    sees(&by_name, "--context one deployment list", "a/one");
    let env = cli
        .clone()
        .env("WEIR_ADMIN_URL", &one)
        .env("WEIR_ADMIN_TOKEN", ADMIN_TOKEN);
    sees(&env, "deployment list", "a/one");
    let flags = format!("--admin-url {three} --token {ADMIN_TOKEN} deployment list");
    sees(&env, &flags, "c/three");
    sees(&env, "--context two deployment list", "b/two");
    // An address of one place with the token of another is what nobody meant.
    let wrong = cli.clone().env("WEIR_ADMIN_TOKEN", "not-this-one");
    wrong.fails_well(5, "deployment list");
    let flag = format!("--token {ADMIN_TOKEN} deployment list");
    sees(&wrong, &flag, "b/two");
    let _ = two;
}

#[test]
fn contexts_are_kept_shown_chosen_and_removed() {
    let gateway = Gateway::bare().start();
    let cli = Cli::lost();
    assert_eq!(cli.run("context list").code, 0, "before there are any");
    assert!(!file(&cli).exists(), "looking makes no file");
    add(&cli, "here", &gateway);
    let mode = fs::metadata(file(&cli)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    let token_file = cli.file("token", &format!("{ADMIN_TOKEN}\n"));
    let url = gateway.admin_url();
    let line = format!(
        "context add there --admin-url {url} --token-file {}",
        token_file.display()
    );
    cli.ok(&line);
    for line in ["context list", "context show", "context list -o json"] {
        let out = cli.ok(line);
        assert!(!out.contains(ADMIN_TOKEN), "weir {line}: {out}");
    }
    let listed = cli.ok("context list");
    for words in ["here", "there", &url] {
        assert!(listed.contains(words), "no {words}: {listed}");
    }
    cli.ok("context use there");
    assert!(cli.ok("context show").contains("there"));
    assert!(cli.ok("status").contains(env!("CARGO_PKG_VERSION")));
    cli.ok("context remove there");
    assert!(!cli.ok("context list").contains("there"));
    for unknown in [
        "context use there",
        "context remove there",
        "context show there",
    ] {
        let ran = cli.run(unknown);
        assert_ne!(ran.code, 0, "{ran:?}");
        assert!(
            ran.err.contains("there") && ran.err.contains("here"),
            "which there are: {ran:?}"
        );
    }
    let ran = cli.run("--context nowhere status");
    assert_ne!(ran.code, 0);
    assert!(
        ran.err.contains("nowhere") && ran.err.contains("here"),
        "{ran:?}"
    );
    let mode = fs::metadata(file(&cli)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "after rewriting: {mode:o}");
    let dir = fs::read_dir(file(&cli).parent().unwrap()).unwrap();
    assert_eq!(dir.count(), 1, "no draft is left behind");
}

#[test]
fn another_file_and_a_broken_one() {
    let gateway = Gateway::bare().start();
    let cli = Cli::lost();
    let elsewhere = cli.home().join("deep/er/mine.toml");
    let other = cli
        .clone()
        .env("WEIR_CONTEXTS_FILE", elsewhere.to_str().unwrap());
    add(&other, "mine", &gateway);
    assert!(elsewhere.exists() && !file(&cli).exists());
    other.ok("context use mine");
    other.ok("status");
    fs::write(&elsewhere, "[[context]\nname = ").unwrap();
    let ran = other.run("status");
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("mine.toml"), "{ran:?}");
    let ran = other.run("context add more --admin-url http://127.0.0.1:1 --token x");
    assert_ne!(ran.code, 0, "{ran:?}");
    let text = fs::read_to_string(&elsewhere).unwrap();
    assert_eq!(
        text, "[[context]\nname = ",
        "what can't be read is not overwritten"
    );
    // What needs no gateway does not stumble over it.
    other.ok("completions bash");
}

#[test]
fn a_context_that_nothing_could_use_is_not_kept() {
    let cli = Cli::lost();
    for wrong in [
        "--admin-url 127.0.0.1:8081 --token t",
        "--admin-url http://127.0.0.1:99999 --token t",
        "--admin-url http://u:p@127.0.0.1 --token t",
        "--admin-url http://127.0.0.1 --token 'a b'",
    ] {
        cli.fails_well(2, &format!("context add wrong {wrong}"));
        assert!(!file(&cli).exists(), "{wrong}");
    }
}

#[test]
fn a_proxy_of_the_environment_never_sees_what_is_on_this_machine() {
    let gateway = Gateway::bare().start();
    let nowhere = Nowhere::new();
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"] {
        let cli = gateway.cli().env(name, &nowhere.url());
        cli.ok("status");
        // Elsewhere it is asked, and its part in what went wrong is told.
        if name != "https_proxy" {
            let far = cli.env("WEIR_ADMIN_URL", "http://weir.invalid:8081");
            far.fails_with(3, "status", &["\nhint: ", "proxy"]);
        }
    }
}

#[test]
fn a_gateway_that_is_gone_is_named() {
    let nowhere = Nowhere::new();
    let cli = Cli::lost();
    cli.ok(&format!(
        "context add gone --admin-url {} --token t",
        nowhere.url()
    ));
    cli.ok("context use gone");
    cli.fails_with(3, "deployment list", &[&nowhere.url(), "\nhint: "]);
}

#[test]
fn completions_are_what_the_shells_take() {
    let cli = Cli::lost();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = cli.ok(&format!("completions {shell}"));
        for word in [
            "deployment",
            "endpoint",
            "rollback",
            "dead-letters",
            "admin-url",
        ] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
        let path = cli.file(&format!("weir.{shell}"), &script);
        let checked = match shell {
            "bash" | "zsh" => Command::new(shell).arg("-n").arg(&path).output(),
            "fish" => Command::new(shell).arg("--no-execute").arg(&path).output(),
            _ => continue,
        };
        match checked {
            Ok(ran) => assert!(
                ran.status.success() && ran.stderr.is_empty(),
                "{shell}: {ran:?}"
            ),
            Err(why) => eprintln!("{shell} is not here, so its completions are not read: {why}"),
        }
    }
    assert_eq!(cli.run("completions tcsh").code, 2);
    let script = cli.home().join("weir.bash");
    let tried = format!(
        "source '{}'; COMP_WORDS=(weir deployment roll); COMP_CWORD=2; \
         COMP_LINE='weir deployment roll'; COMP_POINT=${{#COMP_LINE}}; \
         _weir weir roll deployment; echo \"${{COMPREPLY[*]}}\"",
        script.display()
    );
    let ran = Command::new("bash").args(["-c", &tried]).output().unwrap();
    let offered = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(offered.trim(), "rollback", "{ran:?}");
}
