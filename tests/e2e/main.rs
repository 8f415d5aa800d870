//! Both planes from outside: the built binary, real sockets, backends that stall, tear, lie and
//! flood. Modules are named for what users are promised.
//!
//! `WEIR_BIN` names another binary to test; `WEIR_FULL=1` runs the long forms.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed test is what unwrap and panic are for, in helpers too"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "base::task ties tasks to the gateway's shutdown, which the harness has none of"
)]

mod on_the_way;
mod refusals;
mod support;

mod addresses;
mod admin_addresses;
mod admin_concurrency;
mod admin_deployments;
mod admin_described;
mod admin_dry_run;
mod admin_events;
mod admin_guards;
mod admin_keys;
mod admin_life;
mod admin_limits;
mod admin_mistakes;
mod admin_names;
mod admin_openapi;
mod admin_people;
mod admin_readiness;
mod admin_reveal;
mod admin_revocation;
mod admin_rollback;
mod admin_secrets;
mod admin_sharing;
mod admin_tasks;
mod admin_tokens;
mod admin_versions;
mod async_admin;
mod async_bodies;
mod async_crash;
mod async_ends;
mod async_fair;
mod async_faults;
mod async_fetch;
mod async_full;
mod async_limits;
mod async_list;
mod async_run;
mod async_streams;
mod async_submit;
mod async_versions;
mod async_webhook;
mod balance;
mod broken;
mod bytes;
mod compared;
mod copies;
mod crash;
mod declarations;
mod demo;
mod framing;
mod h2;
mod h2_floods;
mod h2_hostile;
mod hangup;
mod headers;
mod health;
mod hostile_backends;
mod hostile_backends_h2;
mod keys;
mod lies;
mod life;
mod limits;
mod limits_rate;
mod memory;
mod messages;
mod metrics;
mod mirror;
mod one_line;
mod ops_apply;
mod ops_apply_files;
mod ops_calls;
mod ops_cli_asking;
mod ops_cli_async;
mod ops_cli_colour;
mod ops_cli_contexts;
mod ops_cli_endpoint;
mod ops_cli_errors;
mod ops_cli_life;
mod ops_cli_nouns;
mod ops_cli_people;
mod ops_cli_secure;
mod ops_cli_tables;
mod ops_cli_terminal;
mod ops_cli_verbs;
mod ops_limits;
mod ops_logs;
mod ops_logs_follow;
mod ops_monitoring;
mod ops_monitoring_now;
mod ops_notify;
mod ops_watch;
mod overload;
mod overload_classes;
mod overload_descriptors;
mod overload_memory;
mod pipelining;
mod raw;
mod restart;
mod retries;
mod routing;
mod secrets;
mod shadow_acts;
mod shadow_bodies;
mod shadow_budget;
mod shadow_cli;
mod shadow_compare;
mod shadow_compare_table;
mod shadow_file;
mod shadow_kept;
mod shadow_list;
mod shadow_main;
mod shadow_metrics;
mod shadow_models;
mod shadow_odd;
mod shadow_pairs;
mod slow_bodies;
mod slow_peers;
mod stalls;
mod store_busy;
mod swap;
mod timeouts;
mod tls;
mod tls_admin;
mod tls_backends;
mod tls_hostile;
mod tls_reload;
mod tls_ways;
