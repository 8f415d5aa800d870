//! From settings to what each part declares as its own options: no part knows the settings.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, thread::available_parallelism};

use crate::{
    admin::AdminOptions,
    config::{Settings, SmtpTls, TlsSettings},
    control::{ControlOptions, Limits, probe::ProbeOptions},
    gateway::GatewayOptions,
    hook::pauses_from,
    logs::LogsOptions,
    net::{
        descriptors::Budget,
        guard::AddressGuard,
        socket::ClientLimits,
        tls::{client::BackendTlsOptions, server::ServerTls},
        way::Way,
    },
    notify::{MailOptions, MailTls, NotifyOptions},
    queue::{QueueOptions, WebhookOptions},
    snapshot::BuildOptions,
    upstream::{
        breaker::EjectionOptions, budget::BudgetOptions, connections::ConnectionOptions,
        rate::BodyRate,
    },
};

/// Connections when the system does not say how many descriptors there may be.
const CONNECTIONS_FALLBACK: usize = 10_000;
/// And beyond them.
const BEYOND_FALLBACK: usize = 64;

pub(super) fn workers(settings: &Settings) -> usize {
    match settings.workers {
        0 => available_parallelism().map_or(1, |cores| cores.get()),
        workers => workers,
    }
}

pub(super) fn build(settings: &Settings) -> BuildOptions {
    let (ejection, upstream) = (&settings.ejection, &settings.upstream);
    BuildOptions {
        ejection: EjectionOptions {
            consecutive_failures: ejection.consecutive_failures,
            success_rate_margin: ejection.success_rate_margin,
            success_rate_min_requests: ejection.success_rate_min_requests,
            base_ms: ejection.base_ms,
            max_ms: ejection.max_ms,
            return_ramp_ms: ejection.return_ramp_ms,
        },
        budget: BudgetOptions {
            percent: upstream.retry_budget_percent,
            min: upstream.retry_min,
        },
        mirror_queue_bytes_max: settings.mirror.queue_bytes_max,
    }
}

/// Where backends may be. `own` are the addresses that weir's listeners were bound to.
pub(super) fn guard(settings: &Settings, own: &[SocketAddr]) -> Arc<AddressGuard> {
    let upstream = &settings.upstream;
    Arc::new(AddressGuard::new(
        upstream.allow_networks.clone(),
        upstream.deny_networks.clone(),
        own.to_vec(),
    ))
}

/// Whom weir trusts towards backends, and what it shows to them.
pub(super) fn backend_tls(settings: &Settings) -> BackendTlsOptions {
    let tls = &settings.upstream.tls;
    let given = |path: &PathBuf| Some(path.clone()).filter(|path| !path.as_os_str().is_empty());
    BackendTlsOptions {
        system_roots: tls.system_roots,
        ca_file: given(&tls.ca_file),
        identity: given(&tls.cert_file).zip(given(&tls.key_file)),
    }
}

/// Descriptors that a thread opens for itself, for its runtime foremost.
const DESCRIPTORS_PER_THREAD: usize = 4;

pub(super) fn gateway(
    settings: &Settings,
    way: &Way,
    tls: Option<Arc<ServerTls>>,
) -> GatewayOptions {
    let (data, upstream) = (&settings.data, &settings.upstream);
    let threads = workers(settings) + settings.queue.runners;
    let budget = Budget::of_process(threads * DESCRIPTORS_PER_THREAD);
    if let Some(budget) = budget {
        budget.begin();
    }
    GatewayOptions {
        connections_max: match data.connections_max {
            // What is not for clients is for backends, files, and the admin plane.
            0 => budget.map_or(CONNECTIONS_FALLBACK, |budget| budget.clients_max),
            connections => connections,
        },
        head_bytes_max: data.head_bytes_max,
        request_body_bytes_max: data.request_body_bytes_max,
        streams_max: data.streams_max,
        client: ClientLimits {
            head_ms: data.head_timeout_ms,
            idle_ms: data.idle_timeout_ms,
            write_stall_ms: data.write_stall_timeout_ms,
        },
        body_timeout_ms: data.body_timeout_ms,
        body_rate: BodyRate {
            bytes_per_second_min: data.body_bytes_per_second_min,
            grace_ms: data.body_rate_grace_ms,
        },
        connections_per_address_max: data.connections_per_address_max,
        beyond_max: budget.map_or(BEYOND_FALLBACK, |budget| budget.beyond_max),
        linger_ms: data.linger_timeout_ms,
        grace_ms: settings.drain.grace_ms,
        connections: ConnectionOptions {
            idle_max: upstream.idle_max,
            idle_ms: upstream.idle_timeout_ms,
            warm_min: upstream.warm_min,
            open_max: upstream.connections_max,
            head_bytes_max: upstream.head_bytes_max,
            way: way.clone(),
        },
        retries_max: upstream.retries_max,
        retry_body_bytes_max: upstream.retry_body_bytes_max as u64,
        tls,
        public_url: data.public_url.clone(),
    }
}

/// Where a listener is reached by its address.
pub(super) fn url(tls: &TlsSettings, address: SocketAddr) -> String {
    format!("{}://{address}", tls.scheme())
}

pub(super) fn queue(settings: &Settings) -> QueueOptions {
    let queue = &settings.queue;
    QueueOptions {
        concurrency: queue.concurrency,
        concurrency_floor: queue.concurrency_floor,
        running_max: queue.running_max,
        attempts_max: queue.attempts_max,
        retry_min_ms: queue.retry_min_ms,
        retry_max_ms: queue.retry_max_ms,
        lease_ms: queue.lease_ms,
        deadline_ms: queue.deadline_s * 1_000,
        result_ttl_ms: queue.result_ttl_s * 1_000,
        dead_letter_ttl_ms: queue.dead_letter_ttl_s * 1_000,
        waiting_max: queue.waiting_max,
        waiting_per_key_max: queue.waiting_per_key_max,
        body_bytes_max: queue.body_bytes_max,
        result_bytes_max: queue.result_bytes_max,
        disk_bytes_max: queue.disk_bytes_max,
        disk_reserve_bytes: queue.disk_reserve_bytes,
        ..QueueOptions::default()
    }
}

pub(super) fn webhook(settings: &Settings) -> WebhookOptions {
    let webhook = &settings.webhook;
    WebhookOptions {
        timeout_ms: webhook.timeout_ms,
        concurrency: webhook.concurrency,
        per_host: webhook.per_host_max,
        pauses_ms: pauses_from(webhook.retry_first_ms),
        base: settings.data.public_url.clone(),
        ca_file: Some(webhook.ca_file.clone()).filter(|file| !file.as_os_str().is_empty()),
    }
}

/// `admin` is where the admin plane listens.
pub(super) fn notify(settings: &Settings, admin: SocketAddr) -> NotifyOptions {
    let webhook = webhook(settings);
    NotifyOptions {
        timeout_ms: webhook.timeout_ms,
        concurrency: webhook.concurrency,
        per_host: webhook.per_host,
        pauses_ms: webhook.pauses_ms,
        ca_file: webhook.ca_file,
        base: url(&settings.admin.tls, admin),
        deliveries_kept: settings.notify.deliveries_kept,
    }
}

/// The relay that mail goes through, if there is one.
pub(super) fn mail(settings: &Settings) -> Option<MailOptions> {
    let smtp = &settings.smtp;
    let name = Some(&smtp.username).filter(|name| !name.is_empty());
    (!smtp.host.is_empty()).then(|| MailOptions {
        host: smtp.host.clone(),
        port: smtp.port(),
        tls: match smtp.tls {
            SmtpTls::None => MailTls::None,
            SmtpTls::Starttls => MailTls::Starttls,
            SmtpTls::Tls => MailTls::Tls,
        },
        credentials: name.map(|name| (name.clone(), smtp.password.expose().to_owned())),
        from: smtp.from.clone(),
        timeout_ms: smtp.timeout_ms,
        ca_file: Some(smtp.ca_file.clone()).filter(|file| !file.as_os_str().is_empty()),
    })
}

pub(super) fn control(settings: &Settings) -> ControlOptions {
    let deploy = &settings.deploy;
    ControlOptions {
        build: build(settings),
        unreachable_ms: deploy.unreachable_ms,
        ready_ms: deploy.ready_ms,
        drain_ms: deploy.drain_ms,
        probe_timeout_ms: settings.health.timeout_ms,
        audit_max: settings.admin.audit_max,
        limits: limits(settings),
    }
}

fn limits(settings: &Settings) -> Limits {
    let limits = &settings.limits;
    Limits {
        deployments_max: limits.deployments_max,
        keys_max: limits.keys_max,
        projects_max: limits.projects_max,
        tenants_max: limits.tenants_max,
        tokens_max: limits.tokens_max,
        tasks_waiting_max: limits.tasks_waiting_max,
        tasks_kept_max: limits.tasks_kept_max,
        versions_kept_max: limits.versions_kept_max,
        history_kept_max: limits.history_kept_max,
        subscriptions_per_project_max: settings.notify.subscriptions_per_project_max,
    }
}

pub(super) fn logs(settings: &Settings) -> LogsOptions {
    let logs = &settings.logs;
    LogsOptions {
        lines_per_deployment: logs.lines_per_deployment,
        bytes_max: logs.bytes_max,
        lines_per_second: logs.lines_per_second,
    }
}

/// The key that copies of API keys are sealed with, if they are to be.
pub(super) fn sealing_key(settings: &Settings) -> Option<[u8; 32]> {
    let key = settings.keys.sealing_key.as_ref();
    key.filter(|_| settings.keys.reveal)
        .map(|key| *key.expose())
}

pub(super) fn probe(settings: &Settings) -> ProbeOptions {
    let health = &settings.health;
    ProbeOptions {
        interval_ms: health.interval_ms,
        timeout_ms: health.timeout_ms,
        unhealthy_after: health.unhealthy_after,
        healthy_after: health.healthy_after,
    }
}

/// What the admin plane is told: where it listens, and where applications reach the data plane.
pub(super) fn admin(settings: &Settings, listen: SocketAddr, data: SocketAddr) -> AdminOptions {
    AdminOptions {
        listen,
        data_url: match &*settings.data.public_url {
            "" => url(&settings.data.tls, data),
            public => public.to_owned(),
        },
        hosts: settings.admin.hosts.clone(),
        origins: settings.admin.origins.clone(),
        body_bytes_max: settings.admin.body_bytes_max,
        mail: !settings.smtp.host.is_empty(),
        tls: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_defaults_are_the_settings() {
        assert_eq!(build(&Settings::default()), BuildOptions::default());
        assert_eq!(limits(&Settings::default()), Limits::default());
        assert_eq!(logs(&Settings::default()), LogsOptions::default());
    }
}
