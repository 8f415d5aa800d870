//! `weir serve`: the gateway on a declarations file.

use std::{io::Write, path::Path};

use super::{Serve, failure::Failure};
use crate::{
    app::{Gateway, Ready, Source, StartError},
    config::{LogFormat, Settings},
    telemetry::log,
};

pub(super) fn run(arguments: &Serve) -> Result<(), Failure> {
    let settings = settings(arguments.config.as_deref())?;
    let source = arguments
        .declare
        .clone()
        .map_or(Source::Nothing, Source::File);
    let gateway = Gateway::prepare(settings, source)?;
    let ready = gateway.ready()?;
    if let Some(token) = gateway.new_token() {
        // On standard output and not in the log, which many can read. A closed one stops nothing.
        let _ = writeln!(
            std::io::stdout(),
            "admin token, made now and shown once (also in admin.token of the data directory): {token}"
        );
    }
    gateway.run(|| {
        tracing::info!(data = %ready.data_url, admin = %ready.admin_url, "serving");
        write_ready(&ready, arguments.ready_file.as_deref())
    })?;
    Ok(())
}

/// Reads the settings and starts logging by them.
pub(super) fn settings(file: Option<&Path>) -> Result<Settings, Failure> {
    let (settings, warnings) = Settings::load(file, environment())?;
    let format = match settings.log.format {
        LogFormat::Text => log::Format::Text,
        LogFormat::Json => log::Format::Json,
    };
    log::start(format, settings.log.level.as_str());
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

/// The variables that may be settings: those that are not UTF-8 can be none of ours.
pub(super) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

pub(super) fn write_ready(ready: &Ready, path: Option<&Path>) -> Result<(), StartError> {
    let Some(path) = path else { return Ok(()) };
    ready.write(path).map_err(|error| StartError::ReadyFile {
        path: path.to_owned(),
        error,
    })
}
