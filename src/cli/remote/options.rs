//! The options that every command takes which speaks to a gateway.

use std::{env, io::IsTerminal, path::PathBuf};

use clap::ValueEnum;

use super::{Client, Context, Contexts, contexts::unknown, tls::TlsFiles};
use crate::cli::{
    failure::Failure,
    terminal::{Out, Style},
};

/// Where the gateway is, and how answers look.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Gateway and output")]
pub(in crate::cli) struct Options {
    /// The admin API [env: WEIR_ADMIN_URL] [default: the context's, else http://127.0.0.1:8081]
    #[arg(long, global = true, value_name = "URL")]
    pub(in crate::cli) admin_url: Option<String>,
    /// The admin token [env: WEIR_ADMIN_TOKEN] [default: the context's]
    #[arg(long, global = true, value_name = "TOKEN")]
    pub(in crate::cli) token: Option<String>,
    /// One of the gateways of `weir context` [env: WEIR_CONTEXT] [default: the one in use]
    #[arg(long, global = true, value_name = "NAME")]
    pub(in crate::cli) context: Option<String>,
    /// Certificates in PEM that are trusted beside the system's [env: WEIR_CA_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(in crate::cli) ca_file: Option<PathBuf>,
    /// A certificate in PEM to show to the gateway [env: WEIR_CERT_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(in crate::cli) cert_file: Option<PathBuf>,
    /// The key of that certificate, in PEM [env: WEIR_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(in crate::cli) key_file: Option<PathBuf>,
    /// Tables for people, or JSON as the API answers it
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(in crate::cli) output: OutputFormat,
    /// When to use colour; NO_COLOR is obeyed
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(in crate::cli) color: Colour,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    pub(in crate::cli) quiet: bool,
}

/// How answers look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum OutputFormat {
    // Values with words of their own would make every command's help three times as long.
    // For people.
    #[default]
    Table,
    // For programs.
    Json,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum Colour {
    // On a terminal.
    #[default]
    Auto,
    Always,
    Never,
}

/// Where a gateway listens that nobody configured otherwise.
const USUAL_URL: &str = "http://127.0.0.1:8081";

// === impl Options ===

impl Options {
    /// The client of the gateway that is meant: flags, --context among them, go before the environment,
    /// and that before the context in use.
    ///
    /// # Errors
    /// When no token is known, a context is not, or an address is none.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let flagged = self.context.as_deref().map(context_of).transpose()?;
        let has_flag = flagged.is_some();
        let mut url = self.admin_url.clone();
        let mut token = self.token.clone();
        let mut files = TlsFiles {
            ca_file: self.ca_file.clone(),
            cert_file: self.cert_file.clone(),
            key_file: self.key_file.clone(),
        };
        if let Some(context) = flagged {
            fill(context, &mut url, &mut token, &mut files);
        }
        url = url.or_else(|| set("WEIR_ADMIN_URL"));
        let is_empty = env::var_os("WEIR_ADMIN_TOKEN").is_some_and(|value| value.is_empty());
        if token.is_none() && is_empty {
            // What was to set it may have failed: another token than the one that is meant could do
            // what that one may not.
            return Err(Failure::usage("WEIR_ADMIN_TOKEN is set, and empty")
                .hint("give it a token, or unset it to use that of the context"));
        }
        token = token.or_else(|| set("WEIR_ADMIN_TOKEN"));
        let path = |name: &str| set(name).map(PathBuf::from);
        files.ca_file = files.ca_file.or_else(|| path("WEIR_CA_FILE"));
        if files.shows_nothing() {
            files.cert_file = path("WEIR_CERT_FILE");
            files.key_file = path("WEIR_KEY_FILE");
        }
        // A file that nobody needs can't stand in the way.
        if !has_flag && (url.is_none() || token.is_none()) {
            let named = set("WEIR_CONTEXT");
            if let Some(context) = Contexts::load()?.meant(named.as_deref())? {
                fill(context, &mut url, &mut token, &mut files);
            }
        }
        let url = url.unwrap_or_else(|| USUAL_URL.to_owned());
        let token = token.ok_or_else(|| {
            Failure::usage(format_args!("no admin token for {url}")).hint(
                "give one with --token or WEIR_ADMIN_TOKEN, or keep one with `weir context add`; \
                 the first one stands in admin.token of the gateway's data directory",
            )
        })?;
        Client::new(&url, &token, &files)
    }

    /// Where results go.
    pub(in crate::cli) fn out(&self) -> Out {
        Out::new(self.output, self.style(&std::io::stdout()), self.quiet)
    }

    /// How text looks on this stream.
    pub(in crate::cli) fn style(&self, stream: &impl IsTerminal) -> Style {
        let wanted = match self.color {
            Colour::Always => true,
            Colour::Never => false,
            // https://no-color.org
            Colour::Auto => {
                let is_refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let is_dumb = env::var_os("TERM").is_some_and(|value| value == "dumb");
                stream.is_terminal() && !is_refused && !is_dumb
            }
        };
        Style::new(wanted)
    }
}

/// The context of a name.
fn context_of(name: &str) -> Result<Context, Failure> {
    let context = Contexts::load()?.meant(Some(name))?;
    context.ok_or_else(|| unknown(name))
}

/// What is not said yet is as the context says. Its token is for its own gateway: no other one is to see
/// it.
fn fill(
    context: Context,
    url: &mut Option<String>,
    token: &mut Option<String>,
    files: &mut TlsFiles,
) {
    let is_its_own = url.as_ref().is_none_or(|url| *url == context.admin_url);
    url.get_or_insert(context.admin_url);
    if is_its_own {
        *token = token.take().or(context.token);
        files.ca_file = files.ca_file.take().or(context.ca_file);
        if files.shows_nothing() {
            files.cert_file = context.cert_file;
            files.key_file = context.key_file;
        }
    }
}
