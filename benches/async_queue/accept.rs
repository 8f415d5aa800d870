//! The part `accept`: durable acceptances a second, side by side.

use std::path::Path;

use super::{
    clients::{Seen, Until, drive},
    nats::{self, Nats, Publish},
    options::{Kind, Options},
    place::Place,
    postgres::{self, Postgres},
    report::Report,
    submit::Submit,
};
use crate::common::{Checked, load::Window, start::Model};

const COLUMNS: [(&str, usize); 6] = [
    ("accepted/s", 0),
    ("p50 ms", 2),
    ("p99 ms", 2),
    ("x NATS", 2),
    ("x PG", 2),
    ("others %", 0),
];

/// The size, and the clients, whose figures have goals.
const GOAL_BYTES: u32 = 1_024;

/// At this rate a single one has to be answered soon: when each client asks again at once, its time
/// is their number divided by the rate, however good that is.
const GOAL_RATE: u32 = 10_000;

/// weir's name in the table.
const WEIR: &str = "weir";
/// And when it is asked at the rate of the goal.
const PACED: &str = "weir, 10000/s offered";

/// Who takes part.
struct Others {
    nats: Option<nats::Program>,
    postgres: Option<postgres::Programs>,
}

/// Everybody in turn, for each size in each round.
pub(crate) fn run(
    options: &Options,
    dir: &Path,
    model: &Model,
    report: &mut Report,
) -> Checked<()> {
    let others = Others::find(options, dir)?;
    for round in 1..=options.rounds {
        for &bytes in &options.bodies {
            eprintln!("accept: round {round} of {}, {bytes} bytes", options.rounds);
            one_round(
                options,
                &others,
                dir,
                model,
                bytes,
                |clients, name, seen| {
                    let figures = [
                        ("accepted/s", seen.per_second),
                        ("p50 ms", seen.p50_ms),
                        ("p99 ms", seen.p99_ms),
                        ("others %", seen.others),
                    ];
                    report.disturbed(seen.others);
                    report.keep(&title(bytes), &row(clients, name), round, &figures);
                },
            )?;
        }
    }
    for &bytes in &options.bodies {
        print(options, &others, bytes, report);
    }
    Ok(())
}

fn one_round(
    options: &Options,
    others: &Others,
    dir: &Path,
    model: &Model,
    bytes: u32,
    mut keep: impl FnMut(u16, &str, &Seen),
) -> Checked<()> {
    let window = Window {
        warmup_ns: (options.warmup * 1e9) as u64,
        length_ns: (options.seconds * 1e9) as u64,
    };
    let length = bytes as usize;
    if options.wants(Kind::Weir).0 {
        let place = Place::new(dir, "weir", model)?;
        let mut running = place.start()?;
        running.stop_later()?;
        for &clients in &options.clients {
            let before = running.accepted()?;
            let count = usize::from(clients);
            let mut talk = Submit::new(count, length);
            let seen = drive(running.weir.data, &mut talk, count, Until::Closed(window))?;
            same("weir", running.accepted()? - before, seen.answers)?;
            talk.check(&running)?;
            keep(clients, WEIR, &seen);
        }
        if bytes == GOAL_BYTES {
            let clients = most(options);
            let count = usize::from(clients);
            let before = running.accepted()?;
            let mut talk = Submit::new(count, length);
            let paced = Until::Paced(window, GOAL_RATE);
            let seen = drive(running.weir.data, &mut talk, count, paced)?;
            same("weir", running.accepted()? - before, seen.answers)?;
            talk.check(&running)?;
            keep(clients, PACED, &seen);
        }
        running.weir.child.stop()?;
    }
    if let Some(program) = &others.nats {
        let mut nats = Nats::start(program, dir)?;
        for &clients in &options.clients {
            let before = nats.messages()?;
            let count = usize::from(clients);
            let mut talk = Publish::new(length);
            let seen = drive(nats.address, &mut talk, count, Until::Closed(window))?;
            same("NATS", nats.messages()? - before, seen.answers)?;
            keep(clients, &program.name(), &seen);
        }
    }
    if let Some(programs) = &others.postgres {
        let postgres = Postgres::start(programs, dir)?;
        for &clients in &options.clients {
            let before = postgres.rows()?;
            let seen = postgres.insert(usize::from(clients), length, window)?;
            same("PostgreSQL", postgres.rows()? - before, seen.answers)?;
            keep(clients, &programs.name(), &seen);
        }
    }
    Ok(())
}

/// The most clients of a row.
fn most(options: &Options) -> u16 {
    options.clients.iter().copied().max().unwrap_or(1)
}

/// Nothing that was answered is missing, and nothing else is there.
fn same(who: &str, kept: u64, answered: u64) -> Checked<()> {
    match kept == answered {
        true => Ok(()),
        false => Err(format!("{who} has {kept} of {answered} that it accepted").into()),
    }
}

fn title(bytes: u32) -> String {
    format!("accept: durable acceptances of {bytes} bytes")
}

fn row(clients: u16, name: &str) -> String {
    format!("{clients:>4} clients, {name}")
}

fn print(options: &Options, others: &Others, bytes: u32, report: &mut Report) {
    let title = title(bytes);
    let nats = others
        .nats
        .as_ref()
        .map(|program| (program.name(), program.syncs));
    let postgres = others.postgres.as_ref().map(postgres::Programs::name);
    let mut rows = Vec::new();
    for &clients in &options.clients {
        let weir = row(clients, WEIR);
        let mut ratio = |name: Option<&String>, column| {
            let other = row(clients, name?);
            let ratio = report.ratio(&title, &weir, &other, "accepted/s");
            report.keep(&title, &weir, 0, &[(column, ratio)]);
            Some(ratio)
        };
        // One that does not sync is no comparison.
        let synced = nats
            .as_ref()
            .filter(|(_, syncs)| *syncs)
            .map(|(name, _)| name);
        let x_nats = ratio(synced, "x NATS").unwrap_or(f64::NAN);
        let x_postgres = ratio(postgres.as_ref(), "x PG").unwrap_or(f64::NAN);
        if bytes == GOAL_BYTES && clients == most(options) {
            let per_second = report.median(&title, &weir, "accepted/s");
            let p99 = report.median(&title, &row(clients, PACED), "p99 ms");
            let with = |words: &str| format!("{words}, {bytes} bytes, {clients} clients");
            report.goal(with("accepted/s"), per_second, true, f64::from(GOAL_RATE));
            report.goal(with("p99 ms at 10000/s"), p99, false, 10.0);
            report.goal(with("x NATS (sync always)"), x_nats, true, 1.0);
            report.goal(with("x PostgreSQL"), x_postgres, true, 1.0);
        }
        rows.push(weir);
        rows.extend(nats.iter().map(|(name, _)| row(clients, name)));
        rows.extend(postgres.iter().map(|name| row(clients, name)));
        if bytes == GOAL_BYTES && clients == most(options) {
            rows.push(row(clients, PACED));
        }
    }
    report.table(&title, &rows, &COLUMNS);
    if nats.is_some_and(|(_, syncs)| !syncs) {
        println!(
            "  this NATS can't sync each message (2.10 can): what it acknowledges is NOT on the disk, \
             and it is left out of the ratios"
        );
    }
}

// === impl Others ===

impl Others {
    /// One that is asked for by name must be there.
    fn find(options: &Options, dir: &Path) -> Checked<Self> {
        fn found<T>(wanted: (bool, bool), find: impl FnOnce() -> Checked<T>) -> Checked<Option<T>> {
            match wanted {
                (false, _) => Ok(None),
                (true, by_name) => match find() {
                    Ok(found) => Ok(Some(found)),
                    Err(e) if by_name => Err(e),
                    Err(e) => {
                        println!("left out: {e}");
                        Ok(None)
                    }
                },
            }
        }
        Ok(Self {
            nats: found(options.wants(Kind::Nats), || nats::Program::find(dir))?,
            postgres: found(options.wants(Kind::Postgres), postgres::Programs::find)?,
        })
    }
}
