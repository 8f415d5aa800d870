//! Killed at any moment: what was acknowledged is there, what was not is whole or absent.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use crate::support::{
    Admin, Backend, Gateway, PATIENCE, Response, Stop, admin, at, eventually, version, want,
};

const THREADS: usize = 3;

/// What one thread did to its own deployment, and was told.
#[derive(Default)]
struct Ledger {
    name: String,
    url: String,
    chance: u64,
    count: usize,
    /// By id: secret, when it was told, and description.
    keys: BTreeMap<String, (Option<String>, String)>,
    revoked: BTreeSet<String>,
    /// Numbers and the labels under which they were deployed.
    versions: BTreeMap<u64, String>,
    tasks: BTreeSet<String>,
    projects: BTreeSet<String>,
    description: String,
    /// What was asked and not answered.
    pending: Option<Ask>,
}

/// One mutation.
#[derive(Clone, Debug)]
enum Ask {
    Key(String),
    Revoke(String),
    Describe(String),
    Deploy(String),
    Project(String),
}

impl Ledger {
    fn chance(&mut self, below: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % below
    }

    fn choose(&mut self) -> Ask {
        self.count += 1;
        let label = format!("{}-{}", self.name.replace('/', "-"), self.count);
        let live: Vec<_> = self
            .keys
            .keys()
            .filter(|id| !self.revoked.contains(*id))
            .cloned()
            .collect();
        match self.chance(10) {
            0..=3 => Ask::Key(label),
            4..=5 if !live.is_empty() => {
                let nth = self.chance(live.len() as u64);
                Ask::Revoke(live[nth as usize].clone())
            }
            4..=6 => Ask::Describe(label),
            7..=8 => Ask::Deploy(label),
            _ => Ask::Project(label),
        }
    }

    /// Asks until the gateway is gone.
    fn work(&mut self, api: &Admin, acknowledged: &AtomicUsize) {
        loop {
            let ask = self.choose();
            self.pending = Some(ask.clone());
            let d = at(&self.name);
            let answer = match &ask {
                Ask::Key(label) => api.try_json(
                    "POST",
                    &format!("{d}/keys"),
                    &[],
                    &json!({"description": label}),
                ),
                Ask::Revoke(id) => {
                    api.try_json("POST", &format!("{d}/keys/{id}/revoke"), &[], &json!({}))
                }
                Ask::Describe(words) => {
                    api.try_json("PATCH", &d, &[], &json!({"description": words}))
                }
                Ask::Deploy(label) => {
                    let mut body = version(&self.url);
                    body["notes"] = json!(label);
                    api.try_json("POST", &format!("{d}/versions"), &[], &body)
                }
                Ask::Project(name) => {
                    api.try_json("POST", "/projects", &[], &json!({"name": name}))
                }
            };
            let Ok(answer) = answer else { return };
            self.acknowledge(&ask, &answer);
            self.pending = None;
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn acknowledge(&mut self, ask: &Ask, answer: &Response) {
        match ask {
            Ask::Key(label) => {
                let body = want(201, answer);
                let secret = Some(admin::text(&body["secret"]));
                self.keys
                    .insert(admin::text(&body["id"]), (secret, label.clone()));
            }
            Ask::Revoke(id) => {
                want(200, answer);
                self.revoked.insert(id.clone());
            }
            Ask::Describe(words) => {
                want(200, answer);
                self.description.clone_from(words);
            }
            Ask::Deploy(label) => {
                let body = want(202, answer);
                let n = body["version"].as_u64().expect("a number");
                let twice = self.versions.insert(n, label.clone());
                assert_eq!(twice, None, "version {n} was given before");
                self.tasks.insert(admin::text(&body["task"]["id"]));
            }
            Ask::Project(name) => {
                want(201, answer);
                self.projects.insert(name.clone());
            }
        }
    }

    /// Compares with what is there after a restart, and takes over what was not acknowledged but is.
    fn check(&mut self, gateway: &Gateway) {
        let api = gateway.api();
        let pending = self.pending.take();
        let d = at(&self.name);
        self.check_projects(&api, pending.as_ref());

        let shown = admin::text(&api.show(&d)["description"]);
        match &pending {
            Some(Ask::Describe(words)) if *words == shown => self.description = shown,
            _ => assert_eq!(shown, self.description, "{pending:?}"),
        }
        self.check_keys(gateway, &api.list(&format!("{d}/keys")), pending.as_ref());
        self.check_versions(&api, pending.as_ref());

        for id in &self.tasks {
            let task = api.ended(id);
            if task["status"] != "done" {
                assert_eq!(task["status"], "failed", "{task}");
                admin::text(&task["reason"]);
            }
        }
        self.tasks.clear();
        eventually(PATIENCE, "every task ends", || {
            api.list(&format!("/tasks?deployment={}", self.name))
                .iter()
                .all(admin::is_terminal)
        });
        // The next number is one that nobody was given.
        let max = *self.versions.keys().max().unwrap();
        let n = api.deploy(&self.name, &version(&self.url));
        assert!(n > max, "{n} after {max}");
        self.versions.insert(n, String::new());
        assert_eq!(api.live_version(&self.name), Some(n));
    }

    fn check_projects(&mut self, api: &Admin, pending: Option<&Ask>) {
        for name in &self.projects {
            api.show(&format!("/projects/{name}"));
        }
        if let Some(Ask::Project(name)) = pending {
            let answer = api.get(&format!("/projects/{name}"));
            if answer.status == 200 {
                self.projects.insert(name.clone());
            }
            // Whole or absent: it can be made exactly when it is not there.
            let made = api.post("/projects", &json!({"name": name}));
            let right = if answer.status == 200 { 409 } else { 201 };
            assert_eq!(made.status, right, "{}", made.text());
            self.projects.insert(name.clone());
        }
    }

    fn check_keys(&mut self, gateway: &Gateway, listed: &[Value], pending: Option<&Ask>) {
        let mut by_id = BTreeMap::new();
        for key in listed {
            let twice = by_id.insert(admin::text(&key["id"]), key);
            assert!(twice.is_none(), "{key} is there twice");
        }
        for (id, key) in &by_id {
            if self.keys.contains_key(id) || key["description"] == "First Key" {
                continue;
            }
            let Some(Ask::Key(label)) = pending else {
                panic!("nobody made {key}; pending {pending:?}");
            };
            assert_eq!(
                (&key["description"], &key["status"]),
                (&json!(label), &json!("live"))
            );
            self.keys.insert(id.clone(), (None, label.clone()));
        }
        let mut kept = gateway.connect();
        let line = format!("POST /predict/{}", self.name);
        for (id, (secret, label)) in &self.keys {
            let key = by_id
                .get(id)
                .unwrap_or_else(|| panic!("the key {label} is lost"));
            assert_eq!(key["description"], *label);
            let asked = matches!(pending, Some(Ask::Revoke(asked)) if asked == id);
            let status = key["status"].as_str().unwrap_or_default();
            if self.revoked.contains(id) {
                assert_eq!(status, "revoked", "{key} came back");
            } else if status == "revoked" {
                assert!(asked, "nobody revoked {key}");
                self.revoked.insert(id.clone());
            }
            if let Some(secret) = secret {
                let right = if status == "live" { 200 } else { 401 };
                let got = kept.call(&line, &[("x-api-key", secret)], b"").status;
                assert_eq!(got, right, "{key}");
            }
        }
    }

    fn check_versions(&mut self, api: &Admin, pending: Option<&Ask>) {
        let mut seen = BTreeSet::new();
        for shown in api.list(&format!("{}/versions", at(&self.name))) {
            let n = ["version", "number", "n"]
                .iter()
                .find_map(|member| shown[member].as_u64())
                .unwrap_or_else(|| panic!("no number in {shown}"));
            assert!(seen.insert(n), "version {n} is there twice");
            self.versions.entry(n).or_insert_with(|| match pending {
                Some(Ask::Deploy(label)) => label.clone(),
                _ => panic!("nobody deployed {shown}; pending {pending:?}"),
            });
        }
        for (n, label) in &self.versions {
            assert!(seen.contains(n), "version {n} is lost");
            let shown = api
                .show(&format!("{}/versions/{n}", at(&self.name)))
                .to_string();
            let whole = label.is_empty() || shown.contains(&format!("\"{label}\""));
            assert!(whole, "version {n} is not {label}: {shown}");
        }
    }
}

#[test]
fn killed_during_mutations_it_keeps_what_it_acknowledged() {
    let rounds = if std::env::var_os("WEIR_FULL").is_some() {
        100
    } else {
        10
    };
    let backend = Backend::echo();
    let mut gateway = Gateway::bare().start();
    let api = gateway.api();
    let ledgers: Vec<_> = (0..THREADS)
        .map(|t| {
            let name = format!("demo/d{t}");
            api.create_with(
                &name,
                &version(&backend.url()),
                &json!({"description": "first"}),
            );
            Mutex::new(Ledger {
                url: backend.url(),
                chance: 0x9e37_79b9_7f4a_7c15 + t as u64,
                versions: [(1, String::new())].into(),
                description: "first".to_owned(),
                name,
                ..Ledger::default()
            })
        })
        .collect();
    let mut total = 0;
    for round in 0..rounds {
        let acknowledged = AtomicUsize::new(0);
        let api = gateway.api();
        // Another moment each time, from the first answer on.
        let enough = 1 + ledgers[0].lock().unwrap().chance(50) as usize;
        thread::scope(|scope| {
            for ledger in &ledgers {
                let (api, acknowledged) = (&api, &acknowledged);
                scope.spawn(move || ledger.lock().unwrap().work(api, acknowledged));
            }
            // Killed in any case, so that a failure does not leave the threads working.
            let came = crate::support::holds_within(PATIENCE, || {
                acknowledged.load(Ordering::SeqCst) >= enough
            });
            gateway.signal("KILL");
            assert!(came, "round {round}: too few answers");
        });
        total += acknowledged.into_inner();
        gateway.wait_exit(PATIENCE);
        gateway.start_again();
        for ledger in &ledgers {
            ledger.lock().unwrap().check(&gateway);
        }
    }
    println!("{total} acknowledged mutations over {rounds} kills");
    assert!(total >= rounds);
    gateway.restart(Stop::Term);
    for ledger in &ledgers {
        ledger.lock().unwrap().check(&gateway);
    }
}
