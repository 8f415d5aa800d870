//! `weir demo`: real small models and a gateway before them, in one process.

use std::{io::Write, net::SocketAddr, time::Duration};

use super::{
    Demo,
    failure::Failure,
    serve::{settings, write_ready},
};
use crate::{
    app::{Gateway, Source},
    base::task,
    demo::{self, SampleModel},
    spec::Declarations,
};

/// What curl and weir have to be told when there is TLS.
const TRUST: &str = "# A certificate of an authority that the system does not trust: where curl and weir find its own.\n\
    export CURL_CA_BUNDLE=ca.pem WEIR_CA_FILE=ca.pem\n\n";

pub(super) fn run(arguments: &Demo) -> Result<(), Failure> {
    let mut settings = settings(arguments.config.as_deref())?;
    // A demo leaves nothing behind, and two of them do not meet.
    let directory = std::env::temp_dir().join(format!("weir-demo-{}", std::process::id()));
    settings.data_dir.clone_from(&directory);
    let _removed = Removed(directory);

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("models")
        .enable_all()
        .build()?;
    let start = |model| runtime.block_on(start_model(model));
    let iris = start(SampleModel::Iris)?;
    let challenger = start(SampleModel::IrisChallenger)?;
    let text = start(SampleModel::Text)?;

    let key = demo::draw_key()?;
    let declared = demo::declarations_toml(iris, challenger, text, &key);
    let declarations = Declarations::from_toml(&declared).map_err(|mistakes| {
        let mistakes = mistakes.in_file(None);
        Failure::new(format_args!("the demo's own declarations: {mistakes}"))
    })?;
    let gateway = Gateway::prepare(settings, Source::Inline(declarations))?;
    let mut ready = gateway.ready()?;
    ready.predict_url = Some(format!("{}/predict/demo/iris", ready.data_url));
    ready.stream_url = Some(format!("{}/stream/demo/text", ready.data_url));
    ready.api_key = Some(key.clone());
    gateway.run(|| {
        let lines = demo::curl_lines(&ready.data_url, &ready.admin_url, &key);
        // A closed standard output does not stop the demo.
        let (data, admin, token) = (&ready.data_url, &ready.admin_url, ready.admin_token());
        let weir = std::env::current_exe()
            .map_or_else(|_| "weir".into(), |path| path.display().to_string());
        let (asked, load) = demo::load_line(data, &key);
        let is_tls = [data, admin].iter().any(|url| url.starts_with("https://"));
        let trust = if is_tls { TRUST } else { "" };
        let _ = writeln!(
            std::io::stdout(),
            "DATA={data} ADMIN={admin} KEY={key} TOKEN={token}\n\n\
             {trust}{lines}\n# The admin API, which {admin}/api/reference describes.\n\
             curl -s {admin}/api/v1/status -H \"Authorization: Bearer {token}\"\n\n\
             # The command line: how the deployments stand, and one of them, live.\n\
             export WEIR_ADMIN_URL={admin} WEIR_ADMIN_TOKEN={token}\n\
             {weir} deployment list\n\
             {weir} deployment watch demo/iris\n\n\
             # Main against challenger, after {asked} flowers: how far they agree, and whether that is sure.\n\
             {load}\n\
             {weir} deployment verdict demo/iris\n\
             {weir} deployment pairs demo/iris --order worst -n 5\n"
        );
        write_ready(&ready, arguments.ready_file.as_deref())
    })?;
    runtime.shutdown_background();
    Ok(())
}

async fn start_model(model: SampleModel) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    task::spawn("sample model", async move {
        // It serves as long as the demo runs.
        if let Err(error) =
            demo::serve(model, Duration::ZERO, listener, std::future::pending()).await
        {
            tracing::error!(%error, model = model.model(), "sample model ended");
        }
    });
    Ok(address)
}

/// A directory that goes with the demo.
struct Removed(std::path::PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
