//! The composition root: builds the parts, wires the two doors, starts, and drains.
//!
//! ```text
//! settings ─▶ metrics, data directory, listeners ─▶ first snapshot ─▶ workers, control, admin
//!          ─▶ ready ─▶ SIGTERM ─▶ drain ─▶ exit
//! ```

mod comparison;
mod data_dir;
mod later;
mod monitoring;
mod notify;
mod options;
mod overload;
mod ready;
mod tls;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

use later::Later;
pub use ready::Ready;

use crate::{
    admin,
    base::{memory, task},
    config::Settings,
    control::{
        Control, Parts, Sealer, access_log,
        error::ControlError,
        probe,
        review::{self, refresh},
        source::{self, Seen, SourceError},
    },
    gateway::{Figures, Levelling, Runner, Shared, Worker},
    hook::TlsError,
    logs::Logs,
    monitor::{self, Monitor},
    net::{
        listen::bind_all,
        per_address::PerAddress,
        tls::{FileMistake, client::BackendTls},
        way::Way,
    },
    notify::{MailError, Notifier},
    queue::SpillError,
    shadow::{self, comparison::Comparison},
    snapshot::Current,
    spec::Declarations,
    store::{OpenError, Sqlite, SqliteOptions, StoreError},
    telemetry::{
        credit, held,
        meters::FaultMeters,
        outcome::{self, Listener},
        seconds, series, table,
    },
};

/// Threads of the control runtime: one that works while another waits for a disk.
const CONTROL_THREADS: usize = 2;

/// How often the exporter renders for nobody: at no other time does it forget idle series, and
/// without a scrape those of retired versions would pile up. Its upkeep, which folds samples of
/// histograms, runs with it.
const UPKEEP_EVERY: Duration = Duration::from_secs(60);

/// How long the end waits for the monitoring series to be written down.
const FINISH_MAX: Duration = Duration::from_secs(5);

/// Where the declarations come from.
pub enum Source {
    /// A file that is followed.
    File(PathBuf),
    /// Given once.
    Inline(Declarations),
    /// None: what the data directory holds is all there is.
    Nothing,
}

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] data_dir::DataDirError),
    /// The store in the data directory.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What the store holds, or does not take.
    #[error("the store: {0}")]
    Control(#[from] ControlError),
    /// What the store holds of async requests.
    #[error("async requests: {0}")]
    Queue(#[from] StoreError),
    /// What webhooks are signed with.
    #[error("{}: {error}", path.display())]
    SigningKey {
        /// Where it is kept.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The relay that mail goes through.
    #[error("mail: {0}")]
    Mail(#[from] MailError),
    /// What a listener shows under TLS.
    #[error("{}", shown(.0))]
    ListenerTls(Vec<FileMistake>),
    /// Whom webhooks trust.
    #[error("webhooks: {0}")]
    Tls(#[from] TlsError),
    /// Whom weir trusts towards backends, and what it shows to them.
    #[error("upstream.tls: {}", lines(_0))]
    BackendTls(Vec<FileMistake>),
    /// Where their large bodies are.
    #[error("async requests: {0}")]
    Spill(#[from] SpillError),
    /// The declarations.
    #[error("{0}")]
    Declarations(#[from] SourceError),
    /// The metrics.
    #[error(transparent)]
    Metrics(#[from] series::InstallError),
    /// The ready file.
    #[error("cannot write the ready file {}: {error}", path.display())]
    ReadyFile {
        /// Where.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Threads, runtimes.
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
}

impl From<Vec<FileMistake>> for StartError {
    fn from(mistakes: Vec<FileMistake>) -> Self {
        Self::ListenerTls(mistakes)
    }
}

fn shown(mistakes: &[FileMistake]) -> String {
    let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    format!("TLS: {}", lines.join("; "))
}

/// A gateway that is bound and has its first snapshot in force, not yet accepting.
pub struct Gateway {
    settings: Settings,
    runtime: Runtime,
    workers: Vec<socket2::Socket>,
    admin: tokio::net::TcpListener,
    tls: tls::Listeners,
    data_address: SocketAddr,
    current: Arc<Current>,
    control: Arc<Control>,
    store: Arc<Sqlite>,
    later: Later,
    monitor: Arc<Monitor>,
    comparison: Arc<Comparison>,
    notifier: Arc<Notifier>,
    way: Way,
    backend_tls: Arc<BackendTls>,
    source: Source,
    /// The state of the declarations file before it was read.
    seen: Option<Seen>,
    exporter: PrometheusHandle,
    directory: data_dir::DataDir,
}

impl Gateway {
    /// Binds the listeners, takes the data directory, and puts the first snapshot in force.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub fn prepare(settings: Settings, source: Source) -> Result<Self, StartError> {
        let exporter = series::install(settings.metrics.series_idle_s * 1_000)?;
        let current = Arc::new(Current::empty());
        let tls = tls::Listeners::open(&settings)?;
        let directory = data_dir::DataDir::open(&settings.data_dir, &settings.admin.token)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(CONTROL_THREADS)
            .thread_name("control")
            .enable_all()
            .build()?;
        let address = settings.data.listen;
        let (workers, data_address) = bind_all(address, options::workers(&settings))
            .map_err(|error| StartError::Listen { address, error })?;
        let address = settings.admin.listen;
        let admin = runtime
            .block_on(tokio::net::TcpListener::bind(address))
            .map_err(|error| StartError::Listen { address, error })?;
        // Backends are judged by where weir itself listens, so that comes first.
        let guard = options::guard(&settings, &[data_address, admin.local_addr()?]);
        let backend_tls = BackendTls::open(options::backend_tls(&settings));
        let backend_tls = Arc::new(backend_tls.map_err(StartError::BackendTls)?);
        let way = Way::new(guard, Arc::clone(&backend_tls));
        credit::begin_with(settings.logs.lines_per_second);
        let store = Arc::new(Sqlite::open(&settings.data_dir, SqliteOptions::default())?);
        // Not before the store: a start that is refused changes nothing.
        let monitor = monitoring::open(&settings);
        let comparison = comparison::open(&settings, &current);
        let token = directory.token().clone();
        let parts = Parts {
            store: Arc::clone(&store) as _,
            current: Arc::clone(&current),
            options: options::control(&settings),
            way: way.clone(),
            sealer: options::sealing_key(&settings).map(|key| Sealer::new(&key)),
            root: Box::new(move |presented| token.matches(presented)),
            logs: Logs::new(options::logs(&settings)),
        };
        let seen = match &source {
            Source::File(path) => Some(source::look(path)),
            Source::Inline(_) | Source::Nothing => None,
        };
        let control = runtime.block_on(async {
            let control = Control::open(parts).await?;
            control.reserve(directory.token().expose()).await?;
            match &source {
                Source::File(path) => source::log(&source::take(path, &control).await?, path),
                Source::Inline(declarations) => {
                    control.declare(declarations.clone()).await?;
                }
                Source::Nothing => {}
            }
            Ok::<_, StartError>(control)
        })?;
        let own = [data_address, admin.local_addr()?];
        let later = Later::open(&settings, Arc::clone(&store), &current, &own);
        let later = runtime.block_on(later)?;
        let notifier = notify::open(&settings, &store, &later.signer, &own)?;
        memory::give_back();
        Ok(Self {
            settings,
            runtime,
            workers,
            admin,
            tls,
            data_address,
            current,
            control,
            store,
            later,
            monitor,
            comparison,
            notifier,
            way,
            backend_tls,
            source,
            seen,
            exporter,
            directory,
        })
    }

    /// Where it listens, and the admin token.
    ///
    /// # Errors
    /// When the system can't say.
    pub fn ready(&self) -> io::Result<Ready> {
        let admin = self.admin.local_addr()?;
        let data = options::url(&self.settings.data.tls, self.data_address);
        let admin = options::url(&self.settings.admin.tls, admin);
        Ok(Ready::new(data, admin, self.directory.token()))
    }

    /// The admin token, when it was made just now: whoever starts a gateway for the first time is to
    /// see it once.
    pub fn new_token(&self) -> Option<&str> {
        let directory = &self.directory;
        directory.is_token_new().then(|| directory.token().expose())
    }

    /// Serves until SIGTERM or SIGINT, then drains. `started` is called once every part answers.
    ///
    /// # Errors
    /// [`StartError`] when a part can't be started, or from `started`.
    pub fn run(self, started: impl FnOnce() -> Result<(), StartError>) -> Result<(), StartError> {
        let Self {
            settings,
            runtime,
            current,
            ..
        } = self;
        let (drain, draining) = watch::channel(false);
        let (door, outcomes) = outcome::door();
        let faults = Arc::new(FaultMeters::new());
        let (threads, runners) = (self.workers.len(), settings.queue.runners);
        let figures: Arc<[Figures]> = (0..threads + runners).map(|_| Figures::default()).collect();
        let later = self.later;
        let queue = Arc::clone(&later.queue);
        let (notifier, monitor) = (self.notifier, self.monitor);
        let comparison = self.comparison;
        let (control, way) = (self.control, self.way);
        let tls = self.tls;
        let options = options::gateway(&settings, &way, tls.data.clone());
        let (most, beyond) = (options.connections_max, options.beyond_max);
        let (levelling, inboxes) = Levelling::new(self.workers.len(), most, beyond);
        let addresses = match options.connections_per_address_max {
            0 => None,
            most => Some(PerAddress::new(most)),
        };
        let shared = Shared {
            current: Arc::clone(&current),
            options,
            levelling: Arc::new(levelling),
            faults: Arc::clone(&faults),
            door,
            pairs: comparison.door(),
            drain: draining,
            queue: Some(Arc::clone(&queue)),
            figures,
            addresses,
        };
        let mut workers = Vec::new();
        for (index, (socket, inbox)) in self.workers.into_iter().zip(inboxes).enumerate() {
            workers.push(Worker::start(index, socket, inbox, shared.clone())?);
        }
        let is_ready = Arc::new(AtomicBool::new(true));
        let pages = pages(
            &shared,
            &settings,
            self.exporter.clone(),
            Arc::clone(&is_ready),
            self.store,
            refresh_others(
                later.refresh(),
                Arc::clone(&monitor),
                Arc::clone(&comparison),
                Arc::clone(&notifier),
            ),
        );
        let (stop_admin, admin_stopped) = watch::channel(false);
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let logs = control.logs();
            start_control(
                &settings,
                &current,
                &faults,
                outcomes,
                self.exporter,
                way,
                logs,
            );
            control.start();
            overload::start(&settings);
            tls.start();
            task::spawn("TLS files", self.backend_tls.follow());
            let parts = admin::Beside {
                later: Some(later.admin()),
                monitor: Some(Arc::clone(&monitor)),
                comparison: Some(Arc::clone(&comparison)),
            };
            notify::start(notifier);
            let runners = later.start(&settings, &shared, threads)?;
            let monitoring = monitor::Running::start(monitor)?;
            control.watch_verdicts(Arc::clone(&comparison));
            let comparing = shadow::comparison::Running::start(&comparison)?;
            follow(self.source, self.seen, &control)?;
            let mut options =
                options::admin(&settings, self.admin.local_addr()?, self.data_address);
            options.tls = tls.admin;
            let admin = Arc::clone(&control);
            let admin = start_admin(self.admin, admin, parts, options, pages, admin_stopped);
            started()?;
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            is_ready.store(false, Ordering::Relaxed);
            tracing::info!(grace_ms = settings.drain.grace_ms, "draining");
            queue.drain();
            // Every receiver gone means that every worker has ended already.
            let _ = drain.send(true);
            let drained = tokio::task::spawn_blocking(move || {
                workers.into_iter().for_each(Worker::join);
                runners.into_iter().for_each(Runner::join);
                // Not before the last of them has recorded what it could.
                queue.go_dark();
            });
            tokio::select! {
                _ = drained => tracing::info!("drained"),
                _ = terminate.recv() => tracing::warn!("asked again, leaving at once"),
                _ = interrupt.recv() => tracing::warn!("asked again, leaving at once"),
            }
            let _ = stop_admin.send(true);
            let _ = tokio::time::timeout(Duration::from_secs(1), admin).await;
            let finished = tokio::task::spawn_blocking(move || {
                comparing.stop();
                monitoring.stop();
            });
            if tokio::time::timeout(FINISH_MAX, finished).await.is_err() {
                tracing::warn!(
                    "the newest pairs and steps of monitoring series were not written down"
                );
            }
            if let Err(error) = control.flush().await {
                tracing::warn!(%error, "when keys were used last, or what they took of daily quotas, was not written down");
            }
            Ok(())
        })
    }
}

fn lines(mistakes: &[FileMistake]) -> String {
    let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn start_admin(
    listener: tokio::net::TcpListener,
    control: Arc<Control>,
    beside: admin::Beside,
    options: admin::AdminOptions,
    pages: admin::Pages,
    mut stopped: watch::Receiver<bool>,
) -> impl Future {
    task::spawn("admin", async move {
        let stop = async move {
            // A sender that is gone means the same.
            let _ = stopped.wait_for(|&stopped| stopped).await;
        };
        if let Err(error) = admin::serve(listener, control, beside, options, pages, stop).await {
            tracing::error!(%error, "admin listener ended");
        }
    })
}

/// Starts what runs beside the data plane. Called on the control runtime.
fn start_control(
    settings: &Settings,
    current: &Arc<Current>,
    faults: &Arc<FaultMeters>,
    outcomes: Listener,
    exporter: PrometheusHandle,
    way: Way,
    logs: &Arc<Logs>,
) {
    let probing = options::probe(settings);
    let probing = probe::probe(Arc::clone(current), probing, way, Arc::clone(logs));
    task::spawn("probes", probing);
    task::spawn(
        "review",
        review::review(Arc::clone(current), Arc::clone(faults), Arc::clone(logs)),
    );
    task::spawn(
        "outcomes",
        access_log::write(outcomes, settings.log.access, Arc::clone(logs)),
    );
    task::spawn("metrics upkeep", async move {
        let mut upkeeps = tokio::time::interval(UPKEEP_EVERY);
        loop {
            upkeeps.tick().await;
            exporter.run_upkeep();
            let _ = exporter.render_to_write(&mut io::sink());
        }
    });
}

/// Follows the declarations' source. Called on the control runtime.
fn follow(source: Source, seen: Option<Seen>, control: &Arc<Control>) -> io::Result<()> {
    // Also without a file: unhandled, the signal would end the process with all its exchanges.
    let mut hang_up = signal(SignalKind::hangup())?;
    let (Source::File(path), Some(seen)) = (source, seen) else {
        task::spawn("hang-up signal", async move {
            while hang_up.recv().await.is_some() {
                tracing::info!("SIGHUP: no declarations file to read again");
            }
        });
        return Ok(());
    };
    let (ask, asked) = mpsc::channel(1);
    task::spawn("hang-up signal", async move {
        while hang_up.recv().await.is_some() {
            // One that waits already covers this one too.
            let _ = ask.try_send(());
        }
    });
    let control = Arc::clone(control);
    task::spawn("declarations", source::follow(path, seen, control, asked));
    Ok(())
}

/// What `/metrics` has to ask for, of the parts that set their gauges when they are told to.
fn refresh_others(
    later: impl Fn() + Send + Sync + 'static,
    monitor: Arc<Monitor>,
    comparison: Arc<Comparison>,
    notifier: Arc<Notifier>,
) -> impl Fn() + Send + Sync + 'static {
    move || {
        later();
        monitor.refresh();
        comparison.refresh();
        notifier.refresh();
    }
}

fn pages(
    shared: &Shared,
    settings: &Settings,
    exporter: PrometheusHandle,
    is_ready: Arc<AtomicBool>,
    store: Arc<Sqlite>,
    refresh_others: impl Fn() + Send + Sync + 'static,
) -> admin::Pages {
    let process = metrics_process::Collector::default();
    process.describe();
    let token = settings.metrics.token.clone();
    let shared = shared.clone();
    admin::Pages {
        metrics: Box::new(move || {
            refresh(&shared.current, &shared.faults);
            show_figures(&shared);
            store.refresh();
            refresh_others();
            process.collect();
            let mut exposition = exporter.render();
            held::render(&mut exposition);
            seconds::render(&mut exposition);
            exposition
        }),
        is_ready: Box::new(move || is_ready.load(Ordering::Relaxed)),
        metrics_token: (!token.is_empty())
            .then(|| Box::new(move |bytes: &[u8]| token.matches(bytes)) as admin::TokenCheck),
    }
}

fn show_figures(shared: &Shared) {
    let sum = |figure: fn(&Figures) -> &std::sync::atomic::AtomicUsize| -> usize {
        let figures = shared.figures.iter();
        figures.map(|f| figure(f).load(Ordering::Relaxed)).sum()
    };
    let connections = |state| series::gauge(&table::UPSTREAM_CONNECTIONS, &[state]);
    connections("active").set(sum(|f| &f.upstream_active) as f64);
    connections("idle").set(sum(|f| &f.upstream_idle) as f64);
    for worker in 0..shared.levelling.workers() {
        let open = shared.levelling.open(worker) as f64;
        series::gauge(&table::CONNECTIONS, &[&worker.to_string()]).set(open);
    }
}
