//! Recordings over real files.

use std::{
    fs,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures_util::{future::join_all, poll};
use http_body::Body;
use http_body_util::BodyExt;
use proptest::{prelude::*, test_runner::TestRunner};
use tokio::sync::oneshot;

use super::*;
use crate::{
    base::task,
    queue::spill::{
        INLINE_BYTES_MAX, Opener, Spill, SpillName,
        tests::{busy, check_each_drop, files, id, noise, runtime, settled, spill},
    },
    store::Content,
};

const INLINE: usize = INLINE_BYTES_MAX as usize;

fn recorder(spill: &Spill, bytes_max: u64) -> Recorder {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "text/event-stream".parse().unwrap());
    Recorder::new(spill.clone(), id(1), 2, StatusCode::OK, headers, bytes_max)
}

async fn append(recorder: &mut Recorder, bytes: &Bytes, cut: usize) {
    for piece in bytes.chunks(cut) {
        recorder.append(bytes.slice_ref(piece)).await.unwrap();
    }
}

async fn collected(follower: Follower) -> Result<Bytes, GivenUp> {
    Ok(follower.collect().await?.to_bytes())
}

fn is_lost(follower: &mut Follower) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    matches!(
        Pin::new(follower).poll_frame(&mut cx),
        Poll::Ready(Some(Err(GivenUp)))
    )
}

#[test]
fn what_fits_a_row_stays_in_memory() {
    let (directory, spill) = spill();
    runtime().block_on(async {
        for (bytes, is_inline) in [(0, true), (INLINE, true), (INLINE + 1, false)] {
            for cut in [999, INLINE * 3] {
                let mut recorder = recorder(&spill, 1 << 20);
                append(&mut recorder, &noise(bytes), cut).await;
                let content = recorder.finish().await.unwrap();
                match is_inline {
                    true => assert!(content == Content::Inline(noise(bytes))),
                    false => assert_eq!(content, Content::Spilled(bytes as u64)),
                }
                assert_eq!(recorder.finish().await.unwrap(), content, "asked again");
                assert!(recorder.append(noise(1)).await.is_err(), "it is finished");
                assert_eq!(files(directory.path()).is_empty(), is_inline);
                let follower = recorder.recording().follow(0);
                recorder.settle();
                assert!(collected(follower).await.unwrap() == noise(bytes));
            }
        }
    });
}

#[test]
fn it_tells_what_it_was_told() {
    fn is_a_body_for_hyper<T: Unpin + Send + 'static>(_: &T) {}
    let (_directory, spill) = spill();
    let recording = recorder(&spill, 9).recording();
    is_a_body_for_hyper(&recording.follow(0));
    assert_eq!(recording.attempt(), 2);
    assert_eq!(recording.status(), StatusCode::OK);
    assert_eq!(recording.headers()["content-type"], "text/event-stream");
}

/// Followers on other threads, from any byte on, begun at any moment: each gets the same bytes.
#[test]
fn followers_from_any_byte_on_under_a_fast_writer() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    let body = noise(700_000);
    let cuts = prop::collection::vec(prop_oneof![1..200usize, 10_000..200_000usize], 1..200);
    let ends = 0..=body.len();
    let given = (
        cuts,
        prop::collection::vec((0..1_000u32, any::<u32>()), 8),
        ends,
    );
    let config = ProptestConfig::with_cases(24);
    let checked = TestRunner::new(config).run(&given, |(cuts, starts, end)| {
        let body = body.slice(..end);
        runtime.block_on(async {
            let (_directory, spill) = spill();
            let mut recorder = recorder(&spill, 700_000);
            let recording = recorder.recording();
            let mut following = Vec::new();
            let (mut at, mut cuts, mut starts) = (0, cuts.iter().cycle(), starts.into_iter());
            while at < end {
                let piece = at..end.min(at + cuts.next().unwrap());
                at = piece.end;
                recorder.append(body.slice(piece)).await.unwrap();
                let kept = recording.kept().unwritten();
                assert!(kept <= INLINE, "{kept}");
                // One more follower after each of the first pieces, from anywhere in what is there.
                if let Some((_, part)) = starts.next() {
                    let from = at as u64 * u64::from(part) / u64::from(u32::MAX);
                    let (follower, expected) =
                        (recording.follow(from), body.slice(from as usize..));
                    let (tell, told) = oneshot::channel();
                    task::spawn("follower", async move {
                        let same = collected(follower).await.is_ok_and(|got| got == expected);
                        tell.send(same).unwrap();
                    });
                    following.push(told);
                }
            }
            recorder.finish().await.unwrap();
            recorder.settle();
            for same in join_all(following).await {
                assert!(same.unwrap());
            }
        });
        Ok(())
    });
    checked.unwrap();
}

/// At every boundary between file, held and buffer, and one beside it; also while a write is under
/// way.
#[test]
fn nothing_is_lost_where_bytes_move_on() {
    let (_directory, spill) = spill();
    runtime().block_on(async {
        let body = noise(INLINE * 2 + 100);
        let mut recorder = recorder(&spill, 1 << 20);
        let recording = recorder.recording();
        append(&mut recorder, &body.slice(..INLINE * 2), 5_000).await;
        let mut last = Box::pin(recorder.append(body.slice(INLINE * 2..)));
        let writing = busy();
        assert!(poll!(&mut last).is_pending());
        let starts = [
            0,
            1,
            INLINE - 1,
            INLINE,
            INLINE + 1,
            INLINE * 2 - 1,
            INLINE * 2,
        ];
        let mut followers = starts.map(|from| recording.follow(from as u64));
        // What is on its way to the file is seen meanwhile.
        let frame = poll!(followers[4].frame());
        let Poll::Ready(Some(Ok(frame))) = frame else {
            panic!("{frame:?}");
        };
        assert!(frame.into_data().unwrap() == body.slice(INLINE + 1..INLINE * 2));
        assert!(poll!(followers[6].frame()).is_pending());
        drop(writing);
        last.await.unwrap();
        recorder.finish().await.unwrap();
        recorder.settle();
        for (mut from, follower) in std::iter::zip(starts, followers) {
            if from == INLINE + 1 {
                from = INLINE * 2;
            }
            assert!(
                collected(follower).await.unwrap() == body.slice(from..),
                "{from}"
            );
        }
    });
}

#[test]
fn a_follower_waits_for_bytes_and_for_the_settled_end() {
    let (_directory, spill) = spill();
    runtime().block_on(async {
        let mut recorder = recorder(&spill, 100);
        let recording = recorder.recording();
        let [mut first, mut second] = [recording.follow(0), recording.follow(0)];
        for bytes in [1, 2] {
            let (mut one, mut other) = (Box::pin(first.frame()), Box::pin(second.frame()));
            assert!(poll!(&mut one).is_pending() && poll!(&mut other).is_pending());
            // Joined in one task: it runs again only when it was woken.
            let (got, also, ()) = tokio::join!(one, other, async {
                recorder.append(noise(bytes)).await.unwrap();
            });
            for frame in [got, also] {
                assert!(frame.unwrap().unwrap().into_data().unwrap() == noise(bytes));
            }
        }
        // Who has gone is not woken.
        let mut gone = recording.follow(3);
        assert!(poll!(gone.frame()).is_pending());
        drop(gone);
        assert!(recording.kept().waiting().is_empty());
        recorder.finish().await.unwrap();
        assert!(
            poll!(first.frame()).is_pending(),
            "the end is not recorded yet"
        );
        assert!(!recording.has_ended() && !first.is_end_stream());
        assert_eq!(first.size_hint().exact(), None);
        let end = tokio::join!(first.frame(), async { recorder.settle() }).0;
        assert!(end.is_none() && first.is_end_stream() && recording.has_ended());
        assert_eq!(recording.follow(1).size_hint().exact(), Some(2));
    });
}

#[test]
fn one_that_is_given_up_fails_its_followers() {
    let (directory, spill) = spill();
    runtime().block_on(async {
        for bytes in [100, 100_000] {
            let mut recorder = recorder(&spill, 1 << 20);
            append(&mut recorder, &noise(bytes), 100_000).await;
            let recording = recorder.recording();
            let mut behind = recording.follow(0);
            let mut waits = recording.follow(bytes as u64);
            let failed = tokio::join!(waits.frame(), async { drop(recorder) }).0;
            assert!(matches!(failed, Some(Err(GivenUp))));
            for follower in [&mut behind, &mut waits] {
                assert!(is_lost(follower) && is_lost(follower) && !follower.is_end_stream());
            }
            assert!(recording.has_ended());
            assert_eq!(files(directory.path()).len(), 0);
        }
        // Settled without an end.
        let unfinished = recorder(&spill, 9);
        let mut follower = unfinished.recording().follow(0);
        unfinished.settle();
        assert!(is_lost(&mut follower));
    });
}

#[test]
fn finished_and_not_settled_it_fails_its_followers_and_keeps_its_file() {
    let (directory, spill) = spill();
    runtime().block_on(async {
        let mut recorder = recorder(&spill, 1 << 20);
        append(&mut recorder, &noise(100_000), 9_000).await;
        let mut follower = recorder.recording().follow(0);
        recorder.finish().await.unwrap();
        drop(recorder);
        assert!(is_lost(&mut follower));
        assert_eq!(files(directory.path()).len(), 1);
        let body = spill
            .read(SpillName::Answer(id(1), 2), 0, 100_000, Opener::Caller)
            .await;
        let read = body.unwrap().collect().await.unwrap().to_bytes();
        assert!(read == noise(100_000));
    });
}

#[test]
fn what_lies_behind_the_bytes_can_not_be_followed() {
    let (_directory, spill) = spill();
    runtime().block_on(async {
        let mut recorder = recorder(&spill, 100);
        recorder.append(noise(10)).await.unwrap();
        let recording = recorder.recording();
        let (mut at, mut behind) = (recording.follow(10), recording.follow(11));
        assert!(is_lost(&mut behind) && !is_lost(&mut at));
        recorder.append(noise(10)).await.unwrap();
        recorder.finish().await.unwrap();
        recorder.settle();
        assert!(is_lost(&mut behind) && !behind.is_end_stream());
        assert_eq!(behind.size_hint().exact(), None);
        assert!(collected(at).await.unwrap() == noise(10));
    });
}

#[test]
fn more_than_is_kept_is_refused_whole() {
    let (_directory, spill) = spill();
    runtime().block_on(async {
        let mut recorder = recorder(&spill, 10);
        recorder.append(noise(10)).await.unwrap();
        recorder.append(Bytes::new()).await.unwrap();
        let refused = recorder.append(noise(1)).await;
        assert!(
            matches!(refused, Err(RecordError::TooLarge(10))),
            "{refused:?}"
        );
        assert_eq!(recorder.recording().bytes(), 10);
    });
}

#[test]
fn dropped_at_any_moment_it_leaves_no_file() {
    let waits = check_each_drop(async |spill| {
        let mut recorder = recorder(&spill, 1 << 20);
        append(&mut recorder, &noise(INLINE * 2 + 1), INLINE).await;
        recorder.finish().await.unwrap();
        recorder.settle();
    });
    assert_eq!(
        waits, 5,
        "to create it, for two writes and a last one, to finish"
    );
}

#[test]
fn an_append_that_was_not_waited_for_tears_it() {
    let (directory, spill) = spill();
    runtime().block_on(async {
        let mut recorder = recorder(&spill, 1 << 20);
        let busy = busy();
        assert!(poll!(std::pin::pin!(recorder.append(noise(100_000)))).is_pending());
        drop(busy);
        assert!(recorder.append(noise(1)).await.is_err());
        assert!(recorder.finish().await.is_err());
        drop(recorder);
        settled().await;
    });
    assert_eq!(files(directory.path()).len(), 0);
}

#[test]
fn removed_while_it_is_followed() {
    let (directory, spill) = spill();
    runtime().block_on(async {
        let mut recorder = recorder(&spill, 1 << 20);
        let body = noise(400_000);
        append(&mut recorder, &body.slice(..200_000), 7_000).await;
        let mut follower = recorder.recording().follow(0);
        let first = follower
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap();
        fs::remove_file(files(directory.path()).pop().unwrap()).unwrap();
        append(&mut recorder, &body.slice(200_000..), 7_000).await;
        recorder.finish().await.unwrap();
        recorder.settle();
        let rest = collected(follower).await.unwrap();
        assert!([first, rest].concat() == body);
    });
}

#[test]
fn a_file_that_shrank_fails_its_followers() {
    let (directory, spill) = spill();
    runtime().block_on(async {
        let mut recorder = recorder(&spill, 1 << 20);
        append(&mut recorder, &noise(300_000), 7_000).await;
        let recording = recorder.recording();
        recorder.finish().await.unwrap();
        recorder.settle();
        let path = files(directory.path()).pop().unwrap();
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(100_000).unwrap();
        let mut follower = recording.follow(100_000);
        assert!(matches!(follower.frame().await, Some(Err(GivenUp))));
        assert!(is_lost(&mut follower));
        assert_eq!(recording.end_of_event("1").await, None);
    });
}

#[test]
fn where_an_event_ends_in_memory_and_in_the_file() {
    let (_directory, spill) = spill();
    runtime().block_on(async {
        let mut recorder = recorder(&spill, 1 << 20);
        let recording = recorder.recording();
        assert_eq!(recording.end_of_event("0").await, None);
        let events = (0..10_000).map(|n| format!("id: {n}\r\ndata: {}\r\n\r\n", n * 7));
        let (mut ends, mut at) = (Vec::new(), 0);
        for event in events {
            at += event.len() as u64;
            ends.push(at);
            recorder.append(event.into()).await.unwrap();
        }
        assert!(at > 3 * INLINE_BYTES_MAX);
        for event in (0..10_000).step_by(501).chain([9_999]) {
            let end = recording.end_of_event(&event.to_string()).await;
            assert_eq!(end, Some(ends[event]));
        }
        recorder.append("id: last\r\ndata".into()).await.unwrap();
        assert_eq!(recording.end_of_event("last").await, None);
        recorder.append("\r\n\r\n".into()).await.unwrap();
        assert_eq!(
            recording.end_of_event("last").await,
            Some(recording.bytes())
        );
    });
}
