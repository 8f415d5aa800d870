//! Settings: how this process listens, waits and limits. What it serves is declared elsewhere.
//!
//! ```text
//! defaults ◀── TOML file ◀── environment          (each overrides the one before)
//!     └────────────┴─────────────┴──▶ Settings | every mistake at once
//! ```
//!
//! `config/weir.toml` shows every key with its default. A key's name in the environment is `WEIR_`
//! and its path in capitals, joined by `_`: `data.listen` is `WEIR_DATA_LISTEN`.

mod addresses;
mod comparison;
mod load;
mod monitoring;
mod notify;
mod overload;
mod queue;
mod sealing;
mod sections;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod upstream_tls;

use std::{net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use serde::Serialize;

pub use comparison::ComparisonSettings;
pub use load::LoadError;
pub use monitoring::MonitoringSettings;
pub use notify::{NotifySettings, Password, SmtpSettings, SmtpTls};
pub use overload::OverloadSettings;
pub use queue::{QueueSettings, WebhookSettings};
pub use sealing::SealingKey;
pub use tls::{ClientAuth, MinVersion, TlsSettings};
pub use token::Token;
pub use upstream_tls::UpstreamTlsSettings;

/// All settings. Every field has a default, and its name is its key in the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// Where everything that outlives the process is kept.
    pub data_dir: PathBuf,
    /// Threads that serve requests; 0: one per core.
    pub workers: usize,
    /// The listener that applications call.
    pub data: DataSettings,
    /// What happens when weir itself is short of memory.
    pub overload: OverloadSettings,
    /// The end of the process.
    pub drain: DrainSettings,
    /// Connections to backends, and retries.
    pub upstream: UpstreamSettings,
    /// Active probes of backends.
    pub health: HealthSettings,
    /// Passive ejection of backends that fail real requests.
    pub ejection: EjectionSettings,
    /// Copies for challengers.
    pub mirror: MirrorSettings,
    /// Async requests.
    pub queue: QueueSettings,
    /// Telling receivers of the ends of async requests.
    pub webhook: WebhookSettings,
    /// Subscriptions and their deliveries.
    pub notify: NotifySettings,
    /// The relay that mail goes through.
    pub smtp: SmtpSettings,
    /// New versions on their way to be live.
    pub deploy: DeploySettings,
    /// How much there may be of everything that people make.
    pub limits: LimitsSettings,
    /// API keys.
    pub keys: KeySettings,
    /// The listener for operators.
    pub admin: AdminSettings,
    /// The figures under `/metrics`.
    pub metrics: MetricsSettings,
    /// What each deployment did, step by step.
    pub monitoring: MonitoringSettings,
    /// Pairs of main's and challengers' answers.
    pub comparison: ComparisonSettings,
    /// Log lines.
    pub log: LogSettings,
    /// The log of each deployment.
    pub logs: LogsSettings,
}

/// `[data]`: the listener that applications call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataSettings {
    /// Its address; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// How applications reach it, as the admin API shows it: `https://models.example`; empty: by its
    /// address.
    pub public_url: String,
    /// Open client connections; 0: four fifths of the descriptor limit.
    pub connections_max: usize,
    /// Open connections of one client's address; 0: as many as it likes.
    pub connections_per_address_max: u32,
    /// The largest request head, in bytes.
    pub head_bytes_max: usize,
    /// The largest request body, in bytes.
    pub request_body_bytes_max: u64,
    /// Requests under way on one HTTP/2 connection.
    pub streams_max: u32,
    /// Until a request's head is complete.
    pub head_timeout_ms: u64,
    /// Between two pieces of a request's body.
    pub body_timeout_ms: u64,
    /// Bytes a second that a request's body brings, at least; 0: as few as it likes.
    pub body_bytes_per_second_min: u64,
    /// So much longer it may take.
    pub body_rate_grace_ms: u64,
    /// Between two requests on a connection.
    pub idle_timeout_ms: u64,
    /// How long a client may leave what is sent to it unread.
    pub write_stall_timeout_ms: u64,
    /// How long a connection that is to be closed is still read, so that its last answer arrives.
    pub linger_timeout_ms: u64,
    /// Its TLS.
    pub tls: TlsSettings,
}

/// `[drain]`: the end of the process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DrainSettings {
    /// How long exchanges under way may take after SIGTERM.
    pub grace_ms: u64,
}

/// `[upstream]`: connections to backends, and retries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UpstreamSettings {
    /// Idle connections kept, per worker and backend.
    pub idle_max: usize,
    /// How long an idle connection is kept.
    pub idle_timeout_ms: u64,
    /// Idle connections kept ready even when nobody asks, per worker and backend.
    pub warm_min: usize,
    /// Open connections, per worker and backend.
    pub connections_max: usize,
    /// The largest head of an answer, in bytes.
    pub head_bytes_max: usize,
    /// Retries of one request.
    pub retries_max: u32,
    /// A request with a larger body is not retried once any of it was sent.
    pub retry_body_bytes_max: usize,
    /// Retries as a share of requests, in percent.
    pub retry_budget_percent: u32,
    /// Retries that are allowed whatever the share, so that quiet deployments retry at all.
    pub retry_min: u32,
    /// Where backends may be; empty: everywhere that is not denied.
    pub allow_networks: Vec<IpNet>,
    /// Where backends may not be, whatever is allowed.
    pub deny_networks: Vec<IpNet>,
    /// TLS towards them.
    pub tls: UpstreamTlsSettings,
}

/// `[health]`: active probes of backends.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HealthSettings {
    /// Between two probes of a backend.
    pub interval_ms: u64,
    /// Until a probe has failed.
    pub timeout_ms: u64,
    /// Failures in a row that make a backend unhealthy.
    pub unhealthy_after: u32,
    /// Successes in a row that make it healthy again.
    pub healthy_after: u32,
}

/// `[ejection]`: passive ejection of backends that fail real requests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EjectionSettings {
    /// Failures in a row that eject a backend.
    pub consecutive_failures: u32,
    /// How far below its pool's success rate a backend may fall, 0.0 to 1.0.
    pub success_rate_margin: f64,
    /// Requests that a backend needs before its success rate is looked at.
    pub success_rate_min_requests: u32,
    /// The first ejection; further ones in a row are longer.
    pub base_ms: u64,
    /// The longest ejection.
    pub max_ms: u64,
    /// How long a backend that returns takes to get its full share again.
    pub return_ramp_ms: u64,
}

/// `[mirror]`: copies for challengers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MirrorSettings {
    /// Bytes of bodies that wait, per deployment.
    pub queue_bytes_max: u64,
}

/// `[limits]`: how much there may be of everything that people make.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LimitsSettings {
    /// Deployments that are not deleted.
    pub deployments_max: usize,
    /// API keys in force.
    pub keys_max: usize,
    /// Projects.
    pub projects_max: usize,
    /// Tenants.
    pub tenants_max: usize,
    /// Admin tokens that open something.
    pub tokens_max: usize,
    /// Tasks of one deployment that have not ended.
    pub tasks_waiting_max: usize,
    /// Tasks that have ended and are kept; the oldest go first.
    pub tasks_kept_max: usize,
    /// Versions of one deployment that are kept; the oldest that nothing needs go first.
    pub versions_kept_max: u32,
    /// Entries of one deployment's history that are kept; the oldest go first.
    pub history_kept_max: u64,
}

/// `[deploy]`: new versions on their way to be live. A version's own `readiness` goes first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeploySettings {
    /// How long a deploy tries while a main backend can't be reached; 0: forever.
    pub unreachable_ms: u64,
    /// How long it waits while one is reached but not ready; 0: forever.
    pub ready_ms: u64,
    /// How long a stop or delete waits for exchanges under way before it calls itself done.
    pub drain_ms: u64,
}

/// `[keys]`: API keys.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeySettings {
    /// Whether owners and admins may read a key again, from a sealed copy.
    pub reveal: bool,
    /// What the copies are sealed with; there is one whenever `reveal` is true.
    #[serde(serialize_with = "sealing::show")]
    pub sealing_key: Option<SealingKey>,
}

/// `[admin]`: the listener for operators.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdminSettings {
    /// Its address; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The operator's token; empty: one is made at first start.
    pub token: Token,
    /// What `Host` may carry beside loopback's names and the listener's own address: lower case,
    /// without a port, IPv6 without brackets. `*` allows any.
    pub hosts: Vec<String>,
    /// What `Origin` may carry on mutations beside the listener's own, as browsers write it.
    pub origins: Vec<String>,
    /// The largest request body, in bytes.
    pub body_bytes_max: usize,
    /// Refusals that the audit keeps.
    pub audit_max: u64,
    /// Its TLS.
    pub tls: TlsSettings,
}

/// `[metrics]`: the figures under `/metrics`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricsSettings {
    /// What a scrape has to present; empty: nothing.
    pub token: Token,
    /// Series that nothing was added to for so long are dropped.
    pub series_idle_s: u64,
}

/// `[log]`: log lines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogSettings {
    /// How they look.
    pub format: LogFormat,
    /// From which level up they are written.
    pub level: LogLevel,
    /// Whether every exchange gets a line.
    pub access: bool,
}

/// `[logs]`: the log of each deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogsSettings {
    /// Lines of one deployment; 0: none are kept.
    pub lines_per_deployment: usize,
    /// Bytes of all of them.
    pub bytes_max: usize,
    /// Lines of one deployment's requests in a second; of its faults as many again.
    pub lines_per_second: u32,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// From which level up log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// Someone should act.
    Error,
    /// Something went wrong, and weir coped.
    Warn,
    /// State changed.
    #[default]
    Info,
    /// Single requests.
    Debug,
    /// Everything.
    Trace,
}

// === impl LogLevel ===

impl LogLevel {
    /// The level's word, as filters of log lines read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

// === defaults, one place ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: "weir-data".into(),
            workers: 0,
            data: DataSettings {
                listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
                public_url: String::new(),
                connections_max: 0,
                connections_per_address_max: 0,
                head_bytes_max: 64 << 10,
                request_body_bytes_max: 64 << 20,
                streams_max: 100,
                head_timeout_ms: 10_000,
                body_timeout_ms: 30_000,
                body_bytes_per_second_min: 128,
                body_rate_grace_ms: 10_000,
                idle_timeout_ms: 75_000,
                write_stall_timeout_ms: 30_000,
                linger_timeout_ms: 1_000,
                tls: TlsSettings::default(),
            },
            overload: OverloadSettings::default(),
            drain: DrainSettings { grace_ms: 30_000 },
            upstream: UpstreamSettings {
                idle_max: 64,
                idle_timeout_ms: 30_000,
                warm_min: 0,
                connections_max: 8_192,
                head_bytes_max: 64 << 10,
                retries_max: 2,
                retry_body_bytes_max: 64 << 10,
                retry_budget_percent: 20,
                retry_min: 3,
                allow_networks: Vec::new(),
                deny_networks: Vec::new(),
                tls: UpstreamTlsSettings::default(),
            },
            health: HealthSettings {
                interval_ms: 5_000,
                timeout_ms: 2_000,
                unhealthy_after: 2,
                healthy_after: 1,
            },
            ejection: EjectionSettings {
                consecutive_failures: 5,
                success_rate_margin: 0.3,
                success_rate_min_requests: 20,
                base_ms: 10_000,
                max_ms: 300_000,
                return_ramp_ms: 10_000,
            },
            mirror: MirrorSettings {
                queue_bytes_max: 64 << 20,
            },
            queue: QueueSettings::default(),
            webhook: WebhookSettings::default(),
            notify: NotifySettings::default(),
            smtp: SmtpSettings::default(),
            limits: LimitsSettings {
                deployments_max: 10_000,
                keys_max: 1_000_000,
                projects_max: 10_000,
                tenants_max: 1_000,
                tokens_max: 10_000,
                tasks_waiting_max: 100,
                tasks_kept_max: 20_000,
                versions_kept_max: 1_000,
                history_kept_max: 10_000,
            },
            deploy: DeploySettings {
                unreachable_ms: 30_000,
                ready_ms: 0,
                drain_ms: 60_000,
            },
            keys: KeySettings {
                reveal: false,
                sealing_key: None,
            },
            admin: AdminSettings {
                listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
                token: Token::default(),
                hosts: Vec::new(),
                origins: Vec::new(),
                body_bytes_max: 1 << 20,
                audit_max: 100_000,
                tls: TlsSettings::default(),
            },
            metrics: MetricsSettings {
                token: Token::default(),
                series_idle_s: 600,
            },
            monitoring: MonitoringSettings::default(),
            comparison: ComparisonSettings::default(),
            log: LogSettings {
                format: LogFormat::Text,
                level: LogLevel::Info,
                access: false,
            },
            logs: LogsSettings {
                lines_per_deployment: 1_000,
                bytes_max: 32 << 20,
                lines_per_second: 100,
            },
        }
    }
}
