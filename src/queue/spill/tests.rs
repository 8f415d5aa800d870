//! Files on a real disk.

use std::{
    cell::RefCell,
    fs::{self, File, OpenOptions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    pin::pin,
    sync::mpsc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::poll;
use http_body::Body;
use http_body_util::BodyExt;
use tempfile::TempDir;
use tokio::runtime::{Builder, LocalOptions, Runtime};

use super::{disk::Unfinished, *};
use crate::base::async_id::{AsyncId, Position};

pub(in crate::queue) fn id(n: u8) -> AsyncId {
    AsyncId::of(Position::at(1), [n; 16])
}

pub(in crate::queue) fn spill() -> (TempDir, Spill) {
    let directory = tempfile::tempdir().unwrap();
    let spill = Spill::open(&directory.path().join("spill")).unwrap();
    (directory, spill)
}

/// A runtime with one blocking thread, so that [`settled`] can wait for all that was handed to it.
pub(in crate::queue) fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(1);
    builder.build().unwrap()
}

pub(in crate::queue) async fn settled() {
    tokio::task::spawn_blocking(|| ()).await.unwrap();
}

/// Every file, however deep.
pub(in crate::queue) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| match entry.file_type().unwrap().is_dir() {
            true => files(&entry.path()),
            false => vec![entry.path()],
        })
        .collect()
}

pub(in crate::queue) fn noise(bytes: usize) -> Bytes {
    let words = (0..bytes as u64 / 8 + 1).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let noise: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    Bytes::from(noise).slice(..bytes)
}

async fn write(spill: &Spill, name: SpillName, bytes: &Bytes, cut: usize) -> u64 {
    let mut file = spill.create(name, Opener::Caller).await.unwrap();
    for piece in bytes.chunks(cut) {
        file.append(bytes.slice_ref(piece)).await.unwrap();
    }
    file.finish().await.unwrap()
}

async fn read(spill: &Spill, name: SpillName, from: u64, bytes: u64) -> io::Result<Bytes> {
    let mut body = spill
        .read(name, from, bytes, Opener::Caller)
        .await
        .map_err(|error| {
            let (SpillError::Full(error) | SpillError::Io(error)) = error else {
                panic!("{error}");
            };
            error
        })?;
    let mut read = Vec::new();
    loop {
        let left = bytes - read.len() as u64;
        assert_eq!(body.size_hint().exact(), Some(left));
        assert_eq!(body.is_end_stream(), left == 0);
        let Some(frame) = body.frame().await else {
            return Ok(read.into());
        };
        read.extend(frame?.into_data().unwrap());
    }
}

#[test]
fn what_was_written_is_read_from_any_byte_on() {
    let (directory, spill) = spill();
    let body: Bytes = noise(700_001);
    runtime().block_on(async {
        let name = SpillName::Body(id(0xab));
        for cut in [1_000, 300_000, 700_001] {
            spill.remove(name).await.unwrap();
            assert_eq!(write(&spill, name, &body, cut).await, 700_001);
            for (from, bytes) in [(0, 700_001), (1, 65_536), (65_536, 65_537), (700_001, 0)] {
                let read = read(&spill, name, from, bytes).await.unwrap();
                let from = from as usize;
                assert!(read == body[from..from + bytes as usize], "{cut} {from}");
            }
        }
        let empty = SpillName::Answer(id(1), 1);
        assert_eq!(write(&spill, empty, &Bytes::new(), 1).await, 0);
        assert!(read(&spill, empty, 0, 0).await.unwrap().is_empty());
    });
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let root = directory.path().join("spill");
    let file = root.join(format!("ab/{}.body", id(0xab)));
    assert_eq!(mode(&file), 0o600);
    assert_eq!((mode(file.parent().unwrap()), mode(&root)), (0o700, 0o700));
}

#[test]
fn on_the_runtime_of_a_worker_too() {
    fn is_a_body_for_hyper<T: Unpin + Send + 'static>(_: &T) {}
    fn can_be_spawned<T: Send>(_: T) {}
    let (_directory, spill) = spill();
    let runtime = Builder::new_current_thread().build_local(LocalOptions::default());
    runtime.unwrap().block_on(async {
        let name = SpillName::Answer(id(2), 3);
        write(&spill, name, &noise(200_000), 10_000).await;
        is_a_body_for_hyper(&spill.read(name, 0, 1, Opener::Caller).await.unwrap());
        let sweep = spill.sweep(SystemTime::now(), |_| async { Vec::new() });
        can_be_spawned((sweep, write(&spill, name, &noise(0), 1)));
        assert!(read(&spill, name, 0, 200_000).await.unwrap() == noise(200_000));
    });
}

#[test]
fn an_answer_that_a_dead_process_left_is_replaced_and_a_body_is_not() {
    let (_directory, spill) = spill();
    runtime().block_on(async {
        let answer = SpillName::Answer(id(3), 1);
        write(&spill, answer, &noise(100), 100).await;
        write(&spill, answer, &noise(7), 7).await;
        assert!(read(&spill, answer, 0, 7).await.unwrap() == noise(7));
        assert!(read(&spill, answer, 0, 8).await.is_err());
        let body = SpillName::Body(id(3));
        write(&spill, body, &noise(100), 100).await;
        assert!(matches!(
            spill.create(body, Opener::Caller).await,
            Err(SpillError::Io(_))
        ));
        assert!(read(&spill, body, 0, 100).await.unwrap() == noise(100));
    });
}

/// Keeps the blocking thread busy until it is dropped, so that what is handed to it waits.
pub(in crate::queue) fn busy() -> mpsc::Sender<()> {
    let (busy, until) = mpsc::channel::<()>();
    drop(tokio::task::spawn_blocking(move || until.recv()));
    busy
}

/// When something is dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    /// The disk has not begun.
    Before,
    /// Whenever: the disk may be at it.
    During,
    /// The disk is done, and nobody has taken its answer.
    After,
}

/// Runs `work` up to where it waits for the disk for the n-th time, drops it there, and looks
/// whether a file is left; for each n. Answers how often it waits.
pub(in crate::queue) fn check_each_drop<W: Future<Output = ()>>(work: impl Fn(Spill) -> W) -> u32 {
    for waits in 0.. {
        for moment in [Moment::Before, Moment::During, Moment::After] {
            let (directory, spill) = spill();
            let is_done = runtime().block_on(async {
                let mut work = Box::pin(work(spill));
                for _ in 0..waits {
                    let busy = busy();
                    assert!(poll!(&mut work).is_pending());
                    drop(busy);
                    settled().await;
                }
                let busy = (moment != Moment::During).then(busy);
                let is_done = poll!(&mut work).is_ready();
                if moment == Moment::After {
                    drop(busy);
                    settled().await;
                    drop(work);
                } else {
                    drop(work);
                    drop(busy);
                    settled().await;
                }
                is_done
            });
            match (moment, is_done) {
                (Moment::Before, true) => return waits,
                (Moment::During, true) => {}
                _ => assert_eq!(files(directory.path()).len(), 0, "{waits} {moment:?}"),
            }
        }
    }
    unreachable!("it comes to its end")
}

#[test]
fn dropped_at_any_moment_it_leaves_no_file() {
    let waits = check_each_drop(async |spill| {
        let mut file = spill
            .create(SpillName::Body(id(4)), Opener::Caller)
            .await
            .unwrap();
        for _ in 0..4 {
            file.append(noise(150_000)).await.unwrap();
        }
        assert_eq!(file.finish().await.unwrap(), 600_000);
    });
    assert_eq!(waits, 5, "to create it, for three writes, to finish");
}

#[test]
fn dropped_outside_a_runtime_too() {
    let (directory, spill) = spill();
    let file = runtime()
        .block_on(spill.create(SpillName::Body(id(5)), Opener::Caller))
        .unwrap();
    assert_eq!(files(directory.path()).len(), 1);
    drop(file);
    assert_eq!(files(directory.path()).len(), 0);
}

#[test]
fn what_passes_is_told_apart() {
    for (code, expected) in [
        (libc::ENOSPC, "full"),
        (libc::EDQUOT, "full"),
        (libc::EMFILE, "descriptors"),
        (libc::ENFILE, "descriptors"),
        (libc::EIO, "for good"),
        (libc::EROFS, "for good"),
    ] {
        let kind = match SpillError::from(io::Error::from_raw_os_error(code)) {
            SpillError::Full(_) => "full",
            SpillError::Descriptors => "descriptors",
            SpillError::Io(_) => "for good",
        };
        assert_eq!(kind, expected, "{code}");
    }
}

#[test]
fn a_file_whose_write_has_failed_goes_no_further() {
    let (directory, spill) = spill();
    let path = directory.path().join("entry");
    File::create(&path).unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut file = SpillFile::of(
        Arc::clone(&spill.root),
        SpillName::Body(id(6)),
        Descriptor::of(full, Opener::Caller.place().unwrap()),
        Unfinished::at(path.clone()),
    );
    runtime().block_on(async {
        file.append(noise(200_000)).await.unwrap();
        let refused = file.append(noise(200_000)).await;
        assert!(matches!(refused, Err(SpillError::Full(_))), "{refused:?}");
        assert!(file.append(noise(1)).await.is_err());
        assert!(file.finish().await.is_err());
    });
    assert!(!path.exists());
}

#[test]
fn a_write_that_was_not_waited_for_spoils_the_file() {
    let (directory, spill) = spill();
    runtime().block_on(async {
        let mut file = spill
            .create(SpillName::Body(id(7)), Opener::Caller)
            .await
            .unwrap();
        let busy = busy();
        assert!(poll!(pin!(file.append(noise(300_000)))).is_pending());
        drop(busy);
        assert!(file.append(noise(1)).await.is_err());
        assert!(file.finish().await.is_err());
        settled().await;
    });
    assert_eq!(files(directory.path()).len(), 0);
}

#[test]
fn a_file_that_is_shorter_than_asked_is_an_error() {
    let (directory, spill) = spill();
    let name = SpillName::Body(id(8));
    runtime().block_on(async {
        write(&spill, name, &noise(1_000_000), 100_000).await;
        for (from, bytes) in [(0, 1_000_001), (1_000_001, 0), (1, u64::MAX)] {
            let error = spill
                .read(name, from, bytes, Opener::Caller)
                .await
                .unwrap_err();
            assert!(error.to_string().contains("shorter"), "{error}");
        }
        // It shrinks while it is read: the body gives what it has, and then an error for good.
        let mut body = spill
            .read(name, 0, 1_000_000, Opener::Caller)
            .await
            .unwrap();
        let path = files(directory.path()).pop().unwrap();
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(100_000).unwrap();
        let (mut read, mut errors) = (0, 0);
        while errors < 3 {
            match body.frame().await.expect("no silent end") {
                Ok(frame) => read += frame.into_data().unwrap().len(),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
                    errors += 1;
                }
            }
        }
        assert!(read < 200_000 && !body.is_end_stream());
        // What is not there at all.
        let gone = spill
            .read(SpillName::Body(id(9)), 0, 0, Opener::Caller)
            .await;
        assert!(matches!(gone, Err(SpillError::Io(_))));
        spill.remove(SpillName::Body(id(9))).await.unwrap();
    });
}

#[test]
fn removed_while_it_is_read() {
    let (directory, spill) = spill();
    let name = SpillName::Body(id(10));
    runtime().block_on(async {
        write(&spill, name, &noise(1_000_000), 100_000).await;
        let body = spill
            .read(name, 0, 1_000_000, Opener::Caller)
            .await
            .unwrap();
        spill.remove(name).await.unwrap();
        assert_eq!(files(directory.path()).len(), 0);
        assert!(body.collect().await.unwrap().to_bytes() == noise(1_000_000));
    });
}

#[test]
fn a_sweep_takes_what_is_old_and_unknown() {
    let (directory, spill) = spill();
    let root = directory.path().join("spill");
    let now = SystemTime::now();
    let hour_ago = now - Duration::from_secs(3_600);
    let age = |name: SpillName| {
        let file = File::open(root.join(name.path())).unwrap();
        file.set_modified(hour_ago).unwrap();
    };
    let [known, unknown] = [SpillName::Body(id(1)), SpillName::Body(id(2))];
    let [young, answer] = [SpillName::Body(id(3)), SpillName::Answer(id(1), 7)];
    runtime().block_on(async {
        for (name, bytes) in [(known, 1), (unknown, 20), (young, 300), (answer, 4_000)] {
            write(&spill, name, &noise(bytes), 4_000).await;
        }
        [known, unknown, answer].into_iter().for_each(age);
        // More than a page of one folder.
        for attempt in 0..1_100 {
            let name = SpillName::Answer(id(0xfe), attempt);
            fs::create_dir_all(root.join("fe")).unwrap();
            File::create(root.join(name.path())).unwrap();
            age(name);
        }
        let junk = ["readme", "zz", "01/note.txt", &format!("02/{}.body", id(1))];
        for path in junk {
            let file = File::create(root.join(path)).unwrap();
            file.set_modified(hour_ago).unwrap();
        }
        let folder = SpillName::Answer(id(1), 2);
        fs::create_dir(root.join(folder.path())).unwrap();
        age(folder);

        let before = now - Duration::from_secs(60);
        let asked = RefCell::new(Vec::new());
        let knows = |names: Vec<SpillName>| {
            assert!(names.len() <= 512);
            let answers = names.iter().map(|&name| name == known).collect();
            asked.borrow_mut().extend(names);
            async { answers }
        };
        // A name that there is no answer for stays.
        let none = spill.sweep(before, |_| async { Vec::new() }).await.unwrap();
        assert_eq!(none, Swept::default());
        let swept = spill.sweep(before, knows).await.unwrap();
        let expected = Swept {
            files: 1_102,
            bytes: 4_020,
        };
        assert_eq!(swept, expected);
        assert_eq!(asked.borrow().len(), 1_103);
        assert!(!asked.borrow().contains(&young));
        assert!(root.join(known.path()).exists() && root.join(young.path()).exists());
        assert!(junk.iter().all(|path| root.join(path).exists()));
        assert_eq!(files(&root).len(), 2 + junk.len());

        // Written between the question and the removal: it stays.
        let swept = spill.sweep(before, |names| {
            let file = File::open(root.join(names[0].path())).unwrap();
            file.set_modified(now).unwrap();
            async { vec![false] }
        });
        assert_eq!(swept.await.unwrap(), Swept::default());
    });
}
