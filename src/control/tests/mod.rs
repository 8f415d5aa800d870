//! Control against a real store, without the admin plane before it.

mod access;
mod declare;
mod declared_projects;
mod faults;
mod faulty;
mod life;
mod limits;
mod notify;
mod quotas;
mod requests;
mod verdicts;

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use serde_json::json;
use tempfile::TempDir;

use self::faulty::Faulty;
use super::{
    Control, ControlOptions, Created, Intent, Limits, Parts, Sealer,
    access::Caller,
    record::{Stored, Task, TaskStatus},
};
use crate::{
    base::name::{DeploymentName, Name},
    net::way::Way,
    snapshot::{BuildOptions, Current},
    spec::{Declarations, VersionSpec, body::NewDeployment},
    store::{Ledger, Sqlite, SqliteOptions},
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

static ROOT: LazyLock<Caller> = LazyLock::new(Caller::root);
static PLAIN: LazyLock<Intent> = LazyLock::new(Intent::default);

/// A control plane over a directory of its own.
struct World {
    control: Arc<Control>,
    current: Arc<Current>,
    store: Arc<Faulty>,
    directory: Arc<TempDir>,
}

fn options() -> ControlOptions {
    ControlOptions {
        build: BuildOptions::default(),
        unreachable_ms: 300,
        ready_ms: 0,
        drain_ms: 1_000,
        probe_timeout_ms: 1_000,
        audit_max: 100,
        limits: Limits::default(),
    }
}

impl World {
    async fn new() -> Self {
        Self::within(Limits::default()).await
    }

    async fn within(limits: Limits) -> Self {
        let directory = Arc::new(TempDir::new().expect("a directory"));
        let store = Sqlite::open(directory.path(), SqliteOptions::default()).expect("a store");
        Self::over(directory, Arc::new(store), limits).await
    }

    async fn over(directory: Arc<TempDir>, store: Arc<dyn Ledger>, limits: Limits) -> Self {
        let current = Arc::new(Current::empty());
        let store = Faulty::over(store);
        let parts = Parts {
            store: Arc::clone(&store) as _,
            current: Arc::clone(&current),
            options: ControlOptions {
                limits,
                ..options()
            },
            way: Way::default(),
            sealer: Some(Sealer::new(&[1; 32])),
            root: Box::new(|presented| presented == b"root"),
            logs: crate::logs::Logs::new(crate::logs::LogsOptions::default()),
        };
        let control = Control::open(parts).await.expect("opened");
        control.start();
        Self {
            control,
            current,
            store,
            directory,
        }
    }

    /// What a new process finds after this one was killed: its tasks go on, and reach nothing.
    async fn again(self) -> Self {
        self.store.set(faulty::DEAD);
        let directory = Arc::clone(&self.directory);
        Self::over(directory, self.store.inner(), Limits::default()).await
    }

    async fn project(&self, name: &str) {
        let body = serde_json::from_value(json!({ "name": name })).expect("json");
        let body = crate::spec::body::NewProject::from_json(&body).expect("a project");
        let made = self.control.create_project(&ROOT, body, &PLAIN);
        made.await.expect("made");
    }

    async fn create(&self, name: &str, backend: SocketAddr) -> Created {
        let (project, bare) = name.split_once('/').expect("a name");
        let body = json!({ "name": bare, "version": version(backend) });
        let project = Name::parse(project).expect("a name");
        let body = NewDeployment::from_json(&project, &body).expect("a deployment");
        let intent = Intent::default();
        let made = self.control.create_deployment(&ROOT, body, &intent);
        made.await.expect("made").value
    }

    async fn deploy(&self, name: &str, backend: SocketAddr) -> Stored<Task> {
        let spec = VersionSpec::from_json(&version(backend)).expect("a version");
        let intent = Intent::default();
        let name = named(name);
        let task = self.control.deploy(&ROOT, &name, spec, &intent);
        task.await.expect("taken on").value
    }

    async fn ended(&self, task: &Stored<Task>) -> Task {
        let ended = self.control.wait_task(&task.value.id, PATIENCE).await;
        let ended = ended.expect("known").value;
        assert!(ended.status.is_final(), "{ended:?}");
        ended
    }

    #[track_caller]
    fn live(&self, name: &str) -> Option<u32> {
        let snapshot = self.current.load_full();
        let route = snapshot.route(name)?;
        route.live().ok().map(|plan| plan.version.0)
    }

    async fn declare(&self, text: &str) -> super::Changes {
        let declarations = Declarations::from_toml(text).expect("declarations");
        self.control.declare(declarations).await.expect("declared")
    }
}

fn version(backend: SocketAddr) -> serde_json::Value {
    json!({ "main": { "backends": [{ "url": format!("http://{backend}") }] } })
}

fn named(name: &str) -> DeploymentName {
    DeploymentName::parse(name).expect("a name")
}

/// A backend that is ready.
async fn ready() -> SocketAddr {
    answering(StatusCode::OK).await
}

/// A backend whose health is always this.
async fn answering(status: StatusCode) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("bound");
    let router = Router::new().route("/health", get(move || async move { status }));
    crate::base::task::spawn("backend", async move {
        let _ = axum::serve(listener, router).await;
    });
    address
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound")
}

fn status_of(task: &Task) -> (TaskStatus, &str) {
    (task.status, task.reason.as_deref().unwrap_or(""))
}
