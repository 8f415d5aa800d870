//! The queue over a real store, with attempts that the test itself makes.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tempfile::TempDir;
use tokio::time::timeout;

use super::super::*;
use crate::{
    base::{
        async_id::AsyncId,
        id::{Epoch, KeyId, VersionNumber},
        name::DeploymentName,
        secret::KeyDigest,
    },
    snapshot::{BuildOptions, Current, Declared, Numbered, QueueRules, build},
    spec::{Access, Declarations},
    store::{Content, Sqlite, SqliteOptions},
    wire::target::Operation,
};

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct World {
    pub(super) queue: Arc<Queue>,
    pub(super) works: Works,
    pub(super) current: Arc<Current>,
    pub(super) store: Arc<Sqlite>,
    pub(super) directory: TempDir,
}

pub(super) fn name() -> DeploymentName {
    DeploymentName::parse("demo/iris").expect("a name")
}

pub(super) fn impatient() -> QueueOptions {
    QueueOptions {
        retry_min_ms: 0,
        retry_max_ms: 0,
        ..QueueOptions::default()
    }
}

/// Puts demo/iris in force in this life, or takes it away.
pub(super) fn publish(current: &Current, life: Option<u32>) {
    let text = "[[deployment]]\nproject = \"demo\"\nname = \"iris\"\n\
                version = { main = { backends = [{ url = \"http://127.0.0.1:9\" }] } }";
    let parsed = Declarations::from_toml(text).expect("declarations");
    let declared = life.map(|life| Declared {
        name: name(),
        access: Access::Keys,
        shared: Vec::new(),
        limits: crate::spec::LimitsSpec::default(),
        overload: None,
        live: Ok(Numbered {
            number: VersionNumber(1),
            spec: Arc::new(parsed.deployments[0].version.clone()),
            is_challenger_stopped: false,
        }),
        kept: Vec::new(),
        queue: QueueRules {
            life,
            ..QueueRules::default()
        },
        fresh: false,
    });
    let before = current.load_full();
    let epoch = Epoch(before.epoch().0 + 1);
    let options = BuildOptions::default();
    current.publish(Arc::new(build(
        [(name(), declared)],
        &before,
        epoch,
        &options,
    )));
}

impl World {
    pub(super) async fn new(options: QueueOptions) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let current = Arc::new(Current::empty());
        publish(&current, Some(1));
        let store = Sqlite::open(directory.path(), SqliteOptions::default()).expect("a store");
        Self::over(Arc::new(store), current, directory, options).await
    }

    pub(super) async fn over(
        store: Arc<Sqlite>,
        current: Arc<Current>,
        directory: TempDir,
        options: QueueOptions,
    ) -> Self {
        let spill = Spill::open(&directory.path().join("async")).expect("a directory");
        let dynamic = Arc::clone(&store) as Arc<dyn crate::store::Store>;
        let opened = Queue::open(
            dynamic,
            Arc::clone(&current),
            spill,
            Arc::default(),
            options,
        )
        .await;
        let (queue, pump) = opened.expect("a queue");
        let works = pump.start();
        Self {
            queue,
            works,
            current,
            store,
            directory,
        }
    }

    pub(super) async fn submit_with(
        &self,
        body: &[u8],
        edit: impl FnOnce(&mut Submission),
    ) -> Result<Submitted, Refused> {
        let mut submission = Submission {
            id: self.queue.draw().expect("random"),
            deployment: name(),
            life: 1,
            owner: KeyDigest::of_key(b"0123456789abcdef").expect("a key"),
            accepted: Accepted {
                request_id: "r".into(),
                key: KeyId::new("k"),
                version: Some(VersionNumber(1)),
                pinned: None,
                operation: Operation::Predict,
                method: "POST".into(),
                tail: String::new(),
                query: None,
                headers: Vec::new(),
                body_bytes: 0,
                attempt_ms: None,
                webhook: None,
                retry_of: None,
            },
            body: Content::Inline(Bytes::copy_from_slice(body)),
            deadline_ms: None,
            once: None,
        };
        edit(&mut submission);
        self.queue.submit(submission).await
    }

    pub(super) async fn submit(&self, body: &[u8]) -> AsyncId {
        match self.submit_with(body, |_| {}).await.expect("accepted") {
            Submitted::New(request) => request.id(),
            Submitted::Known(request) => panic!("known: {request:?}"),
        }
    }

    pub(super) async fn work(&self) -> Work {
        let work = timeout(PATIENCE, self.works.next()).await;
        work.expect("in time").expect("work")
    }

    pub(super) async fn answered(&self, work: &Work, status: u16, body: &'static [u8]) {
        let mut recorder = Recorder::new(
            self.queue.spill().clone(),
            work.id(),
            work.attempt(),
            StatusCode::from_u16(status).expect("a status"),
            HeaderMap::new(),
            1 << 20,
        );
        let bytes = Bytes::from_static(body);
        recorder.append(bytes).await.expect("recorded");
        let content = recorder.finish().await.expect("recorded");
        let answered = Attempted::Answered(Box::new(Answered {
            recorder,
            status,
            headers: HeaderMap::new(),
            content,
            version: VersionNumber(1),
        }));
        self.queue.conclude(work, answered).await;
    }

    pub(super) async fn failed(&self, work: &Work) {
        let failed = Attempted::Failed(Failure::again("no luck"));
        self.queue.conclude(work, failed).await;
    }

    pub(super) async fn request(&self, id: AsyncId) -> Request {
        let request = self.queue.request(id).await.expect("a store");
        request.expect("a request")
    }

    pub(super) async fn ended(&self, id: AsyncId) -> Request {
        let request = self.queue.wait(id, PATIENCE).await.expect("a store");
        let request = request.expect("a request");
        assert!(request.status().has_ended(), "{request:?}");
        request
    }

    pub(super) async fn answer(&self, id: AsyncId) -> Bytes {
        let answer = self.queue.answer(&self.request(id).await).await;
        match answer.expect("a store").expect("an answer").body {
            AnswerContent::Inline(body) => body,
            AnswerContent::Spilled(_) => panic!("this small"),
        }
    }
}
