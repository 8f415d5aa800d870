//! Async requests: the queue, its files, its webhooks, and what the admin plane is given of them.

use std::{io, net::SocketAddr, sync::Arc};

use serde_json::json;

use super::{StartError, options};
use crate::{
    admin,
    base::task,
    config::Settings,
    gateway::{Runner, Shared},
    hook::Signer,
    net::guard::AddressGuard,
    queue::{Pump, Queue, Spill, Webhooks, webhook},
    snapshot::Current,
    store::Sqlite,
};

/// Async requests, not running yet.
pub(super) struct Later {
    pub(super) queue: Arc<Queue>,
    pump: Pump,
    webhooks: Arc<Webhooks>,
    pub(super) signer: Arc<Signer>,
    store: Arc<Sqlite>,
}

impl Later {
    /// Finds what the data directory holds. `own` is where weir itself listens.
    pub(super) async fn open(
        settings: &Settings,
        store: Arc<Sqlite>,
        current: &Arc<Current>,
        own: &[SocketAddr],
    ) -> Result<Self, StartError> {
        let spill = Spill::open(&settings.data_dir.join("async"))?;
        let guard = Arc::new(AddressGuard::for_webhooks(
            settings.webhook.allow_networks.clone(),
            settings.webhook.deny_networks.clone(),
            own.to_vec(),
        ));
        let failed = |error: io::Error| StartError::SigningKey {
            path: settings.data_dir.join("signing.key"),
            error,
        };
        let signer = Arc::new(Signer::open(&settings.data_dir).map_err(failed)?);
        let rules = Arc::clone(current);
        let generation = move |deployment: &str, life: u32| {
            let view = rules.load();
            let rules = view.route(deployment)?.queue();
            (rules.life == life).then_some(rules.webhook_generation)
        };
        let webhooks = Arc::new(Webhooks::new(
            Arc::clone(&store) as _,
            Arc::clone(&store) as _,
            Arc::clone(&guard),
            Arc::clone(&signer),
            generation,
            options::webhook(settings),
        )?);
        let (dynamic, current) = (Arc::clone(&store) as _, Arc::clone(current));
        let options = options::queue(settings);
        let (queue, pump) = Queue::open(dynamic, current, spill, guard, options).await?;
        Ok(Self {
            queue,
            pump,
            webhooks,
            signer,
            store,
        })
    }

    /// What `/metrics` has to ask for.
    pub(super) fn refresh(&self) -> impl Fn() + Send + Sync + use<> {
        let (queue, webhooks) = (Arc::clone(&self.queue), Arc::clone(&self.webhooks));
        move || {
            queue.refresh();
            webhooks.refresh();
        }
    }

    /// What the admin plane is given.
    pub(super) fn admin(&self) -> admin::AsyncParts {
        let (checking, signer) = (Arc::clone(&self.queue), Arc::clone(&self.signer));
        let store = Arc::clone(&self.store);
        admin::AsyncParts {
            requests: Arc::clone(&self.queue) as _,
            check_webhook: Box::new(move |url| {
                checking
                    .check_webhook(url)
                    .map_err(|error| error.to_string())
            }),
            webhook_secret: Box::new(move |deployment, life, generation| {
                signer.shown(deployment, life, generation)
            }),
            deliveries: Box::new(move |id| {
                let store = Arc::clone(&store);
                Box::pin(async move {
                    let delivery = webhook::delivery(&*store, id).await?;
                    Ok(delivery.map_or_else(none, |delivery| shown(&delivery)))
                })
            }),
        }
    }

    /// Starts all of it, on the control runtime; `first` is the place of the first runner's figures.
    pub(super) fn start(
        self,
        settings: &Settings,
        shared: &Shared,
        first: usize,
    ) -> io::Result<Vec<Runner>> {
        let works = self.pump.start();
        let webhooks = self.webhooks;
        task::spawn("webhooks", async move { webhooks.run().await });
        (first..first + settings.queue.runners)
            .map(|index| {
                let queue = Arc::clone(&self.queue);
                Runner::start(index, shared.clone(), queue, works.clone())
            })
            .collect()
    }
}

fn none() -> serde_json::Value {
    json!({"url": null, "state": "none", "attempts": [], "next_attempt_at": null})
}

fn shown(delivery: &webhook::Delivery) -> serde_json::Value {
    let attempts = delivery.attempts.iter().map(|attempt| {
        json!({
            "at": admin::shape::Time(attempt.at_ms),
            "status": attempt.status,
            "error": attempt.error,
            "ms": attempt.ms,
        })
    });
    json!({
        "url": delivery.url,
        "state": delivery.state,
        "attempts": attempts.collect::<Vec<_>>(),
        "next_attempt_at": delivery.next_attempt_at_ms.map(admin::shape::Time),
    })
}
